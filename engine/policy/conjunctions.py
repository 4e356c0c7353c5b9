"""Comparisons that must all hold: facts on which they do, or the certainty that there are none.

Facts that must be equal are one class. A class of numbers is an interval with holes, a class of
texts or truths a set, or all texts but some. What is left are orders between number classes. They
are difference constraints (Cormen et al., Introduction to Algorithms, "Difference constraints and
shortest paths"): a cycle that asks a number to exceed itself is found by Bellman and Ford's
relaxation. Without such a cycle, raising lower bounds to the next member of each set ends in the
least solution, because sets and orders are closed under taking the greater value (Jeavons and
Cooper, "Tractable constraints on ordered domains", 1995). So the answer is exact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from engine.domain.verdicts import GREATEST_NUMBER, FactValue
from engine.policy.conditions import Comparison, FactName, Membership, Operator
from engine.policy.entries import FactEntry, FactType
from engine.policy.number_sets import ALL_NUMBERS, NumberSet


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A fact that is none of several constants."""

    fact: str
    values: tuple[FactValue, ...]


Literal = Comparison | Membership | Exclusion
"""What joins to a conjunction. A Comparison of two facts with != is never among them: it is a
choice, which the search makes."""


def compared(literal: Literal) -> int:
    """Return how many comparisons `literal` comes to: a list has one for each of its values."""
    return 1 if isinstance(literal, Comparison) else len(literal.values)


@dataclass(frozen=True, slots=True)
class ValueSet:
    """Texts or truths: those listed in order of preference, or all texts where none are listed,
    each time without the excluded."""

    listed: tuple[FactValue, ...] | None
    excluded: frozenset[FactValue] = frozenset()

    def __bool__(self) -> bool:
        return self.listed is None or bool(self.listed)

    def only(self, values: Collection[FactValue]) -> ValueSet:
        """Return those of `values` that are in this set."""
        if self.listed is None:
            return ValueSet(tuple(v for v in values if v not in self.excluded))
        return ValueSet(tuple(v for v in self.listed if v in values))

    def without(self, values: Collection[FactValue]) -> ValueSet:
        """Return this set without `values`."""
        if self.listed is None:
            return ValueSet(None, self.excluded.union(values))
        return ValueSet(tuple(v for v in self.listed if v not in values))


Domain = NumberSet | ValueSet


def model(
    literals: Sequence[Literal],
    entries: Mapping[str, FactEntry],
    apart: Collection[tuple[str, str]] = (),
) -> dict[str, FactValue] | None:
    """Return facts on which all of `literals` hold, None if there are none.

    Parameters
    ----------
    literals
        What must hold together.
    entries
        Every fact that is to have a value, each with what it may be. What `literals` compare must
        be among them.
    apart
        Facts that must differ. Here they only must not be forced to be equal; facts with few
        values may still come out equal, and it is for the caller to choose again.

    Returns
    -------
    dict[str, FactValue] | None
        Numbers as small as may be without being negative, or as little negative as may be. A text
        that may be anything gets one that no literal names, and another one than every other
        class of facts.
    """
    classes = _Classes(entries)
    orders: list[tuple[str, str, int]] = []
    unary: list[Literal] = []
    for literal in literals:
        if isinstance(literal, Comparison) and isinstance(literal.other, FactName):
            if literal.operator is Operator.EQUAL:
                classes.join(literal.fact, literal.other.name)
            else:
                orders.append(_order(literal.fact, literal.operator, literal.other.name))
        else:
            unary.append(literal)
    if any(classes.root(one) == classes.root(other) for one, other in apart):
        return None
    domains = _domains(unary, entries, classes)
    if not all(domains.values()):
        return None
    between = {(classes.root(low), classes.root(high), gap) for low, high, gap in orders}
    numbers = _numbers({r: d for r, d in domains.items() if isinstance(d, NumberSet)}, between)
    if numbers is None:
        return None
    values = {r: d for r, d in domains.items() if isinstance(d, ValueSet)}
    chosen: dict[str, FactValue] = {**numbers, **_choices(values)}
    return {name: chosen[classes.root(name)] for name in entries}


class _Classes:
    """Facts that must be equal, by union and find."""

    def __init__(self, names: Collection[str]) -> None:
        self._parent = {name: name for name in names}

    def root(self, name: str) -> str:
        while self._parent[name] != name:
            self._parent[name] = name = self._parent[self._parent[name]]
        return name

    def join(self, one: str, other: str) -> None:
        self._parent[self.root(other)] = self.root(one)


def _domains(
    unary: Sequence[Literal], entries: Mapping[str, FactEntry], classes: _Classes
) -> dict[str, Domain]:
    """Return what each class may be by what `unary` says of its facts."""
    domains: dict[str, Domain] = {}
    for name, entry in entries.items():
        root = classes.root(name)
        domains[root] = _met(domains[root], entry) if root in domains else _domain(entry)
    # Holes are made last and all at once: one by one would be quadratic.
    holes: dict[str, list[FactValue]] = {}
    for literal in unary:
        root = classes.root(literal.fact)
        match literal:
            case Exclusion(_, values):
                holes.setdefault(root, []).extend(values)
            case Comparison(_, Operator.NOT_EQUAL, value, _) if not isinstance(value, FactName):
                holes.setdefault(root, []).append(value)
            case Comparison() | Membership():
                domains[root] = _narrowed(domains[root], literal)
    for root, excluded in holes.items():
        domains[root] = _without(domains[root], excluded)
    return domains


