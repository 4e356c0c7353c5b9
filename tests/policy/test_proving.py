"""Proof of packs: examples and cases run through the real engine, and what they say when wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.domain.errors import PackInvalid, PolicyError
from engine.domain.verdicts import FactValue
from engine.policy.cases import read_cases
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType, Output
from engine.policy.guarded import GuardedRules
from engine.policy.packs import read_pack
from engine.policy.proving import Proof, completed, concerning, prove
from engine.policy.reasons import read_reasons

CATALOGUE = FactCatalogue(
    "pay",
    [
        FactEntry("gift.price_fen", FactType.INT, "test", "a price", "fen"),
        FactEntry("gift.allowed", FactType.BOOL, "test", "a truth"),
        FactEntry("sender.age_years", FactType.INT, "test", "an age", "years", 0),
    ],
    [Output("pay.share_ppm", FactType.INT, "a share", "ppm", 0, 1_000_000)],
)
CATALOGUES = {"pay": CATALOGUE}
PACK = """\
pack: pay
decides: pay
version: 3
owner: test
jurisdiction: CN
effective: {from: 2026-01-01T00:00:00+08:00, until: 2027-01-01T00:00:00+08:00}
params: {cap: 100}
rules:
  - id: dear
    description: Not too dear.
    when: gift.price_fen > params.cap
    then: review
    reason: TOO_DEAR
    examples:
      - {facts: {gift.price_fen: 99}, fires: false}
      - {facts: {gift.price_fen: 100}, fires: false}
      - {facts: {gift.price_fen: 101}, fires: true}
  - id: not_allowed
    description: Allowed only.
    when: '!gift.allowed'
    then: deny
    reason: NOT_ALLOWED
  - id: child
    description: No child.
    when: sender.age_years_known && sender.age_years < 18
    then: deny
    reason: TOO_YOUNG
    examples:
      - {facts: {sender.age_years_known: true, sender.age_years: 17}, fires: true}
      - {facts: {sender.age_years_known: true, sender.age_years: 18}, fires: false}
      - {facts: {sender.age_years_known: true, sender.age_years: 19}, fires: false}
  - id: share
    description: A tenth of cheap gifts.
    when: gift.price_fen < 10
    then: {set: {pay.share_ppm: 100000}}
    examples:
      - {facts: {gift.price_fen: 9}, fires: true}
      - {facts: {gift.price_fen: 10}, fires: false}
      - {facts: {gift.price_fen: 11}, fires: false}
"""
CASES = """\
decides: pay
base: {gift.price_fen: 50, gift.allowed: true, sender.age_years: null}
cases:
  - {name: plain, effect: allow, fired: [], reasons: [], outputs: {}}
  - name: everything at once
    facts: {gift.price_fen: 200, gift.allowed: false, sender.age_years: 12}
    effect: deny
    fired: [child, not_allowed, dear]
    reasons: [NOT_ALLOWED, TOO_YOUNG]
  - name: cheap
    facts: {gift.price_fen: 5}
    effect: allow
    fired: [share]
    outputs: {pay.share_ppm: 100000}
