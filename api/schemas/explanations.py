"""Why rules fired, as operators see it."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from api.schemas.base import Answer
from engine.domain.verdicts import PackRef, RuleTrace


class Comparison(Answer):
    """One comparison of a rule as it stood."""

    attribute: str
    value: bool | int | str
    operator: str
    threshold: bool | int | str | list[bool | int | str]
    holds: bool
    source: str | None = Field(
        None,
        description="What the threshold was written as; null for a literal",
        examples=["params.daily_gifts"],
    )


class FiredRule(Answer):
    """A rule that fired and why."""

    rule: str
    description: str
    conditions: list[Comparison]


class Explanation(Answer):
    """What operators may see of a verdict."""

    pack: str
    version: int
    hash: str
    rules: list[FiredRule]


def explanation_of(pack: PackRef, traces: Iterable[RuleTrace]) -> Explanation:
    """Return what `pack` said and why, as an answer tells it."""
    rules = []
    for trace in traces:
        conditions = [
            Comparison(
                attribute=c.attribute,
                value=c.value,
                operator=c.operator,
                threshold=list(c.threshold) if isinstance(c.threshold, tuple) else c.threshold,
                holds=c.holds,
                source=c.source,
            )
            for c in trace.conditions
        ]
        rules.append(
            FiredRule(rule=trace.rule, description=trace.description, conditions=conditions)
        )
    return Explanation(pack=pack.pack, version=pack.version, hash=pack.hash, rules=rules)
