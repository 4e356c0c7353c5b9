"""Whether facts exist on which conditions hold: a search over their alternatives, with a budget.

Alternatives are not multiplied out. What must hold is solved as a conjunction (`conjunctions.py`);
only where its solution breaks a choice that is still open (`||`, or != between two facts) is
that choice split, as in lazy satisfiability modulo theories (Nieuwenhuis, Oliveras and Tinelli,
"Solving SAT and SAT modulo theories", 2006). Every solution is checked with the evaluator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from engine.domain.verdicts import FactValue
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Membership,
    Negation,
    Operator,
    facts_read,
)
from engine.policy.conjunctions import Exclusion, Literal, compared, model
from engine.policy.entries import FactEntry, FactType
from engine.policy.evaluating import holds
from engine.policy.vocabulary import Vocabulary

MOST_COMPARED = 20_000
"""Comparisons in the conjunctions solved for one question before it is left unanswered."""


class Possible(Enum):
    """Whether conditions can hold together."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether conditions can hold together, and facts on which they do."""

    possible: Possible
    facts: Mapping[str, FactValue]
    """Every fact that the conditions read and what is coupled to these; empty unless YES."""


_NO = Answer(Possible.NO, {})
_UNKNOWN = Answer(Possible.UNKNOWN, {})


class Budget:
    """How much may still be solved; one for several questions keeps their sum within bounds.

    Parameters
    ----------
    left
        Comparisons in conjunctions, each of which counts as one more.
    """

    def __init__(self, left: int) -> None:
        self.left = left


@dataclass(frozen=True, slots=True)
class _Choice:
    """Parts of which one must hold; a part with True must not hold."""

    parts: tuple[tuple[Condition, bool], ...]

    def met(self, facts: Mapping[str, FactValue]) -> bool:
        return any(holds(part, facts) is not negated for part, negated in self.parts)


@dataclass(frozen=True, slots=True)
class _Apart:
    """Two facts, no numbers, that must differ."""

    one: str
    other: str

    def met(self, facts: Mapping[str, FactValue]) -> bool:
        return facts[self.one] != facts[self.other]


_Goal = _Choice | _Apart


@dataclass(frozen=True, slots=True)
class _Branch:
    """What must hold, and which choices are open."""

    literals: tuple[Literal, ...]
    goals: tuple[_Goal, ...]


def satisfy(
    conditions: Sequence[Condition], vocabulary: Vocabulary, budget: Budget | None = None
) -> Answer:
    """Tell whether all of `conditions` can hold on one set of facts.

    Parameters
    ----------
    conditions
        As written, negations and all.
    vocabulary
        What the facts may be. A fact that is not known has its conservative value.
    budget
        What all questions together may cost; each one costs at most `MOST_COMPARED`.

    Returns
    -------
    Answer
        YES with facts, NO, or UNKNOWN where the budget ended first.
    """
    budget = budget or Budget(MOST_COMPARED)
    if budget.left < 1:
        return _UNKNOWN
    enough = max(0, budget.left - MOST_COMPARED)
    read = frozenset[str]().union(*map(facts_read, conditions))
    names, couplings = vocabulary.with_couplings(read)
    entries = {name: vocabulary.entries[name] for name in names}
    asked = (*conditions, *couplings)
    stack = [_split(_Branch((), ()), [(condition, False) for condition in asked], entries)]
    while stack:
        branch = stack.pop()
        cost = sum(map(compared, branch.literals)) + 1
        if budget.left - cost < enough:
            if not enough:  # nothing more is begun that could not be ended either
                budget.left = 0
            return _UNKNOWN
        budget.left -= cost
        apart = [(goal.one, goal.other) for goal in branch.goals if isinstance(goal, _Apart)]
        facts = model(branch.literals, entries, apart)
        if facts is None:
            continue
        open_goals = [goal for goal in branch.goals if not goal.met(facts)]
        if not open_goals:
            checked = all(holds(condition, facts) for condition in asked)
            return Answer(Possible.YES, facts) if checked else _UNKNOWN
        goal = min(open_goals, key=_width)
        stack.extend(reversed(list(_branches(branch, goal, facts, entries))))
    return _NO


def _width(goal: _Goal) -> int:
    return len(goal.parts) if isinstance(goal, _Choice) else 2


def _branches(
    branch: _Branch, goal: _Goal, facts: Mapping[str, FactValue], entries: Mapping[str, FactEntry]
) -> Iterator[_Branch]:
    if isinstance(goal, _Choice):
        rest = _Branch(branch.literals, tuple(g for g in branch.goals if g is not goal))
        for part in goal.parts:
            yield _split(rest, [part], entries)
        return
    # One of the two has this value or it has not: either way there is less to choose from.
    value = facts[goal.one]
    rest = _Branch(branch.literals, tuple(g for g in branch.goals if g is not goal))
    taken = Comparison(goal.one, Operator.EQUAL, value), Exclusion(goal.other, (value,))
    yield _Branch((*rest.literals, *taken), rest.goals)
    yield _Branch((*branch.literals, Exclusion(goal.one, (value,))), branch.goals)


def _split(
    branch: _Branch, parts: Sequence[tuple[Condition, bool]], entries: Mapping[str, FactEntry]
) -> _Branch:
    """Return `branch` with `parts` added: what is certain as literals, what is not as goals."""
    literals, goals = list(branch.literals), list(branch.goals)
    waiting = list(reversed(parts))
    while waiting:
        condition, negated = waiting.pop()
        match condition:
            case Negation(part):
                waiting.append((part, not negated))
            case AllOf(inner) | AnyOf(inner):
                signed = tuple((part, negated) for part in inner)
                if isinstance(condition, AllOf) is not negated:
                    waiting.extend(reversed(signed))
                else:
                    goals.append(_Choice(signed))
            case Membership(fact, values, _):
                literals.append(Exclusion(fact, values) if negated else condition)
            case Comparison(fact, operator, other, _):
                said = operator.negated if negated else operator
                if not isinstance(other, FactName) or said is not Operator.NOT_EQUAL:
                    literals.append(Comparison(fact, said, other))
                elif entries[fact].type is FactType.INT:
                    sides = (Operator.LESS, Operator.MORE)
                    goals.append(
                        _Choice(tuple((Comparison(fact, side, other), False) for side in sides))
                    )
                else:
                    goals.append(_Apart(fact, other.name))
    return _Branch(tuple(literals), tuple(goals))
