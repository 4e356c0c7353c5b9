"""The generated function says what the condition trees say, whatever stands in them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.verdicts import FactSet, FactValue
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
from engine.policy.evaluating import holds
from engine.policy.folder import packs_in
from engine.policy.generating import Generated, generate
from engine.policy.incomplete import bounds_without
from engine.policy.packs import Pack

HOSTILE = [
    "",
    "'",
    '"',
    "\\",
    "\\'",
    "'''",
    "\n",
    "a\rb",
    "\u2028",
    "\x00",
    "{x}",
    "%s",
    "礼",
    "'); raise SystemExit(); ('",
]
NAMES = {"bool": ("t.p", "t.q"), "int": ("t.a", "t.b"), "text": ("t.s", "t.u")}

numbers = st.sampled_from([-(2**53), -1, 0, 1, 2**53]) | st.integers(-3, 3)
texts = st.sampled_from(HOSTILE) | st.text(max_size=5)
orders = st.sampled_from(list(Operator))
equals = st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL])


def comparisons(kind: str, values: st.SearchStrategy[FactValue]) -> st.SearchStrategy[Condition]:
    named = st.sampled_from(NAMES[kind])
    asked = orders if kind == "int" else equals
    listed = st.lists(values, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Comparison, named, asked, values),
        st.builds(Comparison, named, asked, named.map(FactName)),
        st.builds(Membership, named, listed),
    )


conditions = st.recursive(
    comparisons("bool", st.booleans()) | comparisons("int", numbers) | comparisons("text", texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple).map(AllOf),
        st.lists(inner, max_size=3).map(tuple).map(AnyOf),
        inner.map(Negation),
    ),
    max_leaves=8,
)
facts = st.fixed_dictionaries(
    {
        "t.p": st.booleans(),
        "t.q": st.booleans(),
        "t.a": numbers,
        "t.b": numbers,
        "t.s": texts,
        "t.u": texts,
    }
)


@pytest.fixture(scope="module")
def pack(rules_folder: Path) -> Pack:
    [found] = [pack for pack in packs_in(rules_folder) if pack.decides == "gift_send"]
    return found


def ruled(pack: Pack, written: list[Condition]) -> Pack:
    rules = [
        replace(pack.rules[0], id=f"r{n}", condition=condition)
        for n, condition in enumerate(written)
    ]
    return replace(pack, rules=tuple(rules))


@given(written=st.lists(conditions, max_size=40), asked=st.lists(facts, min_size=5, max_size=10))
def test_generated_rules_and_condition_trees_agree(
    pack: Pack, written: list[Condition], asked: list[dict[str, FactValue]]
) -> None:
    generated = generate(ruled(pack, written))
    for values in asked:
        expected = {n for n, condition in enumerate(written) if holds(condition, values)}
        assert generated.fired(values) == expected, generated.source


@given(
    written=st.lists(conditions, min_size=1, max_size=6),
    lacking=st.sets(st.sampled_from(["t.p", "t.a", "t.b", "t.s"]), min_size=1),
    known=facts,
    others=st.lists(facts, min_size=3, max_size=8),
)
def test_bounds_hold_whatever_the_lacking_facts_are(
    pack: Pack,
    written: list[Condition],
    lacking: set[str],
    known: dict[str, FactValue],
    others: list[dict[str, FactValue]],
) -> None:
    rules = ruled(pack, written)
    given_facts = {name: value for name, value in known.items() if name not in lacking}
    surely, possibly = bounds_without(rules, lacking).masks(given_facts)
    for other in others:
        whole = {**other, **given_facts}
        fired = sum(1 << n for n in generate(rules).fired(whole))
        assert surely & fired == surely
        assert fired & possibly == fired


def test_bounds_of_a_rule_without_the_lacking_facts_are_the_rule_itself(pack: Pack) -> None:
    rules = ruled(pack, [Comparison("t.p", Operator.EQUAL, True)])
    bounds = bounds_without(rules, ["t.a"])
    assert bounds.masks({"t.p": True}) == (1, 1)
    assert bounds.masks({"t.p": False}) == (0, 0)


def test_bounds_decide_a_conjunction_that_another_fact_refutes(pack: Pack) -> None:
    both = AllOf((Comparison("t.p", Operator.EQUAL, True), Comparison("t.a", Operator.MORE, 3)))
    bounds = bounds_without(ruled(pack, [both, Negation(both)]), ["t.a"])
    assert bounds.masks({"t.p": False}) == (0b10, 0b10)
    assert bounds.masks({"t.p": True}) == (0, 0b11)


def test_generated_shipped_rules_agree_with_their_examples(rules_folder: Path) -> None:
    for pack in packs_in(rules_folder):
        for rule in pack.rules:
            generated = Generated([(rule.id, rule.condition)])
            for example in rule.examples:
                assert generated.fired(example.facts) == ({0} if example.fires else set())


def test_missing_fact_is_an_error_and_never_silence(
    pack: Pack, gift: Callable[..., FactSet]
) -> None:
    generated = generate(pack)
    values = dict(gift().values)
    for name in generated.facts:
        with pytest.raises(KeyError, match=name):
            generated.fired({key: value for key, value in values.items() if key != name})


def test_facts_that_no_rule_reads_are_not_asked_for(pack: Pack) -> None:
    generated = generate(ruled(pack, [Comparison("t.b", Operator.MORE, 1)]))
    assert generated.facts == ("t.b",)
    assert generated.fired({"t.b": 2}) == {0}


def test_rules_without_any_fact_need_none(pack: Pack) -> None:
    generated = generate(ruled(pack, [AllOf(()), AnyOf(())]))
    assert generated.facts == ()
    assert generated.fired({}) == {0}


def test_equal_answers_are_one_object(pack: Pack, gift: Callable[..., FactSet]) -> None:
    generated = generate(pack)
    late = {"sender.day_gifts_after": 11}
    assert generated.fired(gift(late).values) is generated.fired(gift(late).values)


def test_rule_beyond_a_machine_word_fires_alone(pack: Pack) -> None:
    rules = [Comparison("t.a", Operator.EQUAL, n) for n in range(300)]
    generated = generate(ruled(pack, list(rules)))
    assert [generated.fired({"t.a": n}) for n in (0, 63, 299)] == [{0}, {63}, {299}]


@pytest.mark.parametrize("name", ["x'\nimport os  #", "rules", "row\n", "fired", "class", "礼"])
def test_names_that_are_no_variables_still_name_their_fact(pack: Pack, name: str) -> None:
    condition = AllOf(
        (Comparison(name, Operator.EQUAL, "礼'"), Comparison("a.b", Operator.MORE, 1))
    )
    rule = replace(pack.rules[0], id=name, condition=condition)
    generated = generate(replace(pack, rules=(rule,)))
    assert generated.fired({name: "礼'", "a.b": 2}) == {0}
    assert generated.fired({name: "礼", "a.b": 2}) == frozenset()


def test_names_that_become_one_variable_stay_two_facts(pack: Pack) -> None:
    rules = [Comparison("a.b_c", Operator.EQUAL, 1), Comparison("a_b.c", Operator.EQUAL, 1)]
    assert generate(ruled(pack, list(rules))).fired({"a.b_c": 1, "a_b.c": 2}) == {0}


def test_source_reads_as_the_rules_do(pack: Pack) -> None:
    source = generate(pack).source
    ast.parse(source)
    assert "gift_relation == 'friend' and not pair_two_way_friends" in source
    for rule in pack.rules:
        assert f"# '{rule.id}'" in source


def test_source_calls_nothing(pack: Pack) -> None:
    # Nothing but comparisons of names with literals: a pack's texts cannot become code.
    condition = AnyOf(tuple(Comparison("t.s", Operator.EQUAL, text) for text in HOSTILE))
    source = generate(ruled(pack, [condition, Membership("t.u", tuple(HOSTILE))])).source
    nodes = {type(node) for node in ast.walk(ast.parse(source))}
    assert nodes.isdisjoint({ast.Call, ast.Attribute, ast.Import, ast.Raise, ast.Subscript})
