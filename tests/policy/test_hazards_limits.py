"""Hazards of size: how many rules, conditions, alternatives, joins and attributes there may be."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from engine.domain.errors import PackInvalid, PolicyError
from engine.domain.verdicts import Effect, FactSet, FiredRule
from engine.policy.catalogue import FactCatalogue, Row
from engine.policy.compiling import (
    MOST_ALTERNATIVES,
    MOST_COMPARISONS,
    Ruleset,
    alternatives,
    compile_rules,
)
from engine.policy.conditions import AllOf, AnyOf, Comparison, Operator
from engine.policy.entries import FactEntry, FactType
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Rule

Guard = Callable[..., GuardedRules]
Run = Callable[..., subprocess.CompletedProcess[str]]
MakeRow = Callable[..., Row]
MakeRule = Callable[[str, str, FactCatalogue], Rule]


def said(shown: subprocess.CompletedProcess[str]) -> list[object]:
    return [json.loads(line) for line in shown.stdout.splitlines()]


def patterns(rulesets: tuple[Ruleset, ...]) -> Iterator[list[Mapping[str, object]]]:
    """Yield the terms of every rule that the engine is given."""
    for ruleset in rulesets:
        for written in json.loads(ruleset.definition).values():
            (pattern,) = written["all"]
            assert set(written) == {"all"}
            assert set(pattern) == {"m"}
            assert set(pattern["m"]) == {"$and"}
            yield pattern["m"]["$and"]


def test_pending_naive_use_fails_when_65_rules_fire(naive: Run) -> None:
    shown = naive("""
        handle = rules(**{f"r{n}": {"$gt": {"a": n}} for n in range(65)})
        ask(handle, {"a": 100})
    """)
    assert "error code: 303" in shown.stderr


def test_pending_ours_reports_two_hundred_rules_at_once(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    rules = guard(small, *(f"t.a < {n + 100}" for n in range(200)))
    assert rules.fired([small_row()]) == [frozenset(range(200))]


def test_conditions_naive_use_of_512_under_one_node_never_ends(naive: Run) -> None:
    shown = naive("""
        import resource
        def attempt(count):
            handle = rules(**{f"r{n}": {"$and": [{"kind": "f"}, {f"b{n}": 1}]}
                              for n in range(count)})
            spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
            resource.setrlimit(resource.RLIMIT_CPU, (spent + 2, spent + 60))
            said("made", count)
            said(ask(handle, {"kind": "f", "z": 1}))
        attempt(511)
        attempt(512)
    """)
    assert said(shown) == [["made", 511], [[]], ["made", 512]]
    assert (
        shown.returncode == -signal.SIGXCPU
    )  # after a second or two for a check that takes microseconds


def test_conditions_ours_are_never_so_many_under_one_node(
    small: FactCatalogue, rule: MakeRule, small_row: MakeRow
) -> None:
    one = rule("r", "t.a > 0", small)
    many = [
        replace(one, id=f"r{n}", condition=Comparison("t.a", Operator.MORE, n)) for n in range(600)
    ]
    rulesets = compile_rules("many", many)
    for ruleset in rulesets:
        assert len(list(patterns((ruleset,)))) <= MOST_ALTERNATIVES + 2
    guarded = GuardedRules(rulesets, small)
    rows = [small_row({"t.a": a}) for a in (0, 1, 299, 600)]
    assert guarded.fired(rows) == [frozenset(range(a)) for a in (0, 1, 299, 600)]
    guarded.close()


def test_same_condition_naive_use_256_times_fires_an_unrelated_rule(naive: Run) -> None:
    shown = naive("""
        same = {"$and": [{"kind": "f"}, {"x": 1}]}
        handle = rules(**{f"r{n}": same for n in range(256)}, unrelated={"y": 1})
        said("unrelated" in ask(handle, {"kind": "f", "x": 1}))
    """)
    assert said(shown) == [[True]]


def test_same_condition_ours_300_times_fires_no_other(
    small: FactCatalogue, rule: MakeRule, small_row: MakeRow
) -> None:
    one = rule("r", "t.a == 7", small)
    rules = [*(replace(one, id=f"r{n}") for n in range(300)), rule("other", "t.b == 9", small)]
    guarded = GuardedRules(compile_rules("same", rules), small)
    assert guarded.fired([small_row()]) == [frozenset(range(300))]
    assert guarded.fired([small_row({"t.a": 1, "t.b": 9})]) == [frozenset({300})]
    guarded.close()


def test_rules_naive_use_of_4097_is_refused(naive: Run) -> None:
    shown = naive("""
        def many(count):
            rules(**{f"r{n}": {"$and": [{f"x{n % 200}": 1}, {f"y{n // 200}": 1}]}
                     for n in range(count)})
            said(count)
        many(4_000)
        many(4_097)
    """)
    assert said(shown) == [[4_000]]
    assert "error code: 106" in shown.stderr


def test_rules_ours_may_be_4200(small: FactCatalogue, rule: MakeRule, small_row: MakeRow) -> None:
    one = rule("r", "t.a > 0", small)
    rules = [replace(one, condition=Comparison("t.a", Operator.AT_LEAST, n)) for n in range(4_200)]
    guarded = GuardedRules(compile_rules("thousands", rules), small)
    rows = [small_row({"t.a": a}) for a in (-1, 4_100)]
    assert guarded.fired(rows) == [frozenset(), frozenset(range(4_101))]
    guarded.close()


def test_branches_naive_use_of_nex_and_or_fails_when_made_or_used(naive: Run) -> None:
    shown = naive("""
        def attempt(terms):
            try:
                handle = rules(**{f"r{n}": term for n, term in enumerate(terms)})
            except durable.error as error:
                return f"made: {str(error)[-3:]}"
            try:
                ask(handle, {"x": 1, "y": 1})
            except durable.error as error:
                return f"used: {str(error)[-3:]}"
        def absent(count):
            return attempt({"$nex": {f"a{n}": 1}} for n in range(count))
        def shared(count):
            return attempt({"$or": [{"x": 1}, {"$and": [{"y": 1}, {f"z{n}": n}]}]}
                           for n in range(count))
        for build in (absent, shared):
            said(build(60), build(65), build(130))
    """)
    assert said(shown) == [[None, "used: 303", "made: 107"]] * 2


def test_branches_ours_are_alternatives_without_or(
    small: FactCatalogue, rule: MakeRule, small_row: MakeRow
) -> None:
    rules = [rule(f"r{n}", f"t.a == 7 || t.p && t.b == {n}", small) for n in range(130)]
    rulesets = compile_rules("branches", rules)
    assert not any("$or" in r.definition or "$nex" in r.definition for r in rulesets)
    guarded = GuardedRules(rulesets, small)
    rows = [small_row(), small_row({"t.a": 0})]
    assert guarded.fired(rows) == [frozenset(range(130)), frozenset({2})]
    guarded.close()
    wide = AnyOf(tuple(Comparison("t.a", Operator.EQUAL, n) for n in range(MOST_ALTERNATIVES + 1)))
    with pytest.raises(PackInvalid, match="has 61 alternatives"):
        alternatives(replace(rules[0], condition=wide))


def test_joins_naive_use_fails_at_17_facts_30_terms_and_253_attributes(naive: Run) -> None:
    shown = naive("""
        def attempt(act):
            try:
                act()
            except durable.error as error:
                return int(str(error)[-3:])
        def facts(count):
            whens = [{f"m{n}": {"x": n}} for n in range(count)]
            handle = durable.create_ruleset("join", json.dumps({"r": {"all": whens}}))
            for n in range(count):
                durable.assert_fact(handle, json.dumps({"id": n + 1, "sid": 0, "x": n}))
        def terms(count):
            second = {"$and": [{f"a{n}": {"first": f"a{n}"}} for n in range(count)]}
            whens = [{"first": {"x": 1}}, {"second": second}]
            durable.create_ruleset("join", json.dumps({"r": {"all": whens}}))
        def attributes(count):
            ask(ruleset({"a0": 1}), {f"a{n}": 1 for n in range(count)})
        for act, most in ((facts, 16), (terms, 29), (attributes, 252)):
            said(attempt(lambda: act(most)), attempt(lambda: act(most + 1)))
    """)
    assert said(shown) == [[None, 304], [None, 113], [None, 302]]


def test_joins_ours_are_none_and_attributes_at_most_200() -> None:
    def catalogue(count: int) -> FactCatalogue:
        entries = [FactEntry(f"t.a{n}", FactType.INT, "test", "a number") for n in range(count)]
        return FactCatalogue("wide", entries)

    wide = catalogue(200)
    with pytest.raises(PolicyError, match="201 facts"):
        catalogue(201)
    halves = [
        AllOf(tuple(Comparison(f"t.a{n}", Operator.EQUAL, n) for n in range(k, 200, 2)))
        for k in (0, 1)
    ]
    outcome = FiredRule("r", Effect.DENY, "NO")
    rules = [Rule(f"r{k}", "", halves[k], outcome, None, (), "f.yaml:1:1") for k in (0, 1)]
    (ruleset,) = compile_rules("wide", rules)
    assert len(ruleset.facts) == 200
    assert [len(terms) for terms in patterns((ruleset,))] == [101, 101, 1, 1]
    guarded = GuardedRules((ruleset,), wide)
    values = {f"t.a{n}": n for n in range(200)}
    rows = [wide.row(FactSet({**values, **change})) for change in ({}, {"t.a7": 0}, {"t.a198": 0})]
    assert guarded.fired(rows) == [frozenset({0, 1}), frozenset({0}), frozenset({1})]
    guarded.close()


def test_conditions_ours_refuse_a_chain_that_is_too_long(
    small: FactCatalogue, rule: MakeRule
) -> None:
    text = " && ".join(f"t.a != {n}" for n in range(MOST_COMPARISONS + 1))
    with pytest.raises(PackInvalid, match="joins 101 comparisons"):
        alternatives(rule("long", text, small))
