"""Conditions to durable_rules rulesets that stay inside the envelope where its matcher is sound.

Every condition becomes alternatives (a disjunctive normal form) and every alternative one rule: a
plain conjunction of comparisons behind a `kind` guard. So there is no `$or`, no `$nex`, no `$not`,
no arithmetic, no regular expression and no ordering of texts in what the engine is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product

import msgspec

from engine.domain.errors import PackInvalid
from engine.domain.verdicts import FactValue
from engine.policy.attribute_names import KIND, asserted_name, check_attributes
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
from engine.policy.packs import Pack, Rule

MOST_ALTERNATIVES = 60
"""In one ruleset: durable_rules fails with error 303 when 65 rules fire at once."""

MOST_COMPARISONS = 100
"""In one alternative: durable_rules allows 512 conditions under one node."""

MOST_COMPARISONS_OF_A_PACK = 20_000
"""In all its alternatives: durable_rules takes some 20 kB for each."""

FACT, SENTINEL = "fact", "sentinel"
"""The kinds of fact that the wrapper asserts."""

NAME_LENGTH = 3
"""Characters of every rule name in the engine: an answer begins with one."""

WITNESS = "wit"
"""Fires on every fact, so that silence is never mistaken for consent."""

SENTINEL_RULE = "sen"
"""Fires once after creation: a ruleset that never fired cannot be deleted safely."""

Term = dict[str, object]
Alternative = tuple[Comparison, ...]

_OPERATORS = {
    Operator.NOT_EQUAL: "$neq",
    Operator.LESS: "$lt",
    Operator.AT_MOST: "$lte",
    Operator.MORE: "$gt",
    Operator.AT_LEAST: "$gte",
}


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What one durable_rules engine is made from."""

    name: str
    definition: str
    """JSON."""
    facts: tuple[str, ...]
    """The catalogue names that the rules read: only these are asserted, by their number here."""
    rules: Mapping[str, int]
    """The engine's rule name → the index of the rule it stands for."""


def compile_rules(name: str, rules: Sequence[Rule]) -> tuple[Ruleset, ...]:
    """Compile a pack's rules into as few rulesets as the engine's limits allow.

    Parameters
    ----------
    name
        What the rulesets are called; a number is appended.
    rules
        The rules in pack order; a fired rule is reported by its index here.

    Raises
    ------
    PackInvalid
        If a rule has too many alternatives or comparisons.
    PolicyError
        If the rules of one ruleset read more facts than the engine can take.
    """
    groups: list[dict[str, tuple[int, Alternative]]] = [{}]
    for index, rule in enumerate(rules):
        found = alternatives(rule)
        if len(groups[-1]) + len(found) > MOST_ALTERNATIVES:
            groups.append({})
        for alternative in found:
            groups[-1][f"r{len(groups[-1]):02}"] = index, alternative
    return tuple(_ruleset(f"{name}_{n}", group) for n, group in enumerate(groups))


def alternatives(rule: Rule) -> tuple[Alternative, ...]:
    """Return the conjunctions of comparisons of which one must hold for `rule` to fire.

    Raises
    ------
    PackInvalid
        If they are more than the engine can take.
    """
    _size_of(rule)
    positive = _without_negation(rule.condition, negated=False)
    return tuple(dict.fromkeys(tuple(dict.fromkeys(a)) for a in _alternatives(positive)))


def check_compilable(pack: Pack) -> None:
    """Do nothing if the rules of `pack` fit into the engine, each of them and all together.

    What is not compiled for the engine, as a candidate that is only replayed, is asked here: any
    evaluation of a larger pack would cost more memory and time than anybody should get.

    Raises
    ------
    PackInvalid
        If a rule has too many alternatives or comparisons, or all rules have.
    """
    found = sum(_size_of(rule).comparisons for rule in pack.rules)
    if found > MOST_COMPARISONS_OF_A_PACK:
        raise PackInvalid(
            f"{pack.file}:1:1: its rules join {found} comparisons",
            f"at most {MOST_COMPARISONS_OF_A_PACK}: ask for derived facts instead of long lists",
            "TOO_MANY_COMPARISONS",
        )


@dataclass(frozen=True, slots=True)
class _Size:
    """What a condition comes to when it is multiplied out."""

    alternatives: int
    longest: int
    """Comparisons in the longest alternative."""
    comparisons: int
    """Comparisons in all of them together."""