def _order(fact: str, operator: Operator, other: str) -> tuple[str, str, int]:
    """Return the lower fact, the higher one, and by how much it must be higher."""
    if operator in (Operator.MORE, Operator.AT_LEAST):
        fact, operator, other = other, operator.mirrored, fact
    return fact, other, int(operator is Operator.LESS)


def _domain(entry: FactEntry) -> Domain:
    if entry.type is FactType.INT:
        return ALL_NUMBERS.between(entry.least, entry.greatest)
    if entry.type is FactType.BOOL:
        # Most truths are exceptions, but most facts are known.
        return ValueSet((True, False) if entry.name.endswith("_known") else (False, True))
    return ValueSet(entry.values or None)


def _met(domain: Domain, entry: FactEntry) -> Domain:
    """Return what of `domain` a fact of the same class, so of the same type, may be too."""
    if isinstance(domain, NumberSet):
        return domain.between(entry.least, entry.greatest)
    return domain.only(entry.values) if entry.values else domain


def _narrowed(domain: Domain, literal: Comparison | Membership) -> Domain:
    match literal:
        case Membership(_, values, _):
            return _only(domain, values)
        case Comparison(_, Operator.EQUAL, value, _) if not isinstance(value, FactName):
            return _only(domain, (value,))
        case Comparison(_, operator, int(bound), _) if isinstance(domain, NumberSet):
            return domain.between(*_bounds(operator, bound))
    return domain


def _only(domain: Domain, values: tuple[FactValue, ...]) -> Domain:
    if isinstance(domain, NumberSet):
        return domain.only(value for value in values if isinstance(value, int))
    return domain.only(values)


def _without(domain: Domain, values: Sequence[FactValue]) -> Domain:
    if isinstance(domain, NumberSet):
        return domain.without(value for value in values if isinstance(value, int))
    return domain.without(values)


def _bounds(operator: Operator, bound: int) -> tuple[int, int]:
    if operator is Operator.LESS:
        return -GREATEST_NUMBER, bound - 1
    if operator is Operator.AT_MOST:
        return -GREATEST_NUMBER, bound
    return (bound + 1 if operator is Operator.MORE else bound), GREATEST_NUMBER


def _numbers(
    domains: Mapping[str, NumberSet], orders: Collection[tuple[str, str, int]]
) -> dict[str, int] | None:
    if orders and _exceeds_itself(domains, orders):
        return None
    found = _least(domains, orders, 0)
    if found is not None:
        return found
    # Most facts are counts and amounts: the highest floor below which nothing need go.
    low, high = -GREATEST_NUMBER, 0
    found = _least(domains, orders, low)
    while found is not None and high - low > 1:
        middle = (low + high) // 2
        higher = _least(domains, orders, middle)
        if higher is None:
            high = middle
        else:
            low, found = middle, higher
    return found


def _exceeds_itself(names: Collection[str], orders: Collection[tuple[str, str, int]]) -> bool:
    heights = dict.fromkeys(names, 0)
    for _ in range(len(heights)):
        raised = False
        for low, high, gap in orders:
            if heights[high] < heights[low] + gap:
                heights[high] = heights[low] + gap
                raised = True
        if not raised:
            return False
    return True


def _least(
    domains: Mapping[str, NumberSet], orders: Collection[tuple[str, str, int]], floor: int
) -> dict[str, int] | None:
    """Return the least solution that is nowhere below `floor`; no cycle may exceed itself."""
    found: dict[str, int] = {}
    for name, domain in domains.items():
        first = domain.first_from(floor)
        if first is None:
            return None
        found[name] = first
    raised = True
    while raised:
        raised = False
        for low, high, gap in orders:
            wanted = found[low] + gap
            if found[high] < wanted:
                first = domains[high].first_from(wanted)
                if first is None:
                    return None
                found[high] = first
                raised = True
    return found


def _choices(domains: Mapping[str, ValueSet]) -> dict[str, FactValue]:
    fresh: Iterator[str] | None = None
    chosen: dict[str, FactValue] = {}
    for root, domain in domains.items():
        if domain.listed is not None:
            chosen[root] = domain.listed[0]
            continue
        fresh = fresh or _fresh(domains.values())
        chosen[root] = next(fresh)
    return chosen


def _fresh(domains: Collection[ValueSet]) -> Iterator[str]:
    """Yield texts that no set lists or excludes, none twice."""
    taken: set[FactValue] = set()
    for domain in domains:
        taken.update(domain.listed or (), domain.excluded)
    for number in count():
        text = "any" if number == 0 else f"any {number}"
        if text not in taken:
            yield text
