"""What lint claims of random packs is true of every small world, and what is so is found."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.verdicts import FactSet, FactValue
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.entries import FactEntry, FactType, Output
from engine.policy.evaluating import holds
from engine.policy.findings import Finding
from engine.policy.firing import MOST_COMPARED_FOR_A_PACK
from engine.policy.packs import Pack, Rule, read_pack
from engine.policy.rule_findings import rule_findings
from engine.policy.satisfying import Budget
from engine.policy.vocabulary import vocabulary_of

SMALL = FactCatalogue(
    "small",
    [
        FactEntry("t.p", FactType.BOOL, "test", "a truth"),
        FactEntry("t.q", FactType.BOOL, "test", "a truth"),
        FactEntry("t.a", FactType.INT, "test", "a number"),
        FactEntry("t.age", FactType.INT, "test", "a number", when_unknown=0, least=0, greatest=3),
        FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=("red", "green", "blue")),
        FactEntry("t.s", FactType.TEXT, "test", "a text"),
    ],
    [Output("pay.one", FactType.INT, "a share"), Output("pay.two", FactType.INT, "a share")],
)
VOCABULARY = vocabulary_of(SMALL)
# Conditions compare numbers with 0 … 3 only, and a text with 'x' only.
WORLDS: list[Mapping[str, FactValue]] = [
    {"t.p": p, "t.q": q, "t.a": a, "t.age": age, "t.age_known": known, "t.kind": kind, "t.s": s}
    for p, q, a, known, kind, s in product(
        (False, True),
        (False, True),
        range(-1, 5),
        (False, True),
        ("red", "green", "blue"),
        ("x", "y"),
    )
    for age in (range(4) if known else (0,))
]

numbers = st.integers(0, 3)
orders = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
atoms = st.one_of(
    st.sampled_from(["t.p", "t.q", "t.age_known", "t.p == t.q", "t.s == 'x'"]),
    st.builds("t.a {} {}".format, orders, numbers),
    st.builds("t.age {} {}".format, orders, numbers),
    st.builds("t.a {} params.cap".format, orders),
    st.builds("t.kind {} '{}'".format, st.sampled_from(["==", "!="]), st.sampled_from(["red"])),
    st.sampled_from(["t.kind in ['red', 'blue']", "t.kind in params.kinds"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=4,
)
thens = st.sampled_from(
    ["deny", "deny", "review", "allow", "{set: {pay.one: 1}}", "{set: {pay.one: 1, pay.two: 2}}"]
)
HEAD = """\
pack: small
decides: small
version: 1
owner: test
jurisdiction: CN
effective: {{from: '2026-01-01T00:00:00+08:00'}}
params: {{cap: {}, kinds: [{}]}}
rules:
"""
RULE = """\
  - {{id: r{0}, description: A rule, when: "{1}", then: {2}, reason: NO, priority: {0}}}
