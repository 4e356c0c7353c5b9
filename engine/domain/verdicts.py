"""What a rule pack answered: the effect, the rules that fired and the pack that said so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson

GREATEST_NUMBER = 2**53
"""Whole numbers stay exact in JSON and in every reader of a decision up to here."""

LONGEST_TEXT = 256
"""Characters; durable_rules compares lengths in 16 bits."""

FactValue = bool | int | str
"""A fact is a truth, a whole number within ±2^53 or a text of at most 256 characters."""


@dataclass(frozen=True, slots=True)
class FactSet:
    """Facts by catalogue name, complete for one decision."""

    values: Mapping[str, FactValue]


class Effect(StrEnum):
    """What a rule or a whole verdict does; deny beats review beats allow."""

    ALLOW = "allow"
    REVIEW = "review"
    DENY = "deny"

    @property
    def severity(self) -> int:
        """Return 0 for allow, 1 for review and 2 for deny."""
        return ("allow", "review", "deny").index(self.value)


@dataclass(frozen=True, slots=True)
class PackRef:
    """Exactly which rules decided."""

    pack: str
    version: int
    hash: str
    """SHA-256 of the canonical pack, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class FiredRule:
    """A rule whose condition held."""

    rule: str
    effect: Effect
    reason: str | None
    """A code of the reason catalogue; None for a rule that only sets values."""
    requires: str | None = None
    """What would have satisfied the rule, such as `guardian_consent`."""
    sets: tuple[tuple[str, FactValue], ...] = ()
    """The outputs it sets, such as `("settle.platform_ppm", 250000)`."""
    priority: int = 0
    """Where several rules set one output, the highest priority wins."""


def fired_rules(recorded: str) -> tuple[FiredRule, ...]:
    """Return the fired rules that a decision was recorded with, from their JSON.

    Decisions from before rules could set outputs say nothing of them: such rules set none.
    """
    return tuple(
        FiredRule(
            rule["rule"],
            Effect(rule["effect"]),
            rule["reason"],
            rule["requires"],
            tuple((name, value) for name, value in rule.get("sets", ())),
            rule.get("priority", 0),
        )
        for rule in orjson.loads(recorded)
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of one pack to one set of facts."""

    decision: str
    effect: Effect
    fired: tuple[FiredRule, ...]
    """In the pack's order, every rule that fired, whatever its effect."""
    pack: PackRef

    @property
    def allowed(self) -> bool:
        """Whether the answer is a plain yes."""
        return self.effect is Effect.ALLOW

    @property
    def reasons(self) -> tuple[str, ...]:
        """The distinct reason codes of the rules that carry the winning effect, in pack order."""
        if self.effect is Effect.ALLOW:
            return ()
        won = (f.reason for f in self.fired if f.effect is self.effect)
        return tuple(dict.fromkeys(reason for reason in won if reason is not None))

    @property
    def outputs(self) -> dict[str, FactValue]:
        """The outputs that the fired rules set, each by the rule of the highest priority."""
        ordered = sorted(self.fired, key=lambda rule: rule.priority)
        return {name: value for rule in ordered for name, value in rule.sets}


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One comparison of a rule as it stood, for operators."""

    attribute: str
    value: FactValue
    operator: str
    threshold: FactValue | tuple[FactValue, ...]
    holds: bool
    source: str | None = None
    """What the threshold was written as, such as `params.daily_gifts`; None for a literal."""


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """Why one rule fired: its comparisons with their values."""

    rule: str
    description: str
    conditions: tuple[ConditionTrace, ...]


@dataclass(frozen=True, slots=True)
class PublicReason:
    """What anyone may be told: a code, a text and the next step, in one language."""

    code: str
    text: str
    next_step: str


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as it is kept: enough to replay it."""

    decision_id: str
    purpose: str
    """`check`, `send`, `settle`, `swap`, `review`, `recommend`, `offer` or `evaluate`."""
    occurred_at: int
    verdict: Verdict
    facts: FactSet
    latency_us: int
