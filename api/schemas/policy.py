"""Bodies and answers of the routes about rules: packs, their versions, lint and backtests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import Field, StringConstraints, model_validator

from api.schemas.base import Answer, Body, Id, Instant, Parameters, ShortText, micros
from engine.domain.clock import format_time
from engine.domain.pack_life import PackState, StoredVersion
from engine.domain.verdicts import PackRef
from engine.ledger.backtests import BacktestJob, JobState
from engine.policy.findings import Finding, Severity

PackText = Annotated[
    str, StringConstraints(min_length=1), Field(description="YAML, as in the rules folder")
]


class PackPath(Parameters):
    """Which pack."""

    pack: Id = Field(description="Such as gift_send")


class BacktestPath(Parameters):
    """Which backtest."""

    backtest: Id


class PackName(Answer):
    """Exactly which rules."""

    pack: str
    version: int
    hash: str

    @classmethod
    def of(cls, ref: PackRef) -> Self:
        """Return the pack as an answer names it."""
        return cls(pack=ref.pack, version=ref.version, hash=ref.hash)


class Packs(Answer):
    """What the worker that answers holds; all workers hold the same within 2 s of a change."""

    enforced: list[PackName] = Field(description="In effect now, or before or later by their dates")
    shadows: list[PackName] = Field(description="Evaluated beside them without a say")
    in_effect: dict[str, PackName | None] = Field(
        description="What decides now, by decision; null: nothing does, and nothing is allowed"
    )


class PackVersion(Answer):
    """A stored version and what became of it."""

    version: int
    hash: str
    decides: str
    state: PackState
    effective_from: str
    effective_until: str | None
    author: str
    published_at: str
    approver: str | None
    enforced_at: str | None = Field(description="When it was last put in service")
    backtested: bool = Field(description="Whether a backtest's report is kept with it")

    @classmethod
    def of(cls, version: StoredVersion) -> Self:
        """Return the version as an answer tells it."""
        return cls(
            version=version.ref.version,
            hash=version.ref.hash,
            decides=version.decides,
            state=version.state,
            effective_from=format_time(version.effective_from),
            effective_until=_time(version.effective_until),
            author=version.author.name,
            published_at=format_time(version.published_at),
            approver=version.approver.name if version.approver else None,
            enforced_at=_time(version.enforced_at),
            backtested=version.backtest is not None,
        )


class PackVersions(Answer):
    """Every version of a pack."""

    pack: str
    versions: list[PackVersion]


class LintBody(Body):
    """A pack to examine; nothing is kept."""

    text: PackText
    file: ShortText = Field("pack.yaml", description="Its name in the findings")


class LintFinding(Answer):
    """One thing that lint found."""

    code: str = Field(description="Stable; decide on this", examples=["NEVER_FIRES"])
    severity: Severity
    file: str
    line: int
    column: int
    rule: str | None
    message: str
    hint: str
    witness: dict[str, bool | int | str] | None = Field(
        description="Facts on which the rules do what the message says"
    )


class LintReport(Answer):
    """What lint says of a pack."""

    sound: bool = Field(description="Whether there is no error among the findings")
    findings: list[LintFinding]

    @classmethod
    def of(cls, findings: list[Finding]) -> Self:
        """Return the findings as an answer tells them."""
        return cls(
            sound=not any(finding.severity is Severity.ERROR for finding in findings),
            findings=[
                LintFinding.model_validate(finding.as_json() | {"severity": finding.severity})
                for finding in findings
            ],
        )


class BacktestBody(Body):
    """What to try on recorded decisions: a pack's text, or a stored version."""

    text: PackText | None = None
    pack: Id | None = None
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    since: Instant | None = Field(None, description="The first decisions to replay")
    until: Instant | None = Field(None, description="Decisions from here on are left out")

    @model_validator(mode="after")
    def _one_candidate(self) -> Self:
        stored = (self.pack is not None, self.version is not None)
        if stored not in {(True, True), (False, False)} or (self.text is None) is not any(stored):
            raise ValueError("give either `text`, or `pack` and `version`")
        return self

    @property
    def window(self) -> tuple[int | None, int | None]:
        """The window in microseconds."""
        return _micros(self.since), _micros(self.until)


class Backtest(Answer):
    """How it goes with a backtest."""

    backtest: str
    state: JobState
    decision: str
    since: str | None
    until: str | None
    replayed: int = Field(description="Decisions so far")
    total: int | None = Field(description="Decisions there are; null until they are counted")
    created_at: str
    fault: str | None = Field(
        description="Why it failed; of one that is done, why its report is not kept elsewhere"
    )
    report: dict[str, Any] | None = Field(
        description="Once it is done: what would have changed, per rule and reason, with examples"
    )

    @classmethod
    def of(cls, job: BacktestJob) -> Self:
        """Return the job as an answer tells it."""
        return cls(
            backtest=job.backtest,
            state=job.state,
            decision=job.decision,
            since=_time(job.since),
            until=_time(job.until),
            replayed=job.replayed,
            total=job.total,
            created_at=format_time(job.created_at),
            fault=job.fault,
            report=None if job.report is None else orjson.loads(job.report),
        )


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def _time(at: int | None) -> str | None:
    return None if at is None else format_time(at)
