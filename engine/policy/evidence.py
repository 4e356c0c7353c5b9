"""What was found about a kept version, read from the reports that are kept with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import orjson

from engine.domain.errors import InvalidInput
from engine.policy.differing import Change


@dataclass(frozen=True, slots=True)
class BacktestFound:
    """The totals of a backtest's report."""

    decisions: int
    """How many there were in its window."""
    changes: Mapping[Change, int]
    since: str | None
    """The first instant of its window; where none was given, the first decision's. RFC 3339."""
    until: str | None

    @property
    def replayed(self) -> int:
        """How many had all the facts that the version reads."""
        return self.decisions - self.changes.get(Change.NOT_EVALUABLE, 0)


@dataclass(frozen=True, slots=True)
class ChecksFound:
    """What lint and tests came to when a version was published."""

    findings: int
    """Of lint: warnings and notes, since an error keeps a pack from being published."""
    examples: int
    cases: int


def check_report(report: str) -> None:
    """Do nothing if a report can be kept.

    Raises
    ------
    InvalidInput
        If it is no JSON object.
    """
    read = None
    with suppress(orjson.JSONDecodeError):
        read = orjson.loads(report)
    if not isinstance(read, dict):
        raise InvalidInput("the backtest's report is no JSON object")


def backtest_found(report: str) -> BacktestFound:
    """Return the totals of a kept report (JSON); what it does not say counts as 0."""
    told = _object(report)
    changes = _mapping(told.get("changes"))
    packs = [_mapping(pack) for pack in _list(told.get("packs"))]
    firsts = [at for pack in packs if isinstance(at := pack.get("first_at"), str)]
    lasts = [at for pack in packs if isinstance(at := pack.get("last_at"), str)]
    return BacktestFound(
        decisions=_count(told.get("decisions")),
        changes={change: _count(changes.get(change.value)) for change in Change},
        since=_text(told.get("since")) or min(firsts, default=None),
        until=_text(told.get("until")) or max(lasts, default=None),
    )


def checks_found(report: str) -> ChecksFound | None:
    """Return the counts of kept checks (JSON); None if there were none, as for what was seeded."""
    told = _object(report)
    proof = _mapping(told.get("proof"))
    if not proof:
        return None
    return ChecksFound(
        findings=len(_list(told.get("lint"))),
        examples=_count(proof.get("examples")),
        cases=_count(proof.get("cases")),
    )


def _object(report: str) -> Mapping[str, object]:
    with suppress(orjson.JSONDecodeError):
        return _mapping(orjson.loads(report))
    return {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
