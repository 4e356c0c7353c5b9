"""Coverage: which comparison decides, what must be probed, and the example that is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from random import Random
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.verdicts import FactValue
from engine.policy import suggesting
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import AllOf, AnyOf, Condition, Negation
from engine.policy.coverage import Coverage, cover, deciding, probes, written
from engine.policy.entries import FactEntry, FactType
from engine.policy.evaluating import holds
from engine.policy.packs import Pack
from engine.policy.reading_conditions import read_condition
from engine.policy.satisfying import Answer, Possible
from engine.policy.suggesting import Impossible, leaves, suggest

Facts = dict[str, FactValue]
Covered = Callable[..., Coverage]

CATALOGUE = FactCatalogue(
    "small",
    [
        FactEntry("t.p", FactType.BOOL, "test", "a truth"),
        FactEntry("t.a", FactType.INT, "test", "a number"),
        FactEntry("t.b", FactType.INT, "test", "a number"),
        FactEntry("t.age", FactType.INT, "test", "years", when_unknown=0),
        FactEntry("t.limit", FactType.INT, "test", "a limit", when_unknown=2**53 - 1),
        FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=("red", "green")),
        FactEntry("t.fen", FactType.INT, "test", "an amount", least=0),
        FactEntry("t.more", FactType.INT, "test", "a count", least=500, greatest=900),
    ],
)


@pytest.fixture
def covered(evaluations: ModuleType) -> Covered:
    """Cover a pack of one rule on sets of facts."""

    def run(condition: str, *seen: Facts, params: dict[str, int] | None = None) -> Coverage:
        pack: Pack = evaluations.random_pack(["t.p"])[0]
        tree = read_condition(condition, CATALOGUE, params or {}, str)
        rule = replace(pack.rules[0], id="rule", condition=tree)
        fired = [0] if any(holds(tree, facts) for facts in seen) else []
        return cover(replace(pack, rules=(rule,)), CATALOGUE, fired, [list(seen)])

    return run


def _messages(coverage: Coverage) -> list[str]:
    return [gap.message.removeprefix("rule: ") for gap in coverage.gaps]


def _fixed(condition: Condition, leaf: int, result: bool, numbers: count[int]) -> Condition:
    match condition:
        case AllOf(parts):
            return AllOf(tuple(_fixed(part, leaf, result, numbers) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_fixed(part, leaf, result, numbers) for part in parts))
        case Negation(part):
            return Negation(_fixed(part, leaf, result, numbers))
    if next(numbers) != leaf:
        return condition
    return AllOf(()) if result else AnyOf(())


@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_deciding_is_what_forcing_each_comparison_both_ways_shows(
    evaluations: ModuleType, data: st.DataObject, seed: int
) -> None:
    pack, kept = evaluations.random_pack([data.draw(evaluations.conditions)])
    if not kept:
        return
    condition = pack.rules[0].condition
    for facts in evaluations.random_facts(pack, evaluations.CATALOGUE, 20, Random(seed)):
        forced = {
            leaf
            for leaf in range(len(list(leaves(condition))))
            if holds(_fixed(condition, leaf, True, count()), facts)
            is not holds(_fixed(condition, leaf, False, count()), facts)
        }
        assert deciding(condition, facts) == forced


@pytest.mark.parametrize(
    ("condition", "places"),
    [
        ("t.a > 10", [9, 10, 11]),
        ("!(t.a > 10)", [9, 10, 11]),
        ("t.a == -1", [-2, -1, 0]),
        ("t.a in [3, 4, 9]", [2, 3, 4, 5, 8, 9, 10]),
        ("t.a <= 9007199254740992", [2**53 - 1, 2**53]),
        ("t.a > t.b", [-1, 0, 1]),
        ("t.p && t.kind == 'red'", []),
    ],
)
def test_probes_are_thresholds_and_one_step_beside(condition: str, places: list[int]) -> None:
    tree = read_condition(condition, CATALOGUE, {}, str)
    assert [probe.value for probe in probes(tree, CATALOGUE)] == places


def test_cover_threshold_probed_on_both_sides_leaves_no_gap(covered: Covered) -> None:
    found = covered("t.a > 10", {"t.a": 9}, {"t.a": 10}, {"t.a": 11})
    assert (found.rules, found.rules_fired, found.probes, found.probes_met) == (1, 1, 3, 3)
    assert found.gaps == ()


def test_cover_missing_probe_names_threshold_parameter_and_example(covered: Covered) -> None:
    found = covered("t.a > params.cap * 2", {"t.a": 20}, {"t.a": 21}, params={"cap": 10})
    (gap,) = found.gaps
    assert gap.message == "rule: t.a > 20 (params.cap * 2) is never probed at 19"
    assert gap.example == ({"t.a": 19}, False)
    assert str(gap) == f"f.yaml:1:1: {gap.message}\n    add - {{facts: {{t.a: 19}}, fires: false}}"
    assert gap.as_json() == {
        "where": "f.yaml:1:1",
        "rule": "rule",
        "message": gap.message,
        "example": {"facts": {"t.a": 19}, "fires": False},
    }


def test_cover_probe_where_something_else_decides_does_not_count(covered: Covered) -> None:
    seen = [{"t.p": False, "t.a": n} for n in (9, 10, 11)] + [{"t.p": True, "t.a": 11}]
    found = covered("t.p && t.a > 10", *seen)
    assert _messages(found) == [
        "t.a > 10 is never probed at 9",
        "t.a > 10 is never probed at 10",
    ]
    assert found.gaps[0].example == ({"t.p": True, "t.a": 9}, False)


def test_cover_facts_compared_are_probed_beside_one_another(covered: Covered) -> None:
    found = covered("t.a > t.b", {"t.a": 7, "t.b": 7}, {"t.a": 50, "t.b": 3})
    assert _messages(found) == [
        "t.a > t.b is never probed at t.b - 1",
        "t.a > t.b is never probed at t.b + 1",
    ]
    below, above = (gap.example for gap in found.gaps)
    assert below is not None
    assert above is not None
    assert (int(below[0]["t.a"]) - int(below[0]["t.b"]), below[1]) == (-1, False)
    assert (int(above[0]["t.a"]) - int(above[0]["t.b"]), above[1]) == (1, True)


def test_cover_listed_numbers_are_probed_at_and_beside(covered: Covered) -> None:
    found = covered("t.a in [3, 4]", *({"t.a": n} for n in (2, 4, 5)))
    assert _messages(found) == ["t.a in [3, 4] is never probed at 3"]


def test_cover_place_that_cannot_decide_is_not_asked_for(covered: Covered) -> None:
    # At 15 the second comparison fails whatever the first one says.
    found = covered("t.a >= 14 && t.a < 15", *({"t.a": n} for n in (13, 14, 15, 16)))
    assert found.gaps == ()
    assert (found.probes, found.probes_met) == (5, 5)


@pytest.mark.parametrize(
    ("condition", "seen"),
    [
        ("t.fen > 0", [{"t.fen": 0}, {"t.fen": 1}]),
        ("t.more >= 900", [{"t.more": 899}, {"t.more": 900}]),
        ("t.more in [1, 500]", [{"t.more": 500}, {"t.more": 501}]),
    ],
)
def test_cover_place_that_no_fact_can_take_is_not_asked_for(
    covered: Covered, condition: str, seen: list[Facts]
) -> None:
    found = covered(condition, *seen)
    assert found.gaps == ()
    assert (found.probes, found.probes_met) == (2, 2)


def test_cover_comparison_with_what_no_fact_can_be_is_a_gap(covered: Covered) -> None:
    found = covered("t.p || t.fen < -5", {"t.p": True, "t.fen": 0})
    assert _messages(found) == ["t.fen < -5 decides nothing, whatever the facts: leave it out"]


def test_cover_facts_compared_are_probed_where_their_bounds_let_them(covered: Covered) -> None:
    found = covered("t.fen > t.more")
    examples = [gap.example for gap in found.gaps]
    assert examples[1:] == [
        ({"t.fen": at + step, "t.more": at}, step > 0)
        for at, step in [(500, -1), (500, 0), (500, 1)]
    ]
    assert found.probes == 3


def test_cover_comparison_that_decides_nowhere_is_a_gap(covered: Covered) -> None:
    found = covered("t.a > 10 || t.a > 20", *({"t.a": n} for n in (9, 10, 11)))
    assert _messages(found) == ["t.a > 20 decides nothing, whatever the facts: leave it out"]


def test_cover_unknown_fact_is_suggested_with_what_stands_for_it(covered: Covered) -> None:
    found = covered("!t.limit_known && t.a > t.limit")
    examples = [gap.example for gap in found.gaps]
    stand_in = 2**53 - 1
    assert examples == [
        ({"t.limit_known": False, "t.a": stand_in + step, "t.limit": stand_in}, step > 0)
        for step in (1, -1, 0, 1)
    ]


def test_cover_rule_that_never_fired_is_a_gap_with_an_example(covered: Covered) -> None:
    found = covered("t.kind == 'green' && !t.p", {"t.kind": "red", "t.p": False})
    assert _messages(found) == ["no example or case makes it fire"]
    assert found.gaps[0].example == ({"t.kind": "green", "t.p": False}, True)
    assert (found.rules, found.rules_fired) == (1, 0)


def test_cover_rule_that_cannot_fire_says_so(covered: Covered) -> None:
    found = covered("t.p && !t.p")
    assert _messages(found) == ["never fires, whatever the facts"]
    assert found.gaps[0].example is None


def test_cover_search_that_is_given_up_asks_for_the_probe_without_an_example(
    covered: Covered, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = Answer(Possible.UNKNOWN, {})
    monkeypatch.setattr(suggesting, "satisfy", lambda *_: unknown)
    found = covered("t.a > 10", {"t.a": 10}, {"t.a": 11})
    assert _messages(found) == ["t.a > 10 is never probed at 9"]
    assert found.gaps[0].example is None
    assert str(found.gaps[0]) == "f.yaml:1:1: rule: t.a > 10 is never probed at 9"


@settings(max_examples=60)
@given(data=st.data())
def test_suggested_examples_close_every_gap(evaluations: ModuleType, data: st.DataObject) -> None:
    pack, kept = evaluations.random_pack([data.draw(evaluations.conditions)])
    if not kept:
        return
    bare = cover(pack, evaluations.CATALOGUE, [], [[]])
    added = [gap.example for gap in bare.gaps if gap.example is not None]
    for facts, fires in added:
        assert holds(pack.rules[0].condition, facts) is fires
    fired = [0] if any(fires for _, fires in added) else []
    full = cover(pack, evaluations.CATALOGUE, fired, [[facts for facts, _ in added]])
    left = [gap.message for gap in full.gaps if gap.example is not None]
    assert left == []
    assert full.probes_met == full.probes == bare.probes


@settings(max_examples=60)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_what_is_said_to_be_impossible_is_met_by_no_random_facts(
    evaluations: ModuleType, data: st.DataObject, seed: int
) -> None:
    pack, kept = evaluations.random_pack([data.draw(evaluations.conditions)])
    if not kept:
        return
    condition = pack.rules[0].condition
    try:
        suggest(condition, evaluations.CATALOGUE, None)
    except Impossible:
        asked = evaluations.random_facts(pack, evaluations.CATALOGUE, 50, Random(seed))
        assert not any(holds(condition, facts) for facts in asked)
    # A place where the comparison did decide would be asked for from then on.
    seen = evaluations.random_facts(pack, evaluations.CATALOGUE, 50, Random(seed))
    before, after = (cover(pack, evaluations.CATALOGUE, [], [facts]) for facts in ([], seen))
    assert after.probes == before.probes


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"t.a": 1, "t.p": True}, "{facts: {t.a: 1, t.p: true}, fires: true}"),
        ({"t.s": "true", "u.s": "礼"}, "{facts: {t.s: 'true', u.s: 礼}, fires: true}"),
    ],
)
def test_written_example_is_what_a_pack_holds(facts: Facts, text: str) -> None:
    assert written(facts, fires=True) == text
