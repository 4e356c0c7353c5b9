"""Whether conditions can hold: never wrong, as exhaustive search over small worlds shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from math import prod

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from engine.domain.verdicts import FactSet, FactValue
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import Condition, facts_read
from engine.policy.entries import FactEntry, FactType
from engine.policy.evaluating import holds
from engine.policy.number_sets import ALL_NUMBERS
from engine.policy.reading_conditions import read_condition
from engine.policy.satisfying import Answer, Budget, Possible, satisfy
from engine.policy.vocabulary import vocabulary_of, with_free_parameters

COLOURS = ("red", "green", "blue")
CATALOGUE = FactCatalogue(
    "world",
    [
        FactEntry("t.p", FactType.BOOL, "test", "a truth"),
        FactEntry("t.q", FactType.BOOL, "test", "a truth"),
        FactEntry("t.r", FactType.BOOL, "test", "a truth"),
        FactEntry("t.a", FactType.INT, "test", "a number"),
        FactEntry("t.b", FactType.INT, "test", "a number"),
        FactEntry("t.c", FactType.INT, "test", "a number"),
        FactEntry("t.few", FactType.INT, "test", "a number", least=-1, greatest=1),
        FactEntry("t.more", FactType.INT, "test", "a number", least=1),
        FactEntry("t.age", FactType.INT, "test", "a number", when_unknown=0, least=0),
        FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=COLOURS),
        FactEntry("t.hue", FactType.TEXT, "test", "a colour", values=COLOURS),
        FactEntry(
            "t.tie", FactType.TEXT, "test", "a tie", when_unknown="weak", values=("weak", "strong")
        ),
        FactEntry("t.s", FactType.TEXT, "test", "a text"),
        FactEntry("t.u", FactType.TEXT, "test", "a text"),
    ],
)
VOCABULARY = vocabulary_of(CATALOGUE)
LEAST, GREATEST = -2, 2
WITHIN = {
    entry.name: f"{entry.name} >= {LEAST} && {entry.name} <= {GREATEST}"
    for entry in CATALOGUE.entries
    if entry.type is FactType.INT
}

# Beside the texts that conditions name two are enough: two facts can differ from all of them and
# from each other, and no condition tells more of a text than what it equals.
TEXTS = ("", *COLOURS, "x", "y")
MOST_WORLDS = 20_000

numbers = st.integers(LEAST - 1, GREATEST + 1)
orders = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
equals = st.sampled_from(["==", "!="])
bools = st.sampled_from(["t.p", "t.q", "t.r", "t.age_known", "t.tie_known"])
ints = st.sampled_from(["t.a", "t.b", "t.c", "t.few", "t.more", "t.age"])
strings = st.sampled_from(["t.s", "t.u"])
anytexts = st.sampled_from(["t.s", "t.u", "t.kind", "t.hue"])
colours = st.sampled_from(COLOURS)


def quoted(values: list[str]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


atoms = st.one_of(
    bools,
    st.builds("{} {} {}".format, bools, equals, bools),
    st.builds("{} {} {}".format, ints, orders, numbers | ints),
    st.builds("{} {} {}".format, ints, orders, ints),
    st.builds("{} in {}".format, ints, st.lists(numbers, min_size=1, max_size=4).map(str)),
    st.builds("{} {} '{}'".format, st.sampled_from(["t.kind", "t.hue"]), equals, colours),
    st.builds("{} {} {}".format, anytexts, equals, anytexts),
    st.builds("t.kind in {}".format, st.lists(colours, min_size=1, max_size=3).map(quoted)),
    st.builds("t.tie {} '{}'".format, equals, st.sampled_from(["weak", "strong"])),
    st.builds("{} {} '{}'".format, strings, equals, st.sampled_from(["", "red"])),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: f"({' && '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' || '.join(parts)})"),
        st.builds("!({})".format, inner),
    ),
    max_leaves=10,
)


def read(text: str) -> Condition:
    return read_condition(text, CATALOGUE, {}, str)


def solve(*texts: str, budget: Budget | None = None) -> Answer:
    return satisfy([read(text) for text in texts], VOCABULARY, budget)


def worlds(names: list[str]) -> Iterator[Mapping[str, FactValue]]:
    """Every small world: the given facts and their couplings in all their values."""
    choices: list[tuple[FactValue, ...]] = []
    for name in names:
        entry = CATALOGUE[name]
        if entry.type is FactType.BOOL:
            choices.append((False, True))
        elif entry.type is FactType.INT:
            least, greatest = max(LEAST, entry.least), min(GREATEST, entry.greatest)
            choices.append(tuple(range(least, greatest + 1)))
        else:
            choices.append(entry.values or TEXTS)
    for values in product(*choices):
        world = dict(zip(names, values, strict=True))
        if all(
            world[known] or world[fact] == value
            for known, (fact, value) in VOCABULARY.stand_ins.items()
            if known in world
        ):
            yield world


def closed(text: str) -> tuple[list[Condition], list[str]]:
    """The condition with its numbers held within the small world, and the facts of that world."""
    names = sorted(facts_read(read(text)))
    names += [
        fact
        for known, (fact, _) in VOCABULARY.stand_ins.items()
        if known in names and fact not in names
    ]
    return [read(text), *(read(WITHIN[name]) for name in names if name in WITHIN)], names


def size(names: list[str]) -> int:
    """How many worlds there are at most."""
    width = {FactType.BOOL: 2, FactType.INT: GREATEST - LEAST + 1, FactType.TEXT: len(TEXTS)}
    return prod(width[CATALOGUE[name].type] for name in names)


def agrees_with_exhaustive_search(text: str) -> None:
    asked, names = closed(text)
    assume(size(names) <= MOST_WORLDS)
    answer = satisfy(asked, VOCABULARY)
    found = next((w for w in worlds(names) if all(holds(c, w) for c in asked)), None)
    # UNKNOWN would be no error, but here it never comes to that.
    assert answer.possible is (Possible.NO if found is None else Possible.YES)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(conditions)
def test_satisfy_small_world_agrees_with_exhaustive_search(text: str) -> None:
    agrees_with_exhaustive_search(text)


@pytest.mark.slow
@settings(max_examples=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(conditions)
def test_satisfy_many_small_worlds_agree_with_exhaustive_search(text: str) -> None:
    agrees_with_exhaustive_search(text)


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(conditions, min_size=1, max_size=3))
def test_satisfy_any_world_is_right_with_facts_and_without(texts: list[str]) -> None:
    asked = [read(text) for text in texts]
    answer = satisfy(asked, VOCABULARY)
    names = sorted(frozenset().union(*map(facts_read, asked)))
    if answer.possible is Possible.YES:
        whole = VOCABULARY.completed(answer.facts)
        CATALOGUE.row(FactSet(whole))  # raises where these are no facts of the decision
        assert all(holds(condition, whole) for condition in asked)
    else:
        assert answer.possible is Possible.NO
        assert answer.facts == {}
        free = [name for name in names if name not in VOCABULARY.stand_ins]
        for world in worlds(free[:6]):  # the others harmless: not exhaustive, but wide
            assert not all(holds(c, VOCABULARY.completed(world)) for c in asked)


@pytest.mark.parametrize(
    ("texts", "possible"),
    [
        (["t.a < t.b", "t.b < t.c", "t.c < t.a"], Possible.NO),
        (["t.a <= t.b", "t.b <= t.c", "t.c <= t.a"], Possible.YES),
        (["t.a <= t.b", "t.b <= t.a", "t.a != t.b"], Possible.NO),
        (["t.a < t.b", "t.b < t.c", "t.a >= 1", "t.c <= 2"], Possible.NO),
        (["t.a < t.b", "t.b < t.c", "t.a >= 1", "t.c <= 3"], Possible.YES),
        (["t.a < t.b", "t.b < t.c", "t.a >= 1", "t.c <= 3", "t.b != 2"], Possible.NO),
        # Two sets that never meet: the bounds climb to the end of both, and no further.
        (["t.a == t.b", "t.a in [1, 3, 5, 7]", "t.b in [2, 4, 6, 8]"], Possible.NO),
        (["t.a == t.b", "t.a in [1, 3, 5, 7]", "t.b in [2, 4, 6, 7]"], Possible.YES),
        (["t.a > 9007199254740991", "t.a < 9007199254740992"], Possible.NO),
        (["t.a >= 9007199254740992", "t.b > t.a"], Possible.NO),
        (["t.a <= -9007199254740992"], Possible.YES),
        (["t.s == t.u", "t.s != t.u"], Possible.NO),
        (["t.s == t.kind", "t.u == t.kind", "t.s != t.u"], Possible.NO),
        (["t.s == t.kind", "t.s != 'red'", "t.s != 'green'", "t.s != 'blue'"], Possible.NO),
        (["t.s != t.u", "t.s != 'a'", "t.u != ''"], Possible.YES),
        (["t.kind != t.hue", "t.kind == 'red'", "t.hue in ['red']"], Possible.NO),
        # Three truths cannot all differ.
        (["t.p != t.q", "t.q != t.r", "t.r != t.p"], Possible.NO),
        (["!t.age_known", "t.age > 0"], Possible.NO),
        (["!t.age_known", "t.age == 0"], Possible.YES),
        (["!t.tie_known", "t.tie == 'strong'"], Possible.NO),
        (["t.age_known == t.p", "!t.p", "t.age != 0"], Possible.NO),
        (["t.age > 3"], Possible.YES),
        (["t.age < 0"], Possible.NO),
        (["t.more < 1"], Possible.NO),
        (["t.more <= 1"], Possible.YES),
        (["t.few > 1"], Possible.NO),
        (["t.few != -1", "t.few != 0", "t.few != 1"], Possible.NO),
        (["t.few >= t.more", "t.few != 1"], Possible.NO),
        (["t.few == t.more"], Possible.YES),
        (["t.few == t.a", "t.a == t.more", "t.a != 1"], Possible.NO),
        (["t.a < t.b", "t.b < t.few", "t.a > -1"], Possible.NO),
        (["t.more < t.a", "t.a < 2"], Possible.NO),
        (["t.few in [2, 3]"], Possible.NO),
    ],
)
def test_satisfy_each_kind_of_reasoning_is_exact(texts: list[str], possible: Possible) -> None:
    assert solve(*texts).possible is possible


@pytest.mark.parametrize(
    ("texts", "facts"),
    [
        (["t.a > 5"], {"t.a": 6}),
        (["t.a < 5"], {"t.a": 0}),
        (["t.a < 0"], {"t.a": -1}),
        (["t.a < -900"], {"t.a": -901}),
        (["t.a != 0", "t.a != 1"], {"t.a": 2}),
        (["t.a < t.b", "t.b < t.c"], {"t.a": 0, "t.b": 1, "t.c": 2}),
        (["!t.p", "t.kind != 'red'"], {"t.p": False, "t.kind": "green"}),
        (["t.s != 'any'"], {"t.s": "any 1"}),
        (["t.more != 1"], {"t.more": 2}),
        (["t.more > t.few", "t.few != 0"], {"t.few": 1, "t.more": 2}),
        (["t.more > t.few", "t.few < 0"], {"t.few": -1, "t.more": 1}),
        (["t.age_known || t.p"], {"t.age": 0, "t.age_known": True, "t.p": False}),
    ],
)
def test_satisfy_facts_are_plain(texts: list[str], facts: dict[str, FactValue]) -> None:
    assert solve(*texts).facts == facts


def different(count: int, greatest: int) -> tuple[Condition, FactCatalogue]:
    """So many different numbers within 1 and `greatest`."""
    names = [f"n.f{number}" for number in range(count)]
    catalogue = FactCatalogue("n", [FactEntry(n, FactType.INT, "test", "") for n in names])
    parts = [f"{name} >= 1 && {name} <= {greatest}" for name in names]
    parts += [f"{one} != {two}" for place, one in enumerate(names) for two in names[place + 1 :]]
    return read_condition(" && ".join(parts), catalogue, {}, str), catalogue


def test_satisfy_entangled_differences_are_solved_or_left_undecided() -> None:
    for count, greatest, possible in [
        (4, 4, Possible.YES),
        (4, 3, Possible.NO),
        (12, 12, Possible.YES),
        (12, 11, Possible.UNKNOWN),
    ]:
        condition, catalogue = different(count, greatest)
        assert satisfy([condition], vocabulary_of(catalogue)).possible is possible


def test_satisfy_budget_is_shared_and_never_passed() -> None:
    budget = Budget(40)
    assert solve("t.a > 3", budget=budget).possible is Possible.YES
    assert budget.left == 38
    assert solve("t.a > 3 || t.p", "t.a != t.b", "t.a < 3", budget=budget).possible is Possible.YES
    assert 0 <= budget.left < 38
    spent = Budget(1)
    assert solve("t.a > 3", budget=spent).possible is Possible.UNKNOWN
    assert spent.left == 0  # what is too little is given up, so that no more questions are begun


def test_satisfy_nested_choices_take_few_steps() -> None:
    # 3^20 alternatives when multiplied out.
    text = " && ".join(["(t.a == 1 || t.b == 1 || t.c == 1)"] * 20)
    budget = Budget(1_000)
    assert solve(text, "t.a != 1", "t.b != 1", budget=budget).possible is Possible.YES
    assert solve(text, "t.a > 1", "t.b > 1", "t.c > 1", budget=budget).possible is Possible.NO


@settings(max_examples=100)
@given(
    st.lists(st.integers(-6, 6), max_size=5),
    st.lists(st.integers(-6, 6), max_size=5),
    st.integers(-7, 7),
    st.integers(-7, 7),
    st.integers(-8, 8),
)
def test_number_set_is_what_it_says(
    holes: list[int], kept: list[int], least: int, greatest: int, asked: int
) -> None:
    cut = ALL_NUMBERS.between(least, greatest).without(holes)
    expected = {n for n in range(least, greatest + 1) if n not in holes}
    assert {n for n in range(-9, 10) if n in cut} == expected
    assert cut.first_from(asked) == min((n for n in expected if n >= asked), default=None)
    chosen = cut.only(kept)
    assert {n for n in range(-9, 10) if n in chosen} == expected & set(kept)
    assert bool(chosen) is bool(expected & set(kept))
    for found in (cut, chosen):
        assert all(low <= high for low, high in found.intervals)
        assert all(one[1] + 1 < two[0] for one, two in pairwise(found.intervals))


PARAMS = {"cap": 1, "low": 0, "hue": "red", "sorts": ("red", "green"), "flag": True}
param_atoms = st.sampled_from(
    [
        *("t.a > params.cap", "t.a <= params.cap", "t.b >= params.low", "t.a < params.low"),
        *("t.a == params.cap * 2", "t.b != params.cap + params.low", "params.low < t.a"),
        *("t.kind == params.hue", "t.kind != params.hue", "t.kind in params.sorts"),
        *("t.p == params.flag", "t.s != params.hue", "t.a in [params.cap, 3]"),
    ]
)
param_conditions = st.recursive(
    param_atoms | atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=4).map(lambda parts: f"({' && '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' || '.join(parts)})"),
        st.builds("!({})".format, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    param_conditions,
    st.integers(-2, 2),
    st.integers(-2, 2),
    st.sampled_from(COLOURS),
    st.lists(st.sampled_from(COLOURS), min_size=1, max_size=3),
    st.booleans(),
)
def test_with_free_parameters_impossible_means_impossible_under_any(
    text: str, cap: int, low: int, hue: str, sorts: list[str], flag: bool
) -> None:
    condition = read_condition(text, CATALOGUE, PARAMS, str)
    freed, vocabulary = with_free_parameters(condition, VOCABULARY)
    if satisfy([freed], vocabulary).possible is Possible.NO:
        others = {"cap": cap, "low": low, "hue": hue, "sorts": tuple(sorts), "flag": flag}
        for params in (PARAMS, others):
            asked = read_condition(text, CATALOGUE, params, str)
            assert satisfy([asked], VOCABULARY).possible is Possible.NO


def test_with_free_parameters_one_parameter_is_one_value() -> None:
    text = "t.a > params.cap && t.a <= params.cap"
    freed, vocabulary = with_free_parameters(
        read_condition(text, CATALOGUE, PARAMS, str), VOCABULARY
    )
    assert satisfy([freed], vocabulary).possible is Possible.NO
    text = "t.a > params.cap && t.a <= params.low"
    freed, vocabulary = with_free_parameters(
        read_condition(text, CATALOGUE, PARAMS, str), VOCABULARY
    )
    assert satisfy([freed], vocabulary).possible is Possible.YES
