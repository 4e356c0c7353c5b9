"""Body and answer of evaluating given facts; the answer is written without a model for each."""

from __future__ import annotations

from typing import Annotated, ClassVar

import orjson
from pydantic import Field, SkipValidation

from api.schemas.base import Answer, Body, Id, Instant, Parameters, micros
from api.schemas.explanations import Explanation
from api.schemas.reasons import Language, Reason
from engine.domain.verdicts import Effect, FactValue, Verdict
from engine.evaluating import Evaluation
from engine.policy.engine import PolicyEngine

MOST_SETS = 1_000
"""How many sets of facts one request may give."""

# The fact catalogue checks every value itself, strictly and by its own entry.
GivenFacts = SkipValidation[dict[str, FactValue | None]]


class DecisionPath(Parameters):
    """Which decision."""

    decision: Id = Field(description="Such as gift_send")


class EvaluateBody(Body):
    """The facts to decide on."""

    bulk: ClassVar[str | None] = "facts"

    facts: Annotated[
        list[GivenFacts],
        Field(
            min_length=1,
            max_length=MOST_SETS,
            description="Every supplied fact of the decision by its catalogue name, "
            "null where it is unknown",
        ),
    ]
    at: Instant | None = Field(
        None, description="The pack in effect at this instant decides; by default that of now"
    )
    explain: bool = Field(False, description="Add the rules' comparisons; asks for policy:read")
    language: Language = Field("en", description="Of the reasons' texts")

    @property
    def as_of(self) -> int | None:
        """The instant asked about in microseconds, if one was given."""
        return None if self.at is None else micros(self.at)


class Pack(Answer):
    """Exactly which rules decided."""

    pack: str
    version: int
    hash: str


class Evaluated(Answer):
    """The verdict on one set of facts."""

    decision_id: str
    verdict: Effect
    reasons: list[Reason]
    outputs: dict[str, bool | int | str] = Field(description="What the rules set")
    pack: Pack | None = Field(None, description="Only for keys with policy:read")
    explanation: Explanation | None = None


class Evaluations(Answer):
    """One verdict for each set of facts, in their order."""

    decisions: list[Evaluated]


def written(
    evaluation: Evaluation,
    policy: PolicyEngine,
    language: Language,
    for_operators: bool,
) -> bytes:
    """Return an `Evaluations` as JSON: what a verdict says is put together once, not for each."""
    told: dict[int, dict[str, object]] = {}
    answers: list[dict[str, object]] = []
    for record in evaluation.records:
        verdict = record.verdict
        said = told.get(id(verdict))
        if said is None:
            said = told[id(verdict)] = _said(verdict, policy, language, for_operators)
        answers.append({"decision_id": record.decision_id, **said})
    for answer, record, traces in zip(answers, evaluation.records, evaluation.traces, strict=False):
        answer["explanation"] = {**_pack(record.verdict), "rules": traces}
    return orjson.dumps({"decisions": answers})


def _said(
    verdict: Verdict, policy: PolicyEngine, language: str, for_operators: bool
) -> dict[str, object]:
    return {
        "verdict": verdict.effect.value,
        "reasons": policy.public_reasons(verdict.reasons, language),
        "outputs": verdict.outputs,
        "pack": _pack(verdict) if for_operators else None,
        "explanation": None,
    }


def _pack(verdict: Verdict) -> dict[str, object]:
    return {
        "pack": verdict.pack.pack,
        "version": verdict.pack.version,
        "hash": verdict.pack.hash,
    }
