"""What can be said of when rules fire: each by itself, and two of them together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum

from engine.domain.verdicts import FactValue
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Condition,
    Membership,
    Negation,
    facts_read,
    params_read,
)
from engine.policy.evaluating import holds
from engine.policy.packs import Rule
from engine.policy.satisfying import Answer, Budget, Possible, satisfy
from engine.policy.vocabulary import Vocabulary, with_free_parameters

MOST_COMPARED_FOR_A_PACK = 200_000
"""Comparisons in the conjunctions solved for one pack: some seconds, whatever the pack."""

MOST_TRIED_FOR_A_PACK = 5_000_000
"""Comparisons in the conditions that are tried on fact sets met before, for one pack."""

_MOST_REMEMBERED = 20
"""Fact sets kept of one rule: most pairs of rules are told apart by them, without a search."""

_AS_FAST = 16
"""Values of a list that are looked through as fast as one comparison is made."""


class Certainty(Enum):
    """Whether something holds of rules."""

    ALWAYS = "under any parameters"
    NOW = "under the present parameters"
    NOT = "not"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Firing:
    """A rule, and whole facts on which it fires that were met so far."""

    rule: Rule
    reads: frozenset[str]
    subjects: frozenset[str]
    """What it reads, a `…_known` named as the fact it tells of."""
    size: int
    """What it costs to try it on facts, in comparisons."""
    fires_on: list[dict[str, FactValue]] = field(default_factory=list)


class Firings:
    """Answers questions about the rules of one pack, within one budget.

    Parameters
    ----------
    vocabulary
        The facts of the pack's decision.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._budget = Budget(MOST_COMPARED_FOR_A_PACK)
        self._tries = MOST_TRIED_FOR_A_PACK

    def of(self, rule: Rule) -> Firing:
        """Return `rule` as what questions are asked of."""
        reads = facts_read(rule.condition)
        subjects = frozenset(map(self._vocabulary.subject, reads))
        return Firing(rule, reads, subjects, _size(rule.condition))

    def never_fires(self, firing: Firing) -> Certainty:
        """Tell whether no facts fire the rule; if some do, `fires_on` holds such facts."""
        return self._impossible((firing.rule.condition,), firing)

    def always_fires(self, firing: Firing) -> Certainty:
        """Tell whether all facts fire the rule."""
        return self._impossible((Negation(firing.rule.condition),))

    def lies_within(self, inner: Firing, outer: Firing) -> Certainty:
        """Tell whether `outer` fires wherever `inner` does."""
        fires = all(self._fires(outer, facts) for facts in inner.fires_on)
        if self._tries < 0:
            return Certainty.UNKNOWN
        if not fires:
            return Certainty.NOT
        return self._impossible((inner.rule.condition, Negation(outer.rule.condition)), inner)

    def overlap(self, one: Firing, other: Firing) -> Answer:
        """Tell whether some facts fire both rules, and which; each fires on some."""
        tried = [*one.fires_on, *other.fires_on]
        if not one.subjects & other.subjects:
            tried = [one.fires_on[0] | self._own(other)]
        for facts in tried:
            if self._fires(one, facts) and self._fires(other, facts):
                return Answer(Possible.YES, facts)
        if self._tries < 0:
            return Answer(Possible.UNKNOWN, {})
        return self._ask((one.rule.condition, other.rule.condition))

    def exclusive(self, firing: Firing) -> list[Condition]:
        """Return as few parts of a rule that never fires as cannot hold together.

        Found by leaving out what is not needed, one part after the other (deletion filter;
        Chinneck and Dravnieks, "Locating minimal infeasible constraint sets", 1991).
        """
        parts = _conjuncts(firing.rule.condition)
        for part in list(parts):
            rest = [kept for kept in parts if kept is not part]
            if rest and self._ask(rest).possible is Possible.NO:
                parts = rest
        return parts

    def witness(self, facts: Mapping[str, FactValue], *firings: Firing) -> dict[str, FactValue]:
        """Return of `facts` what the rules read."""
        read = frozenset[str]().union(*(firing.reads for firing in firings))
        whole = facts if read <= facts.keys() else self._vocabulary.completed(facts)
        return {name: whole[name] for name in sorted(read)}

    def _fires(self, firing: Firing, facts: Mapping[str, FactValue]) -> bool:
        """Tell whether a rule fires on `facts`; after `MOST_TRIED_FOR_A_PACK`, that it does not."""
        if self._tries < 0:
            return False
        self._tries -= firing.size
        return holds(firing.rule.condition, facts)

    def _own(self, firing: Firing) -> dict[str, FactValue]:
        """Return facts that fire the rule, but only those that it is about."""
        facts = firing.fires_on[0]
        return {n: v for n, v in facts.items() if self._vocabulary.subject(n) in firing.subjects}

    def _impossible(
        self, conditions: Collection[Condition], fires: Firing | None = None
    ) -> Certainty:
        """Tell whether `conditions` cannot hold together; facts on which they do fire `fires`."""
        answer = self._ask(conditions)
        if answer.possible is Possible.UNKNOWN:
            return Certainty.UNKNOWN
        if answer.possible is Possible.YES:
            if fires is not None and len(fires.fires_on) < _MOST_REMEMBERED:
                fires.fires_on.append(self._vocabulary.completed(answer.facts))
            return Certainty.NOT
        whole = AllOf(tuple(conditions))
        if not params_read(whole):
            return Certainty.ALWAYS
        freed, vocabulary = with_free_parameters(whole, self._vocabulary)
        free = satisfy([freed], vocabulary, self._budget)
        return Certainty.ALWAYS if free.possible is Possible.NO else Certainty.NOW

    def _ask(self, conditions: Collection[Condition]) -> Answer:
        return satisfy(list(conditions), self._vocabulary, self._budget)


def _size(condition: Condition) -> int:
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return sum(map(_size, parts))
        case Negation(part):
            return _size(part)
        case Membership(_, values, _):
            return 1 + len(values) // _AS_FAST
    return 1


def _conjuncts(condition: Condition) -> list[Condition]:
    if isinstance(condition, AllOf):
        return [part for inner in condition.parts for part in _conjuncts(inner)]
    return [condition]
