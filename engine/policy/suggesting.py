"""Facts for an example that nobody has written yet: found, or known not to exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from engine.domain.verdicts import FactValue
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Membership,
    Negation,
    Operator,
)
from engine.policy.satisfying import Possible, satisfy
from engine.policy.vocabulary import vocabulary_of

Facts = Mapping[str, FactValue]

Leaf = Comparison | Membership
"""What a condition asks of one fact."""

_HOLDS: Condition = AllOf(())
_FAILS: Condition = AnyOf(())


class Impossible(Exception):
    """No facts show what was asked for."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A comparison, by its number in reading order, must decide the rule with `fact` at `value`,
    or at `value` more than the fact `beside`."""

    leaf: int
    fact: str
    value: int
    beside: str | None


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Return what `condition` asks of single facts, in reading order."""
    match condition:
        case Comparison() | Membership():
            yield condition
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Negation(part):
            yield from leaves(part)


def suggest(condition: Condition, catalogue: FactCatalogue, goal: Goal | None) -> Facts | None:
    """Find facts that make `condition` hold or, with a goal, turn on one comparison at one place.

    Parameters
    ----------
    condition
        A rule's condition.
    catalogue
        The facts of its decision.
    goal
        What the facts must show; None for any that make the rule fire.

    Returns
    -------
    Facts | None
        Exactly the facts that the condition reads, in reading order; None if none were found
        although there may be some.

    Raises
    ------
    Impossible
        If there are none.
    """
    asked = condition if goal is None else _turns_on(condition, goal.leaf)
    places: Sequence[Condition] = (
        [_HOLDS] if goal is None else list(_places(condition, catalogue, goal))
    )
    vocabulary, sure = vocabulary_of(catalogue), True
    for place in places:
        answer = satisfy([asked, place], vocabulary)
        if answer.possible is Possible.YES:
            return {name: answer.facts[name] for name in _facts_in_order(condition)}
        sure = sure and answer.possible is Possible.NO
    if sure:
        raise Impossible
    return None


def _turns_on(condition: Condition, leaf: int) -> Condition:
    """Return what holds where forcing a comparison to hold and to fail gives two results."""
    held = _forced(condition, leaf, _HOLDS, count())
    failed = _forced(condition, leaf, _FAILS, count())
    return AnyOf((AllOf((held, Negation(failed))), AllOf((failed, Negation(held)))))


def _forced(
    condition: Condition, leaf: int, result: Condition, numbers: Iterator[int]
) -> Condition:
    match condition:
        case Comparison() | Membership():
            return result if next(numbers) == leaf else condition
        case AllOf(parts):
            return AllOf(tuple(_forced(part, leaf, result, numbers) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_forced(part, leaf, result, numbers) for part in parts))
        case Negation(part):
            return Negation(_forced(part, leaf, result, numbers))


def _places(condition: Condition, catalogue: FactCatalogue, goal: Goal) -> Iterator[Condition]:
    """Yield what must hold of the goal's facts: one condition, or several to be tried in turn."""
    if goal.beside is None:
        yield Comparison(goal.fact, Operator.EQUAL, goal.value)
    elif goal.value == 0:
        yield Comparison(goal.fact, Operator.EQUAL, FactName(goal.beside))
    else:
        # A step beside another fact is no comparison, so that fact is tried where it matters: at
        # small numbers, around every constant, bound and what stands for the unknown.
        named = sorted({number for leaf in leaves(condition) for number in _numbers(leaf)})
        stand_ins = (catalogue[name].when_unknown for name in (goal.beside, goal.fact))
        named += [number for number in stand_ins if type(number) is int]
        read = [catalogue[name] for name in _facts_in_order(condition)]
        named += sorted({bound for entry in read for bound in (entry.least, entry.greatest)})
        around = (number + step for number in named for step in (0, 1, -1, 2, -2))
        entry = catalogue[goal.beside]
        for start in dict.fromkeys((1, 0, *around)):
            if entry.least <= start <= entry.greatest:
                yield AllOf(
                    (
                        Comparison(goal.beside, Operator.EQUAL, start),
                        Comparison(goal.fact, Operator.EQUAL, start + goal.value),
                    )
                )


def _numbers(leaf: Leaf) -> Iterator[int]:
    for value in leaf.values if isinstance(leaf, Membership) else (leaf.other,):
        if type(value) is int:
            yield value


def _facts_in_order(condition: Condition) -> dict[str, None]:
    found: dict[str, None] = {}
    for leaf in leaves(condition):
        found[leaf.fact] = None
        if isinstance(leaf, Comparison) and isinstance(leaf.other, FactName):
            found[leaf.other.name] = None
    return found
