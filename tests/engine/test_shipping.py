"""The shipping job on both databases: from a file to what decides, and back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from sqlalchemy import text

from engine.domain.clock import parse_time
from engine.domain.errors import (
    Conflict,
    InvalidInput,
    LishangError,
    PackInvalid,
    PolicyError,
    UnknownReference,
)
from engine.domain.pack_life import Action, Actor, Change, PackState
from engine.domain.verdicts import FactSet
from engine.ledger.database import Database
from engine.ledger.packs import PackVersions
from engine.policy.admission import stored_pack
from engine.policy.engine import PolicyEngine
from engine.policy.folder import reasons_in
from engine.shipping import Shipping

ANN, BOB = Actor("k1", "ann"), Actor("k2", "bob")
AT = parse_time("2026-06-01T00:00:00+08:00")
REPORT = '{"decisions":1}'


@pytest.fixture
def shipping(database: Database, small_rules: Path) -> Shipping:
    made = Shipping(database, small_rules)
    made.seed(AT)
    return made


@pytest.fixture
def ship(shipping: Shipping, small_pack: Callable[..., str]) -> Callable[..., Change]:
    """Takes a small pack all the way into service."""

    def enforce(version: int, at: int = AT, **changed: str) -> Change:
        [kept] = shipping.publish({"f.yaml": small_pack(version, **changed)}, ANN, at)
        shipping.attach_backtest(kept.ref.pack, version, REPORT, ANN, at)
        shipping.shadow(kept.ref.pack, version, ANN, at)
        return shipping.enforce(kept.ref.pack, version, BOB, at)

    return enforce


def states(shipping: Shipping, pack: str = "gift_send") -> list[str]:
    return [version.state.value for version in shipping.versions(pack)]


def engine_of(database: Database, rules: Path) -> PolicyEngine:
    """An engine that decides by what the store says is in service."""
    service = PackVersions(database).in_service()
    packs = [stored_pack(stored.ref, stored.text) for stored in service.enforced]
    return PolicyEngine(packs, reasons_in(rules))


def test_seeding_keeps_and_enforces_the_folder_once(shipping, small_rules, small_pack) -> None:
    versions = shipping.versions()
    assert [(v.decides, v.state, v.author.name) for v in versions] == [
        (decision, PackState.ENFORCED, "seed")
        for decision in ("gift_send", "gift_settle", "offer_show")
    ]
    assert [event.action for event in shipping.events()] == [Action.SEEDED] * 3
    (small_rules / "gift_send.yaml").write_text(small_pack(2), encoding="utf-8")
    (small_rules / "gift_settle.yaml").unlink()
    seeding = shipping.seed(AT + 1)
    assert seeding.seeded == ()
    assert [(ref.pack, ref.version) for ref in seeding.unpublished] == [("gift_send", 2)]
    assert shipping.versions() == versions


def test_seeding_by_many_at_once_seeds_once(database, small_rules) -> None:
    start = threading.Barrier(6)

    def seed(_: int) -> int:
        start.wait()
        return len(Shipping(database, small_rules).seed(AT).seeded)

    with ThreadPoolExecutor(6) as pool:
        seeded = list(pool.map(seed, range(6)))
    assert sorted(seeded) == [0, 0, 0, 0, 0, 3]
    assert len(PackVersions(database).events()) == 3


def test_seeding_a_new_decision_later_leaves_the_others(database, small_rules, small_pack) -> None:
    (small_rules / "offer_show.yaml").rename(small_rules / "offer_show.off")
    shipping = Shipping(database, small_rules)
    assert len(shipping.seed(AT).seeded) == 2
    (small_rules / "offer_show.off").rename(small_rules / "offer_show.yaml")
    assert [ref.pack for ref in shipping.seed(AT).seeded] == ["offer_show"]


@pytest.mark.parametrize("fault", ["when: gift.to_self &&", "when: gift.unheard_of"])
def test_seeding_from_an_unusable_folder_keeps_nothing(database, small_rules, fault) -> None:
    path = small_rules / "gift_send.yaml"
    path.write_text(path.read_text().replace("when: gift.to_self", fault), encoding="utf-8")
    with pytest.raises(PackInvalid, match=r"gift_send\.yaml:\d+:\d+"):
        Shipping(database, small_rules).seed(AT)
    assert PackVersions(database).newest().revision == 0


def test_seeding_from_a_folder_with_an_unknown_reason_keeps_nothing(database, small_rules) -> None:
    path = small_rules / "gift_send.yaml"
    path.write_text(path.read_text().replace("GIFT_TO_SELF", "UNHEARD_OF"), encoding="utf-8")
    with pytest.raises(PackInvalid, match="UNHEARD_OF"):
        Shipping(database, small_rules).seed(AT)
    assert PackVersions(database).newest().revision == 0


def test_seeding_from_an_empty_folder_is_refused_only_while_nothing_is_kept(
    shipping, database, small_rules
) -> None:
    (small_rules / "gift_send.yaml").write_text("no pack", encoding="utf-8")
    assert "gift_send.yaml" in (shipping.seed(AT).fault or "")
    with database.writing() as unit:
        unit.execute(text("DELETE FROM pack_versions"))
    for path in small_rules.glob("*_s*.yaml"):
        path.unlink()
    with pytest.raises(PolicyError, match="no rule packs"):
        shipping.seed(AT)


def test_publishing_keeps_text_hash_author_time_and_checks(shipping, small_pack) -> None:
    [kept] = shipping.publish({"f.yaml": small_pack(2)}, ANN, AT)
    found = shipping.find("gift_send", 2)
    assert kept == found == shipping.find_by_hash(kept.ref.hash)
    assert (found.state, found.author, found.published_at) == (PackState.DRAFT, ANN, AT)
    assert found.text == small_pack(2)
    assert orjson.loads(found.checks)["proof"]["sound"] is True
    revision = shipping.events()[-1].revision
    assert shipping.publish({"f.yaml": "# again\n" + small_pack(2)}, BOB, AT + 1) == [found]
    assert shipping.events()[-1].revision == revision


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("when: gift.to_self", "when: gift.to_self && !gift.to_self", "not published"),
        ("gift.to_self: false}, fires: false", "gift.to_self: true}, fires: false", "not publish"),
        ("when: gift.to_self", "when: gift.to_self &&", "f.yaml:"),
        ("GIFT_TO_SELF", "UNHEARD_OF", "UNHEARD_OF"),
    ],
)
def test_publishing_what_lint_or_proof_refuse_keeps_nothing(
    shipping, small_pack, was, becomes, told
) -> None:
    good, bad = small_pack(2, "offer_show"), small_pack(2).replace(was, becomes)
    with pytest.raises(PackInvalid, match=told):
        shipping.publish({"g.yaml": good, "f.yaml": bad}, ANN, AT)
    assert len(shipping.versions()) == 3


def test_publishing_to_an_empty_store_seeds_it_first(database, small_rules, small_pack) -> None:
    shipping = Shipping(database, small_rules)
    shipping.publish({"f.yaml": small_pack(2)}, ANN, AT)
    assert states(shipping) == ["enforced", "draft"]


def test_publishing_another_text_under_a_number_is_a_conflict(shipping, small_pack) -> None:
    with pytest.raises(Conflict, match="gift_send version 1 is kept with another text"):
        shipping.publish({"f.yaml": small_pack(1, owner="others")}, ANN, AT)


def test_publishing_at_once_keeps_each_version_or_refuses_it(shipping, small_pack) -> None:
    before = len(shipping.events())
    start = threading.Barrier(5)

    def publish(number: int) -> bool:
        start.wait()
        try:
            shipping.publish({"f.yaml": small_pack(number)}, ANN, AT)
        except Conflict:
            return False
        return True

    numbers = range(2, 7)
    with ThreadPoolExecutor(5) as pool:
        kept = [n for n, done in zip(numbers, pool.map(publish, numbers), strict=True) if done]
    assert [v.ref.version for v in shipping.versions("gift_send")] == [1, *kept]
    assert kept[-1:] == [6]
    events = shipping.events()
    assert [event.revision for event in events] == list(range(1, before + len(kept) + 1))


def test_one_text_published_at_once_is_kept_once(shipping, small_pack) -> None:
    def publish(_: int) -> object:
        return shipping.publish({"f.yaml": small_pack(2)}, ANN, AT)[0].ref

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(publish, range(4)))) == 1
    assert [e.action for e in shipping.events("gift_send")] == [Action.SEEDED, Action.PUBLISHED]


def test_version_goes_from_draft_to_enforced_and_is_rolled_back(shipping, small_pack) -> None:
    shipping.publish({"f.yaml": small_pack(2)}, ANN, AT)
    with pytest.raises(Conflict, match="not been in shadow"):
        shipping.enforce("gift_send", 2, BOB, AT)
    with pytest.raises(Conflict, match="no backtest"):
        shipping.shadow("gift_send", 2, ANN, AT)
    shipping.attach_backtest("gift_send", 2, REPORT, ANN, AT)
    change = shipping.shadow("gift_send", 2, ANN, AT)
    assert (change.version.state, change.version.backtest) == (PackState.SHADOW, REPORT)
    with pytest.raises(Conflict, match="cannot approve"):
        shipping.enforce("gift_send", 2, ANN, AT)
    assert states(shipping) == ["enforced", "shadow"]
    change = shipping.enforce("gift_send", 2, BOB, AT)
    assert (change.version.approver, change.decides_from) == (BOB, AT)
    assert [ref.version for ref in change.retired] == [1]
    with pytest.raises(Conflict, match="cannot be given another backtest"):
        shipping.attach_backtest("gift_send", 2, "{}", ANN, AT)
    assert states(shipping) == ["retired", "enforced"]
    shipping.rollback("gift_send", BOB, AT)
    assert states(shipping) == ["enforced", "retired"]
    assert [(e.version, e.action.value, e.actor.name) for e in shipping.events("gift_send")] == [
        (1, "seeded", "seed"),
        (2, "published", "ann"),
        (2, "backtested", "ann"),
        (2, "shadowed", "ann"),
        (1, "retired", "bob"),
        (2, "enforced", "bob"),
        (2, "rolled back", "bob"),
        (1, "rolled back to", "bob"),
    ]


def test_newer_shadow_ends_the_older_and_enforcement_ends_any(shipping, small_pack) -> None:
    for number in (2, 3):
        shipping.publish({"f.yaml": small_pack(number)}, ANN, AT)
        shipping.attach_backtest("gift_send", number, REPORT, ANN, AT)
        change = shipping.shadow("gift_send", number, ANN, AT)
    assert [ref.version for ref in change.shadows_ended] == [2]
    assert states(shipping) == ["enforced", "draft", "shadow"]
    change = shipping.enforce("gift_send", 2, BOB, AT)
    assert [ref.version for ref in change.shadows_ended] == [3]
    assert states(shipping) == ["retired", "enforced", "draft"]


def test_rollback_goes_back_past_what_was_rolled_back_itself(shipping, ship) -> None:
    ship(2)
    shipping.rollback("gift_send", BOB, AT)
    ship(3)
    change = shipping.rollback("gift_send", BOB, AT)
    assert (change.version.ref.version, [ref.version for ref in change.retired]) == (1, [3])
    assert states(shipping) == ["enforced", "retired", "retired"]
    shipping.rollback("gift_send", BOB, AT, to=3)
    shipping.rollback("gift_send", BOB, AT, to=1)
    with pytest.raises(Conflict) as refused:
        shipping.rollback("gift_send", BOB, AT)
    assert "rollback gift_send --to" in refused.value.hint


def test_shadow_without_history_asks_for_a_word_that_history_keeps(shipping, small_pack) -> None:
    shipping.publish({"f.yaml": small_pack(2)}, ANN, AT)
    shipping.attach_backtest("gift_send", 2, '{"decisions":0}', ANN, AT)
    with pytest.raises(Conflict, match="replayed no decision"):
        shipping.shadow("gift_send", 2, ANN, AT)
    nothing_told = '{"decisions":5,"changes":{"not_evaluable":5}}'
    shipping.attach_backtest("gift_send", 2, nothing_told, ANN, AT)
    with pytest.raises(Conflict, match="replayed no decision"):
        shipping.shadow("gift_send", 2, ANN, AT)
    shipping.shadow("gift_send", 2, ANN, AT, without_history=True)
    assert shipping.events()[-1].action is Action.SHADOWED_WITHOUT_HISTORY
    shipping.enforce("gift_send", 2, BOB, AT)
    shipping.publish({"f.yaml": small_pack(3)}, ANN, AT)
    shipping.attach_backtest("gift_send", 3, REPORT, ANN, AT)
    shipping.shadow("gift_send", 3, ANN, AT, without_history=True)  # it has one
    assert shipping.events()[-1].action is Action.SHADOWED


def test_report_is_not_replaced_once_the_version_is_in_shadow(shipping, small_pack) -> None:
    for number in (2, 3):
        shipping.publish({"f.yaml": small_pack(number)}, ANN, AT)
        shipping.attach_backtest("gift_send", number, '{"decisions":5}', ANN, AT)
        shipping.attach_backtest("gift_send", number, REPORT, ANN, AT)
        shipping.shadow("gift_send", number, ANN, AT)  # the shadow of 2 ends when 3 begins
    for number in (2, 3):
        with pytest.raises(Conflict, match="cannot be given another backtest"):
            shipping.attach_backtest("gift_send", number, '{"decisions":9}', ANN, AT)
        assert shipping.find("gift_send", number).backtest == REPORT


def test_enforcing_beneath_a_version_dated_ahead_tells_when_that_takes_over(ship) -> None:
    ship(2, begins="2027-01-01T00:00:00+08:00")
    change = ship(3, fact="pair.two_way_friends")
    assert change.decides_until == parse_time("2027-01-01T00:00:00+08:00")
    assert (change.decides_from, change.successor.version) == (AT, 2)


def test_enforcing_two_versions_at_once_leaves_exactly_one_deciding(shipping, small_pack) -> None:
    for number in (2, 3):
        shipping.publish({"f.yaml": small_pack(number)}, ANN, AT)
        shipping.attach_backtest("gift_send", number, REPORT, ANN, AT)
        shipping.shadow("gift_send", number, ANN, AT)
    start = threading.Barrier(2)

    def enforce(number: int) -> None:
        start.wait()
        shipping.enforce("gift_send", number, BOB, AT)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(enforce, (2, 3)))
    assert sorted(states(shipping)) == ["enforced", "retired", "retired"]
    done = [e.version for e in shipping.events("gift_send") if e.action is Action.ENFORCED]
    [decides] = [v for v in shipping.versions("gift_send") if v.state is PackState.ENFORCED]
    assert decides.ref.version == done[-1]


def test_enforced_last_is_newest_whatever_the_clock_says(shipping, ship) -> None:
    ship(2, AT + 10)
    ship(3, AT - 10)
    assert shipping.find("gift_send", 3).enforced_at > shipping.find("gift_send", 2).enforced_at


def test_effective_dates_switch_at_their_instant_and_back(
    shipping, ship, database, small_rules
) -> None:
    begins, ends = parse_time("2026-07-01T00:00:00+08:00"), parse_time("2026-07-08T00:00:00+08:00")
    ship(2, begins="2026-07-01T00:00:00+08:00", ends="2026-07-08T00:00:00+08:00", then="review")
    change = ship(3, begins="2027-01-01T00:00:00+08:00", fact="pair.two_way_friends")
    future = parse_time("2027-01-01T00:00:00+08:00")
    assert (change.retired, change.decides_from) == ((), future)
    engine = engine_of(database, small_rules)
    instants = [AT, begins - 1, begins, ends - 1, ends, future - 1, future]
    found = [engine.in_effect("gift_send", at).version for at in instants]
    assert found == [1, 1, 2, 2, 1, 1, 3]
    engine.close()
    shipping.rollback("gift_send", BOB, AT)  # the one dated ahead never comes
    shipping.rollback("gift_send", BOB, AT)  # nor the festival
    engine = engine_of(database, small_rules)
    assert {engine.in_effect("gift_send", at).version for at in instants} == {1}
    engine.close()


def test_decisions_follow_the_enforced_version(
    shipping, ship, database, small_rules, small_facts: Callable[..., FactSet]
) -> None:
    before = engine_of(database, small_rules)
    ship(2, then="review")
    after = engine_of(database, small_rules)
    facts = small_facts(before, {"gift.to_self": True})
    effects = [e.decide_many("gift_send", [facts], AT)[0].effect.value for e in (before, after)]
    assert effects == ["deny", "review"]
    before.close()
    after.close()


@pytest.fixture
def small_facts() -> Callable[..., FactSet]:
    """Facts of gift_send on which no small rule fires, but for what is given."""

    def build(engine: PolicyEngine, given: dict[str, bool]) -> FactSet:
        supplied = {entry.name: entry.neutral for entry in engine.catalogue("gift_send").supplied}
        return engine.catalogue("gift_send").fact_set({**supplied, **given})

    return build


def test_text_changed_in_the_database_is_not_put_in_service(shipping, small_pack, database) -> None:
    shipping.publish({"f.yaml": small_pack(2)}, ANN, AT)
    shipping.attach_backtest("gift_send", 2, REPORT, ANN, AT)
    with database.writing() as unit:
        unit.execute(
            text("UPDATE pack_versions SET body = :body WHERE version = 2"),
            {"body": small_pack(2, then="review")},
        )
    with pytest.raises(PackInvalid, match="is not what was published"):
        shipping.shadow("gift_send", 2, ANN, AT)
    assert states(shipping) == ["enforced", "draft"]


@pytest.mark.parametrize("report", ["no json", "[1]", '"text"'])
def test_report_that_is_no_object_is_refused(shipping, small_pack, report) -> None:
    shipping.publish({"f.yaml": small_pack(2)}, ANN, AT)
    with pytest.raises(InvalidInput):
        shipping.attach_backtest("gift_send", 2, report, ANN, AT)


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.find("gift_send", 9),
        lambda s: s.find_by_hash("0" * 64),
        lambda s: s.shadow("gift_send", 9, ANN, AT),
        lambda s: s.enforce("unheard_of", 1, BOB, AT),
        lambda s: s.rollback("unheard_of", BOB, AT),
        lambda s: s.versions("unheard_of"),
        lambda s: s.attach_backtest("gift_send", 9, "{}", ANN, AT),
    ],
)
def test_what_is_not_kept_is_told_with_a_hint(shipping, ask) -> None:
    with pytest.raises(UnknownReference) as caught:
        ask(shipping)
    assert isinstance(caught.value, LishangError)
    assert "history" in caught.value.hint
