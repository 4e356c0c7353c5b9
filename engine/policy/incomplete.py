"""Rules on incomplete facts: which fire whatever the lacking facts are, and which may."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from engine.domain.verdicts import FactValue
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    Membership,
    Negation,
    facts_read,
)
from engine.policy.generating import Generated
from engine.policy.packs import Pack

_TRUE, _FALSE = AllOf(()), AnyOf(())


@dataclass(frozen=True, slots=True)
class Bounds:
    """The rules of a pack without some of their facts.

    A rule that fires on every value of the lacking facts need not be among the surely fired (a
    fact that stands in two comparisons is taken as two), but what is surely fired does fire, and
    what is not possibly fired does not.
    """

    surely: Generated
    possibly: Generated

    def masks(self, values: Mapping[str, FactValue]) -> tuple[int, int]:
        """Return which rules surely fire and which possibly do: bit n stands for rule n."""
        surely, possibly = self.surely, self.possibly
        return surely.mask(surely.pick(values)), possibly.mask(possibly.pick(values))


def bounds_without(pack: Pack, lacking: Collection[str]) -> Bounds:
    """Return the rules of `pack` as far as they can be told without the facts `lacking`.

    Three-valued logic (Kleene 1952, § 64) by its two bounds: a comparison of a lacking fact counts
    as false for the lower and as true for the upper one, the other way round under a negation.
    """
    lower, upper = (
        Generated([(r.id, _settled(r.condition, lacking, counts)) for r in pack.rules])
        for counts in (False, True)
    )
    return Bounds(lower, upper)


def _settled(condition: Condition, lacking: Collection[str], counts: bool) -> Condition:
    match condition:
        case Comparison() | Membership():
            if facts_read(condition).isdisjoint(lacking):
                return condition
            return _TRUE if counts else _FALSE
        case AllOf(parts):
            return AllOf(tuple(_settled(part, lacking, counts) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_settled(part, lacking, counts) for part in parts))
        case Negation(part):
            return Negation(_settled(part, lacking, not counts))