"""


def pack_of(written: list[tuple[str, str]], cap: int = 2, kinds: str = "red") -> Pack:
    text = HEAD.format(cap, kinds) + "".join(
        RULE.format(number, when, then) for number, (when, then) in enumerate(written)
    )
    return read_pack(text, "small.yaml", {"small": SMALL})


def fires(rule: Rule) -> list[Mapping[str, FactValue]]:
    return [world for world in WORLDS if holds(rule.condition, world)]


def within(inner: Rule, outer: Rule) -> bool:
    return all(holds(outer.condition, world) for world in fires(inner))


def meet(one: Rule, other: Rule) -> bool:
    return any(holds(other.condition, world) for world in fires(one))


def covers(outer: Rule, inner: Rule) -> bool:
    """Whether a rule's outcome leaves nothing of the other's but its reason."""
    one, other = outer.outcome, inner.outcome
    if other.sets:
        return one.priority > other.priority and dict(other.sets).keys() <= dict(one.sets).keys()
    if one.sets or ("allow" in (one.effect, other.effect) and one.effect != other.effect):
        return False
    return one.effect.severity >= other.effect.severity


def others(found: Finding, pack: Pack) -> tuple[Rule, Rule]:
    """The rule of a finding and the one that its message names."""
    assert found.rule is not None
    rules = {rule.id: rule for rule in pack.rules}
    named = found.message.split("(line")[0].split("'")[-2]
    return rules[found.rule], rules[named]


def check(found: Finding, pack: Pack) -> None:
    rule = next(rule for rule in pack.rules if rule.id == found.rule)
    witness = None
    if found.witness is not None:
        witness = VOCABULARY.completed(found.witness)
        SMALL.row(FactSet(witness))  # raises where it is no whole set of facts
        assert holds(rule.condition, witness)
    match found.code:
        case "NEVER_FIRES" | "NEVER_FIRES_NOW":
            assert not fires(rule)
            assert witness is None
        case "ALWAYS_FIRES" | "ALWAYS_FIRES_NOW" | "SETS_ALWAYS":
            assert fires(rule) == WORLDS
            assert witness is not None
        case "SUBSUMED" | "OVERRULED" | "OVERRULED_NOW":
            inner, outer = others(found, pack)
            assert within(inner, outer)
            assert witness is not None
            assert holds(outer.condition, witness)
            if found.code == "SUBSUMED":
                assert covers(outer, inner)
        case "CONTRADICTS":
            allow, other = others(found, pack)
            assert (allow.outcome.effect, allow.outcome.sets) == ("allow", ())
            assert witness is not None
            assert holds(other.condition, witness)
            assert not within(allow, other) or other.outcome.effect == "review"
        case code:
            pytest.fail(f"{code} is no finding of so small a world")


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(conditions, thens), min_size=1, max_size=4))
def test_rule_findings_small_world_is_judged_exactly(written: list[tuple[str, str]]) -> None:
    pack = pack_of(written)
    found = list(rule_findings(pack, VOCABULARY))
    for each in found:
        check(each, pack)
    constant = {f.rule for f in found if f.code.startswith(("NEVER", "ALWAYS", "SETS"))}
    left = [rule for rule in pack.rules if rule.id not in constant]
    assert all(0 < len(fires(rule)) < len(WORLDS) for rule in left)
    subsumed = {f.rule for f in found if f.code == "SUBSUMED"}
    opposed = {
        (rule.id, other.id)
        for rule, other in (
            others(f, pack) for f in found if f.code.startswith(("OVERRULED", "CONTRADICTS"))
        )
    }
    for inner, outer in product(left, left):
        if inner is outer:
            continue
        if covers(outer, inner) and within(inner, outer):
            # Of two rules that fire on the same facts one is enough.
            same = covers(inner, outer) and within(outer, inner)
            assert inner.id in subsumed or (same and outer.id in subsumed)
        plain = inner.outcome.effect == "allow" and not inner.outcome.sets
        if plain and outer.outcome.effect != "allow":
            assert ((inner.id, outer.id) in opposed) is meet(inner, outer)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(conditions, thens), min_size=1, max_size=3),
    st.integers(0, 3),
    st.sampled_from(["red", "green", "red, green, blue"]),
)
def test_rule_findings_without_now_hold_under_other_parameters(
    written: list[tuple[str, str]], cap: int, kinds: str
) -> None:
    other = {rule.id: rule for rule in pack_of(written, cap, kinds).rules}
    for found in rule_findings(pack_of(written), VOCABULARY):
        assert found.rule is not None
        if found.code == "NEVER_FIRES":
            assert not fires(other[found.rule])
        if found.code == "ALWAYS_FIRES":
            assert fires(other[found.rule]) == WORLDS
        if found.code == "OVERRULED":
            inner = other[found.rule]
            outer = other[found.message.split("(line")[0].split("'")[-2]]
            assert within(inner, outer)


def gift_pack(count: int) -> Pack:
    """A pack as large as they come, about gifts: caps, bands, ages, ties, limits."""
    shapes = [
        "gift.price_fen > {n}000 && gift.tier == 'basic' && gift.category == 'c{n}'",
        "sender.age_years_known && sender.age_years < {n} && sender.region == 'R{n}'",
        "pair.day_gifts_after > {n} && (pair.tie_class in ['dormant', 'acquaintance'] "
        "|| pair.unanswered_30d >= {n}) && gift.relation == 'friend'",
        "sender.day_fen_after > sender.day_fen_limit && gift.kind == 'k{n}'",
        "recipient.day_fen_after > {n}00 && recipient.day_gifts_after < {n} + 1 "
        "&& !(gift.relation in ['company', 'creator'])",
        "(gift.scene == 'chat' || gift.scene == 'moments' || gift.price_fen >= {n}) "
        "&& (pair.friends_days < {n} || pair.blocked) && gift.mechanics != 'direct'",
    ]
    rules = "".join(
        f'  - {{id: r{n}, description: A rule, when: "{shapes[n % len(shapes)].format(n=n + 1)}", '
        f"then: {'review' if n % 5 == 0 else 'allow' if n % 29 == 1 else 'deny'}, reason: NO}}\n"
        for n in range(count)
    )
    head = HEAD.replace("small", "gift_send").replace("params: {{cap: {}, kinds: [{}]}}\n", "")
    return read_pack(head.format() + rules, "gift.yaml", CATALOGUES)


def test_rule_findings_large_pack_is_decided_within_its_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budgets: list[Budget] = []

    def budget(left: int) -> Budget:
        budgets.append(Budget(left))
        return budgets[-1]

    monkeypatch.setattr("engine.policy.firing.Budget", budget)
    pack = gift_pack(60)
    found = list(rule_findings(pack, vocabulary_of(CATALOGUES["gift_send"])))
    assert {f.code for f in found} >= {"CONTRADICTS", "SUBSUMED"}
    assert "UNDECIDED" not in {f.code for f in found}
    (spent,) = budgets
    assert MOST_COMPARED_FOR_A_PACK - spent.left < 20_000  # some ten microseconds each
