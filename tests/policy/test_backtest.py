"""A backtest counts what deciding every record again would count, and says what it cannot know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
import yaml

from engine.domain.errors import LedgerUnavailable, PolicyError
from engine.domain.verdicts import Effect, FactSet, FactValue, Verdict
from engine.domain.versions import RecordedDecision, RecordedRow
from engine.policy import backtest as module
from engine.policy.backtest import backtest
from engine.policy.backtest_report import BacktestReport, Shift
from engine.policy.decisions import CATALOGUES
from engine.policy.differing import Change
from engine.policy.evaluating import holds
from engine.policy.folder import packs_in
from engine.policy.packs import Pack, read_pack
from engine.policy.ready_pack import verdict_of

Values = Mapping[str, FactValue]


@dataclass
class Log:
    """Records in memory, in parts of three."""

    records: list[RecordedDecision]

    def recorded(
        self, decision: str, since: int | None, until: int | None
    ) -> Iterator[Sequence[RecordedRow]]:
        found = [
            record
            for record in self.records
            if (since is None or since <= record.occurred_at)
            and (until is None or record.occurred_at < until)
        ]
        for begin in range(0, len(found), 3):
            yield found[begin : begin + 3]

    def count(self, decision: str, since: int | None, until: int | None) -> int:
        return sum(len(part) for part in self.recorded(decision, since, until))


def pack_of(*rules: dict[str, object], version: int = 1, decides: str = "gift_send") -> Pack:
    said = {
        "pack": decides,
        "decides": decides,
        "version": version,
        "owner": "test",
        "jurisdiction": "CN",
        "effective": {"from": "2026-01-01T00:00:00+08:00"},
        "rules": [{"description": "A rule.", **rule} for rule in rules],
    }
    return read_pack(yaml.safe_dump(said), "test.yaml", CATALOGUES)


def rule(name: str, when: str, then: object, reason: str | None = None) -> dict[str, object]:
    said = {"id": name, "when": when, "then": then, "reason": reason or name.upper()}
    return {k: v for k, v in said.items() if not (k == "reason" and isinstance(then, dict))}


def decided(pack: Pack, values: Values) -> Verdict:
    fired = {n for n, rule in enumerate(pack.rules) if holds(rule.condition, values)}
    return verdict_of(pack, frozenset(fired))


def record(number: int, pack: Pack, values: Values, facts: object = None) -> RecordedDecision:
    verdict = decided(pack, values)
    return RecordedDecision(
        f"dec_{number}",
        number,
        verdict.effect.value,
        orjson.dumps(verdict.fired).decode(),
        orjson.dumps(values if facts is None else facts),
        pack.ref.pack,
        pack.ref.version,
        pack.ref.hash,
    )


def shift(shifts: Sequence[Shift], name: str) -> Shift:
    [found] = [shift for shift in shifts if shift.name == name]
    return found


CAP_10 = pack_of(
    rule("cap", "sender.day_gifts_after > 10", "deny"),
    rule("dear", "gift.price_fen > 5000", "review"),
)


@pytest.fixture
def values(gift: Callable[..., FactSet]) -> Callable[..., Values]:
    return lambda **changed: (
        gift({name.replace("__", "."): value for name, value in changed.items()}).values
    )


def replay(candidate: Pack, *records: RecordedDecision) -> BacktestReport:
    return backtest(candidate, Log(list(records)), None, None)


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        ("allow", "allow", Change.UNCHANGED),
        ("allow", "review", Change.NEWLY_HELD),
        ("allow", "deny", Change.NEWLY_BLOCKED),
        ("review", "allow", Change.NEWLY_RELEASED),
        ("review", "review", Change.UNCHANGED),
        ("review", "deny", Change.NEWLY_BLOCKED),
        ("deny", "allow", Change.NEWLY_ALLOWED),
        ("deny", "review", Change.NEWLY_HELD),
        ("deny", "deny", Change.UNCHANGED),
    ],
)
def test_change_of_effect_is_named_and_laid_to_the_rule(
    values: Callable[..., Values], before: str, now: str, change: Change
) -> None:
    old = pack_of(rule("old", "gift.price_fen > 0", before))
    new = pack_of(rule("new", "gift.price_fen > 0", now), version=2)
    report = replay(new, record(1, old, values()))
    assert {c: n for c, n in report.changes.items() if n} == {change: 1}
    assert report.effects == {(Effect(before), Effect(now)): 1}
    stricter = Effect(now).severity > Effect(before).severity
    answerable, silent = ("new", "old") if stricter else ("old", "new")
    counted = 0 if change is Change.UNCHANGED else 1
    assert sum(shift(report.rules, answerable).changes.values()) == counted
    assert sum(shift(report.rules, silent).changes.values()) == 0
    of_reasons = {s.name: sum(s.changes.values()) for s in report.reasons}
    assert of_reasons.get(answerable.upper(), 0) == counted
    assert of_reasons.get(silent.upper(), 0) == 0
    assert (shift(report.rules, "new").newly_fires, shift(report.rules, "new").recorded) == (1, 0)
    gone = shift(report.rules, "old")
    assert (gone.no_longer_fires, gone.in_candidate, gone.fires) == (1, False, 0)


def test_rule_that_keeps_firing_with_another_effect_is_answerable(
    values: Callable[..., Values],
) -> None:
    held = pack_of(rule("dear", "gift.price_fen > 0", "review"))
    denied = pack_of(rule("dear", "gift.price_fen > 0", "deny"), version=2)
    stricter = replay(denied, record(1, held, values()))
    assert shift(stricter.rules, "dear").changes["newly_blocked"] == 1
    milder = replay(held, record(1, denied, values()))
    assert shift(milder.rules, "dear").changes["newly_held"] == 1
    assert shift(milder.rules, "dear").newly_fires == 0


def test_moved_threshold_changes_exactly_what_lies_between(
    values: Callable[..., Values],
) -> None:
    lower = pack_of(
        rule("cap", "sender.day_gifts_after > 7", "deny"),
        rule("dear", "gift.price_fen > 5000", "review"),
        version=2,
    )
    records = [
        record(count, CAP_10, values(sender__day_gifts_after=count)) for count in range(1, 15)
    ]
    report = replay(lower, *records)
    assert report.changes[Change.NEWLY_BLOCKED] == 3
    assert report.changes[Change.UNCHANGED] == 11
    assert [e.decision_id for e in report.examples] == ["dec_8", "dec_9", "dec_10"]
    example = report.examples[0]
    assert (example.before, example.now) == (Effect.ALLOW, Effect.DENY)
    assert (example.newly_fires, example.no_longer_fires) == (("cap",), ())
    assert example.facts == {"gift.price_fen": 900, "sender.day_gifts_after": 8}
    cap = shift(report.rules, "cap")
    assert (cap.recorded, cap.fires, cap.newly_fires, cap.no_longer_fires) == (4, 7, 3, 0)
    assert cap.examples == ("dec_8", "dec_9", "dec_10")
    assert shift(report.reasons, "CAP").newly_fires == 3


def test_examples_are_as_many_as_asked_for_and_the_first(values: Callable[..., Values]) -> None:
    candidate = pack_of(rule("all", "gift.price_fen > 0", "deny"), version=2)
    records = [record(n, CAP_10, values(gift__price_fen=n * 1_000)) for n in range(1, 10)]
    report = backtest(candidate, Log(records), None, None, examples=2)
    assert [e.decision_id for e in report.examples] == ["dec_1", "dec_2"]
    assert shift(report.rules, "all").examples == ("dec_1", "dec_2")
    # Another kind of change of the same rule shows its own first ones.
    assert shift(report.rules, "dear").examples == ("dec_6", "dec_7")
    none = backtest(candidate, Log(records), None, None, examples=0)
    assert none.examples == () and shift(none.rules, "all").examples == ()


def test_window_takes_its_first_instant_and_leaves_its_last(values: Callable[..., Values]) -> None:
    log = Log([record(n, CAP_10, values()) for n in range(10)])
    report = backtest(CAP_10, log, 3, 7)
    assert report.decisions == 4
    [pack] = report.packs
    assert (pack.ref, pack.decisions, pack.first_at, pack.last_at) == (CAP_10.ref, 4, 3, 6)
    assert (report.as_json()["since"], report.as_json()["until"]) == (
        "1970-01-01T00:00:00.000003Z",
        "1970-01-01T00:00:00.000007Z",
    )


def test_versions_that_had_decided_are_told_apart(values: Callable[..., Values]) -> None:
    other = pack_of(rule("cap", "sender.day_gifts_after > 9", "deny"), version=2)
    # The middle one of the first version is of another kind, so that spans are joined.
    prices = [900, 6_000, 900, 900, 900]
    records = [
        record(n, other if n in (2, 3) else CAP_10, values(gift__price_fen=price))
        for n, price in enumerate(prices)
    ]
    report = replay(CAP_10, *records)
    assert [(p.ref.version, p.decisions, p.first_at, p.last_at) for p in report.packs] == [
        (1, 3, 0, 4),
        (2, 2, 2, 3),
    ]


def test_empty_log_gives_an_empty_report(values: Callable[..., Values]) -> None:
    told: list[tuple[int, int | None]] = []
    report = backtest(CAP_10, Log([]), None, None, lambda done, total: told.append((done, total)))
    assert report.decisions == 0 and sum(report.changes.values()) == 0
    assert [s.name for s in report.rules] == ["cap", "dear"]
    assert told == []


def test_progress_is_told_after_every_part(values: Callable[..., Values]) -> None:
    told: list[tuple[int, int | None]] = []
    log = Log([record(n, CAP_10, values()) for n in range(8)])
    backtest(CAP_10, log, None, None, lambda done, total: told.append((done, total)))
    assert told == [(3, 8), (6, 8), (8, 8)]


def test_progress_never_passes_its_total(values: Callable[..., Values]) -> None:
    class Grown(Log):
        def count(self, decision: str, since: int | None, until: int | None) -> int:
            return 4

    told: list[tuple[int, int | None]] = []
    log = Grown([record(n, CAP_10, values()) for n in range(6)])
    backtest(CAP_10, log, None, None, lambda done, total: told.append((done, total)))
    assert told == [(3, 4), (6, 6)]


def test_log_that_breaks_off_gives_no_report(values: Callable[..., Values]) -> None:
    class Broken(Log):
        def recorded(
            self, decision: str, since: int | None, until: int | None
        ) -> Iterator[Sequence[RecordedRow]]:
            yield self.records
            raise LedgerUnavailable("gone")

    with pytest.raises(LedgerUnavailable):
        backtest(CAP_10, Broken([record(1, CAP_10, values())]), None, None)


@pytest.mark.parametrize("broken", [{"facts": b"{"}, {"fired": "[{"}])
def test_record_that_is_no_json_is_named_by_its_time(
    values: Callable[..., Values], broken: dict[str, Any]
) -> None:
    records = [record(n, CAP_10, values()) for n in range(3)]
    with pytest.raises(PolicyError, match=r"up to 1970-01-01T00:00:00.000002Z is not as it was"):
        replay(CAP_10, *records[:2], records[2]._replace(**broken))


def test_missing_fact_that_decides_is_not_evaluable(values: Callable[..., Values]) -> None:
    whole = values()
    short = {name: value for name, value in whole.items() if name != "sender.hour_gifts_after"}
    candidate = pack_of(
        rule("haste", "sender.hour_gifts_after > 5", "review"),
        rule("cap", "sender.day_gifts_after > 10", "deny"),
        version=2,
    )
    report = replay(candidate, record(1, CAP_10, whole, short), record(2, CAP_10, whole))
    assert report.changes[Change.NOT_EVALUABLE] == 1
    assert report.changes[Change.UNCHANGED] == 1
    assert report.effects[Effect.ALLOW, None] == 1
    [gap] = report.gaps
    assert (gap.fact, gap.missing, gap.mistyped, gap.not_evaluable) == (
        "sender.hour_gifts_after",
        1,
        0,
        1,
    )
    assert shift(report.rules, "haste").not_evaluable == 1
    assert shift(report.rules, "cap").not_evaluable == 0
    assert shift(report.reasons, "HASTE").not_evaluable == 1
    [example] = report.examples
    assert (example.change, example.now) == (Change.NOT_EVALUABLE, None)
    assert example.not_evaluable == ("haste",)
    assert example.facts == {"sender.day_gifts_after": 1}
    assert any("lack facts" in note for note in report.notes)


def test_missing_fact_that_changes_nothing_is_evaluated(values: Callable[..., Values]) -> None:
    late = values(sender__day_gifts_after=11)
    short = {name: value for name, value in late.items() if name != "sender.hour_gifts_after"}
    candidate = pack_of(
        # Another fact refutes the first, and a denial outweighs the second.
        rule("creators", "gift.relation == 'creator' && sender.hour_gifts_after > 5", "deny"),
        rule("haste", "sender.hour_gifts_after > 5", "review"),
        rule("cap", "sender.day_gifts_after > 10", "deny"),
        version=2,
    )
    report = replay(candidate, record(1, CAP_10, late, short))
    assert report.changes[Change.UNCHANGED] == 1
    [gap] = report.gaps
    assert (gap.missing, gap.not_evaluable) == (1, 0)
    assert shift(report.rules, "creators").not_evaluable == 0
    assert shift(report.rules, "haste").not_evaluable == 1
    assert shift(report.reasons, "CAP").fires == 1
    assert shift(report.reasons, "HASTE").not_evaluable == 0


def test_reason_that_a_lacking_fact_may_outweigh_is_not_counted_as_given(
    values: Callable[..., Values],
) -> None:
    whole = values(gift__price_fen=6_000)
    short = {name: value for name, value in whole.items() if name != "sender.hour_gifts_after"}
    candidate = pack_of(
        rule("dear", "gift.price_fen > 5000", "review"),
        rule("haste", "sender.hour_gifts_after > 5", "deny"),
        version=2,
    )
    report = replay(candidate, record(1, CAP_10, whole, short))
    assert report.effects == {(Effect.REVIEW, None): 1}
    dear, haste = (shift(report.reasons, name) for name in ("DEAR", "HASTE"))
    assert (dear.recorded, dear.fires, dear.no_longer_fires, dear.not_evaluable) == (1, 0, 0, 1)
    assert (haste.fires, haste.not_evaluable) == (0, 1)
    # The rule itself fires for all that.
    assert shift(report.rules, "dear").fires == 1


@pytest.mark.parametrize("wrong", ["11", True, 11.0, None, [11]])
def test_fact_of_another_type_is_not_compared(values: Callable[..., Values], wrong: object) -> None:
    record_ = record(1, CAP_10, values(), {**values(), "sender.day_gifts_after": wrong})
    report = replay(CAP_10, record_)
    assert report.changes[Change.NOT_EVALUABLE] == 1
    [gap] = report.gaps
    assert (gap.fact, gap.missing, gap.mistyped, gap.not_evaluable) == (
        "sender.day_gifts_after",
        0,
        1,
        1,
    )


def settle(share: int, version: int, when: str = "gift.price_fen > 0") -> Pack:
    then = {"set": {"settle.platform_ppm": share}}
    return pack_of(rule("share", when, then), version=version, decides="gift_settle")


@pytest.fixture
def settled() -> Values:
    """Some gift to be settled."""
    catalogue = CATALOGUES["gift_settle"]
    plain: dict[str, FactValue] = {"bool": False, "int": 100, "text": "tea"}
    return catalogue.fact_set(
        {e.name: e.values[0] if e.values else plain[e.type] for e in catalogue.supplied}
    ).values


def test_other_outputs_are_a_change_of_their_own(settled: Values) -> None:
    recorded = record(1, settle(250_000, 1), settled)
    report = replay(settle(300_000, 2), recorded)
    assert report.changes[Change.OTHER_OUTPUTS] == 1
    assert report.examples[0].change is Change.OTHER_OUTPUTS
    assert replay(settle(250_000, 3), recorded).changes[Change.UNCHANGED] == 1


def test_outputs_that_rest_on_a_missing_fact_are_not_evaluable(settled: Values) -> None:
    short = {name: value for name, value in settled.items() if name != "gift.price_fen"}
    recorded = record(1, settle(250_000, 1), settled, short)
    assert replay(settle(250_000, 2), recorded).changes[Change.NOT_EVALUABLE] == 1
    other = settle(250_000, 2, "gift.relation == 'friend'")
    assert replay(other, recorded).changes[Change.NOT_EVALUABLE] == 0


def test_rules_recorded_before_outputs_existed_are_read(values: Callable[..., Values]) -> None:
    late = record(1, CAP_10, values(sender__day_gifts_after=11))
    old = [{"rule": "cap", "effect": "deny", "reason": "CAP", "requires": None}]
    report = replay(CAP_10, late._replace(fired=orjson.dumps(old).decode()))
    assert report.changes[Change.UNCHANGED] == 1
    assert shift(report.rules, "cap").newly_fires == 0


def test_report_as_json_says_everything_in_plain_values(values: Callable[..., Values]) -> None:
    candidate = pack_of(rule("all", "gift.price_fen > 0", "deny"), version=2)
    report = replay(candidate, record(1_767_225_600_000_000, CAP_10, values()))
    said = orjson.loads(orjson.dumps(report.as_json()))
    assert said == report.as_json()
    assert said["candidate"] == {
        "pack": "gift_send",
        "version": 2,
        "hash": candidate.ref.hash,
    }
    assert said["decisions"] == 1
    assert said["changes"]["newly_blocked"] == 1 and set(said["changes"]) == set(Change)
    assert said["effects"] == [{"recorded": "allow", "candidate": "deny", "decisions": 1}]
    assert said["rules"][0]["rule"] == "all" and said["reasons"][0]["reason"] == "ALL"
    assert said["packs"][0]["first_at"] == "2026-01-01T00:00:00Z"
    assert said["examples"][0]["facts"] == {"gift.price_fen": 900}
    assert "Counters" in said["notes"][0]


@pytest.fixture(scope="module")
def shipped(rules_folder: Path) -> Pack:
    [found] = [pack for pack in packs_in(rules_folder) if pack.decides == "gift_send"]
    return found


@pytest.fixture(scope="module")
def candidate(shipped: Pack) -> Pack:
    """Every number a third lower, a rule gone, a rule added."""
    said = yaml.safe_load(shipped.text)
    said["version"] += 1
    params = said["params"].items()
    said["params"] = {k: v * 2 // 3 if type(v) is int else v for k, v in params}
    del said["rules"][1]
    said["rules"].append(
        {"description": "New.", **rule("haste", "sender.hour_gifts_after > 3", "review")}
    )
    return read_pack(yaml.safe_dump(said), "candidate.yaml", CATALOGUES)


def drawn(random: Random) -> Values:
    """Complete facts of `gift_send` near where the rules divide them."""
    catalogue = CATALOGUES["gift_send"]
    values: dict[str, FactValue | None] = {}
    for entry in catalogue.supplied:
        if entry.type == "bool":
            usual = entry.name.endswith(("allowed", "_sale", "_stock", "friends"))
            values[entry.name] = usual is (random.random() < 0.95)
        elif entry.type == "int":
            scale = 12_000 if entry.unit == "fen" else 3_000_000 if entry.unit == "ppm" else 20
            values[entry.name] = random.randrange(scale)
        else:
            values[entry.name] = random.choice(entry.values or ("CN", "HK", "tea", "photo"))
        if entry.may_be_unknown and random.random() < 0.5:
            values[entry.name] = None
    values["gift.relation"], values["gift.scene"] = "friend", "chat"
    values["gift.tier"], values["gift.mechanics"] = "goods", "direct"
    return catalogue.fact_set(values).values


def test_backtest_counts_what_deciding_each_again_counts(shipped: Pack, candidate: Pack) -> None:
    random = Random(7)
    rows = [drawn(random) for _ in range(800)]
    report = replay(candidate, *(record(n, shipped, row) for n, row in enumerate(rows)))
    effects: Counter[tuple[Effect, Effect | None]] = Counter()
    newly: Counter[str] = Counter()
    no_longer: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for row in rows:
        before, now = decided(shipped, row), decided(candidate, row)
        effects[before.effect, now.effect] += 1
        then, fires = ({r.rule for r in v.fired} for v in (before, now))
        newly.update(fires - then)
        no_longer.update(then - fires)
        reasons.update(set(now.reasons) - set(before.reasons))
    assert report.effects == effects
    assert len(effects) >= 6, "too tame to show anything"
    assert {s.name: s.newly_fires for s in report.rules if s.newly_fires} == newly
    assert {s.name: s.no_longer_fires for s in report.rules if s.no_longer_fires} == no_longer
    assert {s.name: s.newly_fires for s in report.reasons if s.newly_fires} == reasons
    assert sum(report.changes.values()) == report.decisions == 800


def test_answer_on_incomplete_records_is_never_wrong(shipped: Pack, candidate: Pack) -> None:
    """Whatever the lacking facts were, a decision counted as evaluable comes out as counted."""
    random = Random(8)
    read = sorted(module.generate(candidate).facts)
    evaluable = 0
    for number in range(300):
        row = drawn(random)
        lacking = random.sample(read, random.randrange(1, 15))
        short = {name: value for name, value in row.items() if name not in lacking}
        report = replay(candidate, record(number, shipped, row, short))
        [(_, now)] = report.effects
        assert {gap.fact for gap in report.gaps} == set(lacking)
        if now is not None:
            evaluable += 1
            assert now is decided(candidate, row).effect
    assert 30 < evaluable < 290


def test_sums_are_the_same_however_often_they_are_added_up(
    shipped: Pack, candidate: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(9)
    records = [record(n, shipped, drawn(random)) for n in range(200)]
    whole = replay(candidate, *records)
    monkeypatch.setattr(module, "_MOST_KINDS", 5)
    monkeypatch.setattr(module, "_MOST_BOUNDS", 1)
    assert replay(candidate, *records) == whole