"""
WORDS = "{text: t, next_step: n}"
REASONS = "reasons:\n" + "".join(
    f"  - {{code: {code}, en: {WORDS}, zh: {WORDS}}}\n"
    for code in ("TOO_DEAR", "NOT_ALLOWED", "TOO_YOUNG")
)


@pytest.fixture
def proof() -> Callable[..., Proof]:
    """Prove the pack on the cases, with so many texts replaced."""

    def run(*changes: tuple[str, str]) -> Proof:
        texts = [PACK, CASES]
        for old, new in changes:
            assert sum(text.count(old) for text in texts) == 1, old
            texts = [text.replace(old, new) for text in texts]
        pack = read_pack(texts[0], "pay.yaml", CATALOGUES)
        cases = read_cases(texts[1], "cases/pay.yaml", CATALOGUES)
        return prove(pack, cases, read_reasons(REASONS, "reasons.yaml"), CATALOGUES)

    return run


def _said(found: Proof) -> list[str]:
    return [str(failure) for failure in found.failures]


def test_prove_true_examples_and_cases_that_show_everything_are_sound(
    proof: Callable[..., Proof],
) -> None:
    found = proof()
    assert _said(found) == []
    assert found.coverage.gaps == ()
    assert found.sound
    assert (found.examples, found.cases) == (9, 3)
    assert (found.coverage.rules, found.coverage.rules_fired) == (4, 4)
    assert (found.coverage.probes, found.coverage.probes_met) == (9, 9)


def test_prove_false_example_says_where_and_what_stood(proof: Callable[..., Proof]) -> None:
    found = proof(("{gift.price_fen: 101}, fires: true", "{gift.price_fen: 101}, fires: false"))
    assert _said(found) == [
        "pay.yaml:17:9: example 3 of dear: expected it not to fire, "
        "found that it fires (gift.price_fen > 100 is true at 101)"
    ]
    assert not found.sound
    told = found.failures[0].as_json()
    assert (told["where"], told["expected"]) == ("pay.yaml:17:9", "it not to fire")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "{name: plain, effect: allow",
            "{name: plain, effect: deny",
            "4:5: case 'plain': expected deny, found allow",
        ),
        (
            "    effect: deny",
            "    effect: review",
            "5:5: case 'everything at once': expected review, found deny by not_allowed, child",
        ),
        (
            "fired: [child, not_allowed, dear]",
            "fired: [child, not_allowed]",
            "5:5: case 'everything at once': expected exactly these rules to fire: "
            "not_allowed, child, found dear, not_allowed, child",
        ),
        (
            "effect: allow, fired: [], reasons",
            "effect: allow, fired: [dear], reasons",
            "4:5: case 'plain': expected exactly these rules to fire: dear, found none",
        ),
        (
            "fired: [share]",
            "fired: [share, shares]",
            "10:5: case 'cheap': expected the rule 'shares' to fire, "
            "found that pay has no such rule: did you mean share?",
        ),
        (
            "reasons: [NOT_ALLOWED, TOO_YOUNG]",
            "reasons: [NOT_ALLOWED, TOO_OLD]",
            "5:5: case 'everything at once': expected the reasons NOT_ALLOWED, TOO_OLD, "
            "found NOT_ALLOWED, TOO_YOUNG (no reason has the code TOO_OLD)",
        ),
        (
            "outputs: {pay.share_ppm: 100000}",
            "outputs: {pay.share_ppm: 1}",
            "10:5: case 'cheap': expected the outputs {'pay.share_ppm': 1}, "
            "found {'pay.share_ppm': 100000}",
        ),
        (
            "reasons: [NOT_ALLOWED, TOO_YOUNG]",
            "reasons: []",
            "5:5: case 'everything at once': expected the reasons none, "
            "found NOT_ALLOWED, TOO_YOUNG",
        ),
        (
            "outputs: {pay.share_ppm: 100000}",
            "outputs: {}",
            "10:5: case 'cheap': expected the outputs {}, found {'pay.share_ppm': 100000}",
        ),
        (
            "outputs: {}",
            "outputs: {pay.share_ppm: 1}",
            "4:5: case 'plain': expected the outputs {'pay.share_ppm': 1}, found {}",
        ),
    ],
)
def test_prove_false_case_says_where_and_what_came(
    proof: Callable[..., Proof], old: str, new: str, said: str
) -> None:
    found = proof((old, new))
    assert _said(found) == [f"cases/pay.yaml:{said}"]
    assert not found.sound


def test_prove_rule_that_only_another_rules_example_fires_is_a_gap(
    proof: Callable[..., Proof],
) -> None:
    # Neutral facts do not allow the gift, so every example fires not_allowed by the way.
    assert completed({}, CATALOGUE).values["gift.allowed"] is False
    found = proof(
        ("gift.price_fen: 200, gift.allowed: false", "gift.price_fen: 200"),
        ("fired: [child, not_allowed, dear]", "fired: [child, dear]"),
        ("reasons: [NOT_ALLOWED, TOO_YOUNG]", "reasons: [TOO_YOUNG]"),
    )
    assert found.failures == ()
    assert [gap.message for gap in found.coverage.gaps] == [
        "not_allowed: no example or case makes it fire"
    ]
    assert found.coverage.gaps[0].where == "pay.yaml:18:5"
    assert not found.sound


def test_prove_case_probes_thresholds_as_examples_do(proof: Callable[..., Proof]) -> None:
    dropped = ("      - {facts: {gift.price_fen: 10}, fires: false}\n", "")
    assert [gap.message for gap in proof(dropped).coverage.gaps] == [
        "share: gift.price_fen < 10 is never probed at 10"
    ]
    case = "  - {name: ten, facts: {gift.price_fen: 10}, effect: allow, fired: []}\n"
    assert proof(dropped, ("cases:\n", f"cases:\n{case}")).sound


def test_concerning_leaves_out_other_decisions_and_other_times() -> None:
    pack = read_pack(PACK, "pay.yaml", CATALOGUES)
    now = read_cases("at: 2026-12-31T23:59:59+08:00\n" + CASES, "c", CATALOGUES)
    later = read_cases("at: 2027-01-01T00:00:00+08:00\n" + CASES, "c", CATALOGUES)
    other = FactCatalogue("other", CATALOGUE.supplied, tuple(CATALOGUE.outputs.values()))
    foreign = read_cases(CASES.replace("decides: pay", "decides: other"), "c", {"other": other})
    assert concerning(pack, [*later, *now, *foreign]) == now


def test_prove_unknown_reason_of_a_rule_is_refused() -> None:
    few = read_reasons(REASONS.split("  - {code: TOO_YOUNG")[0], "reasons.yaml")
    with pytest.raises(PackInvalid, match=r"pay\.yaml:23:5: .*unknown reason TOO_YOUNG"):
        prove(read_pack(PACK, "pay.yaml", CATALOGUES), [], few, CATALOGUES)


def test_prove_asks_durable_rules_and_believes_no_failing_engine(
    proof: Callable[..., Proof], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GuardedRules, "fired", lambda _, rows: [frozenset() for _ in rows])
    found = proof()
    assert len([f for f in found.failures if f.subject.startswith("example")]) == 3
    assert found.coverage.rules_fired == 0

    def fail(*_: object) -> None:
        raise PolicyError("the rules engine failed")

    monkeypatch.setattr(GuardedRules, "fired", fail)
    with pytest.raises(PolicyError):
        proof()


@pytest.mark.parametrize(
    ("given", "age"),
    [
        ({}, (0, False)),
        ({"sender.age_years": 30}, (30, True)),
        ({"sender.age_years_known": True}, (0, True)),
        ({"sender.age_years_known": False, "sender.age_years": 0}, (0, False)),
    ],
)
def test_completed_facts_can_occur(
    given: dict[str, FactValue], age: tuple[FactValue, FactValue]
) -> None:
    facts = completed(given, CATALOGUE)
    CATALOGUE.row(facts)
    assert (facts.values["sender.age_years"], facts.values["sender.age_years_known"]) == age


def test_proof_as_json_tells_counts_failures_and_gaps(proof: Callable[..., Proof]) -> None:
    found = proof(("      - {facts: {gift.price_fen: 10}, fires: false}\n", ""))
    told = found.as_json()
    assert (told["pack"], told["version"], told["sound"]) == ("pay", 3, False)
    assert (told["examples"], told["cases"], told["failures"]) == (8, 3, [])
    assert told["coverage"] == {
        "rules": 4,
        "rules_fired": 4,
        "probes": 9,
        "probes_met": 8,
        "gaps": [found.coverage.gaps[0].as_json()],
    }
