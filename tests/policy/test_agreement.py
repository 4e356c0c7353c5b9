"""durable_rules, our Python evaluator and celpy's interpreter give the same answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import celpy
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.domain.errors import PackInvalid
from engine.domain.verdicts import FactSet, FactValue
from engine.policy.catalogue import FactCatalogue, FactEntry, FactType
from engine.policy.compiling import compile_rules
from engine.policy.evaluating import holds, traces
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Rule
from engine.policy.reading_conditions import read_condition

CATALOGUE = FactCatalogue(
    "random",
    [
        FactEntry("t.p", FactType.BOOL, "test", "a truth"),
        FactEntry("t.q", FactType.BOOL, "test", "a truth"),
        FactEntry("t.a", FactType.INT, "test", "a number"),
        FactEntry("t.b", FactType.INT, "test", "a number"),
        FactEntry("u.c", FactType.INT, "test", "a number"),
        FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=("red", "green", "blue")),
        FactEntry("t.s", FactType.TEXT, "test", "a text"),
        FactEntry("u.s", FactType.TEXT, "test", "a text"),
    ],
)

TEXTS = ["", "a", "ab", "礼", "礼尚往来", "is_friend", "bil3ui1", "5", "true", "red"]
NUMBERS = [-(2**53), 2**53, -1, 0, 1, 2, 99, 100, 101]

numbers = st.sampled_from(NUMBERS) | st.integers(-3, 3)
texts = st.sampled_from(TEXTS)
wild_texts = texts | st.text(st.characters(codec="utf-8"), max_size=8)
orders = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
equals = st.sampled_from(["==", "!="])
bools = st.sampled_from(["t.p", "t.q"])
ints = st.sampled_from(["t.a", "t.b", "u.c"])
strings = st.sampled_from(["t.s", "u.s"])
colours = st.sampled_from(["red", "green", "blue"])


def quoted(values: list[str]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


atoms = st.one_of(
    bools,
    st.builds("{} {} {}".format, bools, equals, st.sampled_from(["true", "false"]) | bools),
    st.builds("{} {} {}".format, ints, orders, numbers.map(str) | ints),
    st.builds("{1} {2} {0}".format, ints, numbers.map(str), orders),
    st.builds("{} {} 1 + {} * 2".format, ints, orders, st.integers(-2, 2).map("({})".format)),
    st.builds("{} in {}".format, ints, st.lists(numbers, min_size=1, max_size=4).map(str)),
    st.builds("t.kind {} '{}'".format, equals, colours),
    st.builds("t.kind in {}".format, st.lists(colours, min_size=1, max_size=3).map(quoted)),
    st.builds("{} {} '{}'".format, strings, equals, texts),
    st.builds("t.s {} u.s".format, equals),
    st.builds("{} in {}".format, strings, st.lists(texts, min_size=1, max_size=3).map(quoted)),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("{} && {} || {}".format, inner, inner, inner),
    ),
    max_leaves=7,
)
facts = st.fixed_dictionaries(
    {
        "t.p": st.booleans(),
        "t.q": st.booleans(),
        "t.a": numbers,
        "t.b": numbers,
        "u.c": numbers,
        "t.kind": colours,
        "t.s": wild_texts,
        "u.s": wild_texts,
    }
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    written=st.lists(conditions, min_size=1, max_size=12),
    asked=st.lists(facts, min_size=15, max_size=30),
)
def test_durable_rules_and_python_evaluator_agree(
    rule: Callable[[str, str, FactCatalogue], Rule],
    written: list[str],
    asked: list[dict[str, FactValue]],
) -> None:
    rules = [rule(f"r{n}", text, CATALOGUE) for n, text in enumerate(written)]
    try:
        rulesets = compile_rules("random", rules)
    except PackInvalid:  # more alternatives than the engine can take
        assume(False)
    guarded = GuardedRules(rulesets, CATALOGUE)
    try:
        found = guarded.fired([CATALOGUE.row(FactSet(values)) for values in asked])
    finally:
        guarded.close()
    for values, fired in zip(asked, found, strict=True):
        expected = {i for i, rule in enumerate(rules) if holds(rule.condition, values)}
        assert fired == expected, (values, [written[i] for i in fired ^ expected])


def nested(values: Mapping[str, FactValue]) -> dict[str, dict[str, FactValue]]:
    tree: dict[str, dict[str, FactValue]] = {}
    for name, value in values.items():
        subject, fact = name.split(".")
        tree.setdefault(subject, {})[fact] = value
    return tree


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions, st.lists(facts, min_size=3, max_size=5))
def test_our_reading_of_cel_and_celpy_agree(text: str, asked: list[dict[str, FactValue]]) -> None:
    environment = celpy.Environment()
    program = environment.program(environment.compile(text))
    condition = read_condition(text, CATALOGUE, {}, str)
    for values in asked:
        activation = {name: celpy.json_to_cel(subject) for name, subject in nested(values).items()}
        assert bool(program.evaluate(activation)) is holds(condition, values), (text, values)


@given(atoms, facts)
def test_trace_of_a_negation_is_the_opposite(text: str, values: dict[str, FactValue]) -> None:
    (plain,) = traces(read_condition(text, CATALOGUE, {}, str), values)
    (negated,) = traces(read_condition(f"!({text})", CATALOGUE, {}, str), values)
    assert plain.holds is not negated.holds
    assert (plain.attribute, plain.value) == (negated.attribute, negated.value)
