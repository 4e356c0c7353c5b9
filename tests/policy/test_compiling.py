"""Rulesets stay inside the envelope in which durable_rules matches soundly."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from engine.domain.errors import PackInvalid
from engine.domain.verdicts import FactSet
from engine.policy.attribute_names import asserted_name, attribute_name
from engine.policy.catalogue import FactCatalogue
from engine.policy.compiling import MOST_ALTERNATIVES, WITNESS, alternatives, compile_rules
from engine.policy.entries import FactEntry, FactType
from engine.policy.evaluating import holds
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Rule

FACTS = {"t.p": True, "t.q": False, "t.a": 1, "t.b": 2, "t.kind": "red", "t.s": "x", "t.u": "y"}


MakeRule = Callable[[str, str, FactCatalogue], Rule]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t.p", [[{"t_p": True}]]),
        ("!t.p", [[{"$neq": {"t_p": True}}]]),
        ("!(t.a < 3)", [[{"$gte": {"t_a": 3}}]]),
        ("!(t.a <= t.b)", [[{"$gt": {"t_a": {"$m": "t_b"}}}]]),
        ("t.p && t.a > 1", [[{"t_p": True}, {"$gt": {"t_a": 1}}]]),
        ("t.p || t.q", [[{"t_p": True}], [{"t_q": True}]]),
        ("!(t.p || t.a == 1)", [[{"$neq": {"t_p": True}}, {"$neq": {"t_a": 1}}]]),
        ("!(t.p && t.q)", [[{"$neq": {"t_p": True}}], [{"$neq": {"t_q": True}}]]),
        ("t.kind in ['red', 'blue']", [[{"t_kind": "red"}], [{"t_kind": "blue"}]]),
        ("!(t.a in [1, 2])", [[{"$neq": {"t_a": 1}}, {"$neq": {"t_a": 2}}]]),
        (
            "(t.p || t.q) && t.a == 1",
            [[{"t_p": True}, {"t_a": 1}], [{"t_q": True}, {"t_a": 1}]],
        ),
        ("t.p && t.p || t.p", [[{"t_p": True}]]),
    ],
)
def test_compile_rules_condition_becomes_guarded_conjunctions(
    small: FactCatalogue, rule: MakeRule, text: str, expected: list[list[object]]
) -> None:
    (ruleset,) = compile_rules("r", [rule("one", text, small)])
    text = ruleset.definition
    for number, fact in enumerate(ruleset.facts):
        text = text.replace(f'"{asserted_name(number)}"', f'"{attribute_name(fact)}"')
    definition = json.loads(text)
    bodies = [definition[name]["all"][0]["m"]["$and"] for name in ruleset.rules]
    assert bodies == [[{"kind": "fact"}, *terms] for terms in expected]
    assert definition[WITNESS] == {"all": [{"m": {"$and": [{"kind": "fact"}]}}]}


def test_alternatives_explosion_is_refused_before_it_is_built(
    small: FactCatalogue, rule: MakeRule
) -> None:
    text = " && ".join(["(t.p || t.a == 1)"] * 40)
    with pytest.raises(PackInvalid, match=r"f\.yaml:1:1: .* has 1099511627776 alternatives"):
        alternatives(rule("wide", text, small))


def test_alternatives_too_many_comparisons_are_refused(
    small: FactCatalogue, rule: MakeRule
) -> None:
    text = " && ".join(f"t.a != {n}" for n in range(101))
    with pytest.raises(PackInvalid, match="joins 101 comparisons"):
        alternatives(rule("long", text, small))


@pytest.mark.parametrize("count", [MOST_ALTERNATIVES, MOST_ALTERNATIVES + 1, 200])
def test_compile_rules_all_firing_at_once_are_all_reported(
    small: FactCatalogue, rule: MakeRule, count: int
) -> None:
    rules = [rule(f"r{n}", f"t.a > -{n + 1}", small) for n in range(count)]
    rulesets = compile_rules("many", rules)
    assert len(rulesets) == -(-count // MOST_ALTERNATIVES)
    guarded = GuardedRules(rulesets, small)
    assert guarded.fired([small.row(FactSet(FACTS))]) == [frozenset(range(count))]
    guarded.close()


def test_compile_rules_rule_with_several_true_alternatives_fires_once(
    small: FactCatalogue,
    rule: MakeRule,
) -> None:
    rules = [rule("r0", "t.p || t.a == 1 || t.kind in ['red', 'blue']", small)]
    guarded = GuardedRules(compile_rules("once", rules), small)
    assert guarded.fired([small.row(FactSet(FACTS))]) == [frozenset({0})]
    guarded.close()


def test_compile_rules_longest_alternative_still_matches(
    small: FactCatalogue, rule: MakeRule
) -> None:
    text = " && ".join([f"t.a != {n + 5}" for n in range(98)] + ["t.a < t.b", "t.s != t.u"])
    guarded = GuardedRules(compile_rules("long", [rule("r0", text, small)]), small)
    rows = [small.row(FactSet({**FACTS, "t.a": a, "t.b": 200})) for a in (4, 50, 102, 103)]
    assert [bool(fired) for fired in guarded.fired(rows)] == [True, False, False, True]
    guarded.close()


def test_compile_rules_no_attribute_name_means_anything_to_the_engine(rule: MakeRule) -> None:
    catalogue = FactCatalogue(
        "many", [FactEntry(f"t.n{n}", FactType.INT, "test", "a number") for n in range(60)]
    )
    asked = [
        text.format(a=f"t.n{n}", b=f"t.n{(n + 1) % 60}")
        for n in range(60)
        for text in ("{a} == 1", "{a} != 1", "{a} < 1", "{a} >= {b}", "{a} == {b} && {b} > 0")
    ]
    rules = [rule(f"r{n}", text, catalogue) for n, text in enumerate(asked)]
    # One ruleset would hold 60 rules and so not all names: all facts are read by each.
    read = rule("all", " && ".join(f"t.n{n} < 9" for n in range(60)), catalogue)
    for start in range(0, 300, 50):
        part = [read, *rules[start : start + 50]]
        (ruleset,) = compile_rules("many", part)
        assert len(ruleset.facts) == 60
        guarded = GuardedRules((ruleset,), catalogue)
        for shift in range(3):
            values = {f"t.n{n}": (n + shift) % 3 for n in range(60)}
            expected = {i for i, each in enumerate(part) if holds(each.condition, values)}
            assert guarded.fired([catalogue.row(FactSet(values))]) == [expected]
        guarded.close()
