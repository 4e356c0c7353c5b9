"""Coverage: do examples and cases fire every rule and probe every number it compares with?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import yaml

from engine.domain.verdicts import GREATEST_NUMBER
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Membership,
    Negation,
)
from engine.policy.entries import FactType
from engine.policy.evaluating import holds
from engine.policy.packs import Pack, Rule
from engine.policy.suggesting import Facts, Goal, Impossible, Leaf, leaves, suggest


@dataclass(frozen=True, slots=True)
class Probe:
    """A place where a number must have been tried.

    `value` is what the fact must be, or by how much it must exceed the fact `beside`.
    """

    leaf: int
    """Which comparison of the rule, in reading order."""
    fact: str
    value: int
    beside: str | None = None

    def met_by(self, facts: Facts) -> bool:
        """Tell whether complete facts of the rule lie at this place."""
        given = facts[self.fact]
        start = facts[self.beside] if self.beside is not None else 0
        return int(given) - int(start) == self.value

    @property
    def said(self) -> str:
        """The place in words."""
        if self.beside is None:
            return str(self.value)
        return self.beside + {-1: " - 1", 0: "", 1: " + 1"}[self.value]


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that no example or case shows.

    `example` holds facts of the rule that would show it and whether the rule then fires; None
    where the search for them was given up or, for what is dead, where there are none.
    """

    where: str
    rule: str
    message: str
    example: tuple[Facts, bool] | None

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}"
        return text if self.example is None else f"{text}\n    add - {written(*self.example)}"

    def as_json(self) -> dict[str, object]:
        """Return it for a machine."""
        facts, fires = self.example or (None, None)
        example = None if facts is None else {"facts": dict(facts), "fires": fires}
        return {
            "where": self.where,
            "rule": self.rule,
            "message": self.message,
            "example": example,
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """What examples and cases show of a pack's rules, in counts, and what they do not show."""

    rules: int
    rules_fired: int
    probes: int
    """Places at and beside thresholds where a rule can turn on the comparison alone."""
    probes_met: int
    gaps: tuple[Gap, ...]

    def as_json(self) -> dict[str, object]:
        """Return it for a machine."""
        return {
            "rules": self.rules,
            "rules_fired": self.rules_fired,
            "probes": self.probes,
            "probes_met": self.probes_met,
            "gaps": [gap.as_json() for gap in self.gaps],
        }


def cover(
    pack: Pack,
    catalogue: FactCatalogue,
    fired: Collection[int],
    seen: Sequence[Sequence[Facts]],
) -> Coverage:
    """Find what was never shown of a pack.

    A number counts as probed only where its comparison decides: were it forced to hold and forced
    to fail, the rule would fire in one and not in the other (the coverage that avionics calls
    modified condition/decision, RTCA DO-178C §6.4.4.2, here for numbers and at their edges).

    Parameters
    ----------
    pack
        The pack.
    catalogue
        The facts of its decision.
    fired
        The indices of the rules that fired at least once.
    seen
        For each rule, the facts it was evaluated on.

    Returns
    -------
    Coverage
        One gap for each rule that never fired and each place never probed. A place where the rule
        cannot turn on the comparison, whatever its other facts, is not asked for; a comparison
        that is so at all its places is a gap itself.
    """
    total = met = 0
    gaps: list[Gap] = []
    for index, rule in enumerate(pack.rules):
        if index not in fired:
            gaps.append(_silent(rule, catalogue))
        asked = probes(rule.condition, catalogue)
        found = frozenset(_met(rule.condition, asked, seen[index]))
        missing, impossible = _missing(rule, catalogue, [p for p in asked if p not in found])
        total += len(asked) - len(impossible)
        met += len(found)
        gaps += missing
        gaps += _dead(rule, asked, impossible)
    return Coverage(len(pack.rules), len(set(fired)), total, met, tuple(gaps))


def probes(condition: Condition, catalogue: FactCatalogue) -> list[Probe]:
    """Return every place to be probed: thresholds and listed numbers, and one step beside each."""
    found: dict[Probe, None] = {}
    for place, leaf in enumerate(leaves(condition)):
        if catalogue[leaf.fact].type is not FactType.INT:
            continue
        if isinstance(leaf, Comparison) and isinstance(leaf.other, FactName):
            places: Iterable[Probe] = (
                Probe(place, leaf.fact, step, leaf.other.name) for step in (-1, 0, 1)
            )
        else:
            values = leaf.values if isinstance(leaf, Membership) else (leaf.other,)
            numbers = [value for value in values if type(value) is int]
            beside = sorted({number + step for number in numbers for step in (-1, 0, 1)})
            places = (Probe(place, leaf.fact, v) for v in beside if abs(v) <= GREATEST_NUMBER)
        found.update(dict.fromkeys(places))
    return list(found)


def deciding(condition: Condition, facts: Facts) -> frozenset[int]:
    """Return which comparisons, counted in reading order, decide `condition` on these facts.

    One decides where forcing it to hold and forcing it to fail gives different results.
    """
    return _weigh(condition, facts, count())[1]


def written(facts: Facts, fires: bool) -> str:
    """Return an example as a pack's author writes it."""
    text: str = yaml.safe_dump(
        {"facts": dict(facts), "fires": fires},
        default_flow_style=True,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )
    return text.strip()


def _weigh(
    condition: Condition, facts: Facts, numbers: Iterator[int]
) -> tuple[bool, frozenset[int]]:
    match condition:
        case Comparison() | Membership():
            return holds(condition, facts), frozenset((next(numbers),))
        case Negation(part):
            held, decides = _weigh(part, facts, numbers)
            return not held, decides
        case AllOf(parts) | AnyOf(parts):
            # A part that settles the whole: one that fails in AllOf, one that holds in AnyOf.
            settles = isinstance(condition, AnyOf)
            weighed = [_weigh(part, facts, numbers) for part in parts]
            settling = [decides for held, decides in weighed if held is settles]
            if not settling:  # any part that turned would turn the whole
                return not settles, frozenset().union(*(decides for _, decides in weighed))
            return settles, settling[0] if len(settling) == 1 else frozenset()


def _met(condition: Condition, asked: Sequence[Probe], seen: Sequence[Facts]) -> Iterator[Probe]:
    for facts in seen if asked else ():
        decides = deciding(condition, facts)
        yield from (p for p in asked if p.leaf in decides and p.met_by(facts))


def _missing(
    rule: Rule, catalogue: FactCatalogue, missing: Sequence[Probe]
) -> tuple[list[Gap], set[Probe]]:
    gaps, impossible = [], set[Probe]()
    asked = list(leaves(rule.condition))
    for probe in missing:
        goal = Goal(probe.leaf, probe.fact, probe.value, probe.beside)
        try:
            facts = suggest(rule.condition, catalogue, goal)
        except Impossible:
            impossible.add(probe)
            continue
        message = f"{rule.id}: {_said(asked[probe.leaf])} is never probed at {probe.said}"
        gaps.append(Gap(rule.written_at, rule.id, message, _example(rule, facts)))
    return gaps, impossible


def _silent(rule: Rule, catalogue: FactCatalogue) -> Gap:
    try:
        facts = suggest(rule.condition, catalogue, None)
    except Impossible:
        message = f"{rule.id}: never fires, whatever the facts"
        return Gap(rule.written_at, rule.id, message, None)
    message = f"{rule.id}: no example or case makes it fire"
    return Gap(rule.written_at, rule.id, message, _example(rule, facts))


def _dead(rule: Rule, asked: Sequence[Probe], impossible: Collection[Probe]) -> Iterator[Gap]:
    alive = {probe.leaf for probe in asked if probe not in impossible}
    for number, leaf in enumerate(leaves(rule.condition)):
        if number not in alive and any(probe.leaf == number for probe in asked):
            message = f"{rule.id}: {_said(leaf)} decides nothing, whatever the facts: leave it out"
            yield Gap(rule.written_at, rule.id, message, None)


def _example(rule: Rule, facts: Facts | None) -> tuple[Facts, bool] | None:
    return None if facts is None else (facts, holds(rule.condition, facts))


def _said(leaf: Leaf) -> str:
    source = "" if leaf.source is None else f" ({leaf.source})"
    if isinstance(leaf, Membership):
        return f"{leaf.fact} in {list(leaf.values)}{source}"
    other = leaf.other.name if isinstance(leaf.other, FactName) else leaf.other
    return f"{leaf.fact} {leaf.operator.value} {other}{source}"