def _size_of(rule: Rule) -> _Size:
    # Counted before anything is built: a short condition can have millions.
    size = _size(rule.condition, negated=False)
    if size.alternatives > MOST_ALTERNATIVES:
        raise PackInvalid(
            f"{rule.written_at}: the rule {rule.id!r} has {size.alternatives} alternatives",
            f"at most {MOST_ALTERNATIVES}: write several rules, or ask for a derived fact",
            "TOO_MANY_ALTERNATIVES",
        )
    if size.longest > MOST_COMPARISONS:
        raise PackInvalid(
            f"{rule.written_at}: the rule {rule.id!r} joins {size.longest} comparisons",
            f"at most {MOST_COMPARISONS}: write several rules",
            "TOO_MANY_COMPARISONS",
        )
    return size


def _size(condition: Condition, *, negated: bool) -> _Size:
    match condition:
        case Membership(_, values, _):
            count = len(values)
            return _Size(1, count, count) if negated else _Size(count, 1, count)
        case AllOf(parts) | AnyOf(parts):
            sizes = [_size(part, negated=negated) for part in parts]
            together = isinstance(condition, AllOf) is not negated
            return reduce(_joined if together else _either, sizes)
        case Negation(part):
            return _size(part, negated=not negated)
    return _Size(1, 1, 1)


def _joined(one: _Size, other: _Size) -> _Size:
    return _Size(
        one.alternatives * other.alternatives,
        one.longest + other.longest,
        one.comparisons * other.alternatives + other.comparisons * one.alternatives,
    )


def _either(one: _Size, other: _Size) -> _Size:
    return _Size(
        one.alternatives + other.alternatives,
        max(one.longest, other.longest),
        one.comparisons + other.comparisons,
    )


def _without_negation(condition: Condition, *, negated: bool) -> Condition:
    """Push negations down to the comparisons, and spell memberships out."""
    match condition:
        case Comparison(fact, operator, other, source):
            return Comparison(fact, operator.negated, other, source) if negated else condition
        case Membership(fact, values, _):
            operator = Operator.NOT_EQUAL if negated else Operator.EQUAL
            parts: tuple[Condition, ...] = tuple(Comparison(fact, operator, v) for v in values)
            return AllOf(parts) if negated else AnyOf(parts)
        case AllOf(parts) | AnyOf(parts):
            inner = tuple(_without_negation(part, negated=negated) for part in parts)
            return AllOf(inner) if isinstance(condition, AllOf) is not negated else AnyOf(inner)
        case Negation(part):
            return _without_negation(part, negated=not negated)


def _alternatives(condition: Condition) -> list[Alternative]:
    match condition:
        case Comparison():
            return [(condition,)]
        case AnyOf(parts):
            return [found for part in parts for found in _alternatives(part)]
        case AllOf(parts):
            return [
                tuple(comparison for chosen in choice for comparison in chosen)
                for choice in product(*map(_alternatives, parts))
            ]
    raise PackInvalid(f"{type(condition).__name__} was not spelt out before compiling")


def _ruleset(name: str, group: Mapping[str, tuple[int, Alternative]]) -> Ruleset:
    read = dict.fromkeys(
        fact
        for _, alternative in group.values()
        for comparison in alternative
        for fact in _facts(comparison)
    )
    attributes = {fact: asserted_name(number) for number, fact in enumerate(read)}
    check_attributes(attributes.values())
    definition = {
        rule: _rule(FACT, [_term(comparison, attributes) for comparison in alternative])
        for rule, (_, alternative) in group.items()
    }
    definition[WITNESS] = _rule(FACT, [])
    definition[SENTINEL_RULE] = _rule(SENTINEL, [])
    return Ruleset(
        name=name,
        # As facts are written: texts are compared as they stand there, escapes and all.
        definition=msgspec.json.encode(definition).decode(),
        facts=tuple(read),
        rules={rule: index for rule, (index, _) in group.items()},
    )


def _rule(kind: str, terms: Sequence[Term]) -> dict[str, object]:
    return {"all": [{"m": {"$and": [{KIND: kind}, *terms]}}]}


def _term(comparison: Comparison, attributes: Mapping[str, str]) -> Term:
    attribute = attributes[comparison.fact]
    other = _operand(comparison.other, attributes)
    if comparison.operator is Operator.EQUAL:
        return {attribute: other}
    return {_OPERATORS[comparison.operator]: {attribute: other}}


def _operand(other: FactValue | FactName, attributes: Mapping[str, str]) -> object:
    return {"$m": attributes[other.name]} if isinstance(other, FactName) else other


def _facts(comparison: Comparison) -> tuple[str, ...]:
    if isinstance(comparison.other, FactName):
        return comparison.fact, comparison.other.name
    return (comparison.fact,)
