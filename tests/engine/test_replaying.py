"""Recorded decisions come out again as they were, and old ones go without the gifts' own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from random import Random

import orjson
import pytest
import yaml
from sqlalchemy import insert

from engine import replaying as module
from engine.domain.clock import DAY, SECOND
from engine.domain.errors import FactsInvalid, PackInvalid, PolicyError, UnknownReference
from engine.domain.events import BlockChanged, FriendshipChanged, LimitChanged, PersonChanged
from engine.domain.gifts import GiftRequest, Relation, Scene
from engine.domain.verdicts import (
    DecisionRecord,
    Effect,
    FactSet,
    FiredRule,
    PackRef,
    Verdict,
)
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import Gifting
from engine.ledger import decisions, tables
from engine.ledger import packs as pack_store
from engine.ledger.database import Database
from engine.ledger.idempotency import RequestKey
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import facts_read
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.folder import packs_in, reasons_in
from engine.policy.new_versions import seed_of
from engine.policy.packs import Pack, read_pack
from engine.replaying import Pruned, Replaying

RULES = Path(__file__).parents[2] / "rules"


class NoModels:
    """A service before its first training."""

    ties = gifts = offers = None


@pytest.fixture(scope="module")
def shipped() -> Pack:
    [found] = [pack for pack in packs_in(RULES) if pack.decides == "gift_send"]
    return found


@pytest.fixture(scope="module")
def next_version(shipped: Pack) -> Pack:
    """Without its first rules, and everything is dear: hardly a verdict is as before."""
    said = yaml.safe_load(shipped.text)
    said["version"] += 1
    del said["rules"][:3]
    said["rules"].append(
        {
            "id": "everything_is_looked_at",
            "description": "A person looks at every gift.",
            "when": "gift.price_fen > 0",
            "then": "review",
            "reason": "HELD_FOR_REVIEW",
        }
    )
    return read_pack(yaml.safe_dump(said), "next.yaml", CATALOGUES)


def keep(database: Database, *packs: Pack) -> None:
    with pack_store.PackVersions(database).changing() as unit:
        for pack in packs:
            pack_store.add(unit, seed_of(pack, 0))


@pytest.fixture
def engines() -> Iterator[Callable[[Pack], PolicyEngine]]:
    made: list[PolicyEngine] = []

    def build(pack: Pack) -> PolicyEngine:
        others = [kept for kept in packs_in(RULES) if kept.decides != pack.decides]
        made.append(PolicyEngine([pack, *others], reasons_in(RULES)))
        return made[-1]

    yield build
    for engine in made:
        engine.close()


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A rules folder without any pack."""
    return tmp_path


def busy(world) -> None:
    """People and items of many kinds, so that many rules have something to say."""
    world.item("draw", mechanics="group_draw")
    world.item("box", mechanics="blind_box", odds_disclosed=True)
    world.item("dear", price_fen=300_000, tier="goods", kind="thing")
    world.item("absurd", price_fen=3_000_000, tier="goods", kind="thing", stock=0)
    world.item("idol", relations="creator", scenes="live_room", creator="cy", category="education")
    at = world.now - DAY
    world.tell(
        FriendshipChanged("f1", at, "an", "cy", True),
        BlockChanged("b1", at, "bo", "dee", True),
        LimitChanged("l1", at, "an", 4, 50_000),
        PersonChanged("p1", at, person="dee", birth_date=date(2015, 1, 1)),
    )


def decide(gifting: Gifting, at: int, random: Random, number: int) -> str:
    request = GiftRequest(
        random.choice(["an", "bo", "cy", "dee"]),
        random.choice(["an", "bo", "cy", "dee"]),
        random.choice(["coffee", "coffee", "draw", "box", "dear", "absurd", "idol"]),
        random.choice(list(Relation)),
        random.choice(list(Scene)),
    )
    if random.random() < 0.4:
        request = GiftRequest(*random.sample(["an", "bo"], 2), "coffee")
    if random.random() < 0.5:
        return gifting.check(request, at).answer.decision_id
    key = RequestKey("service", f"k{number}", "same")
    return gifting.send(request, "none", f"pay{number}", key, at).decision_id


def test_every_decision_replays_identically_also_after_another_version_decides(
    world, shipped: Pack, next_version: Pack, engines: Callable[[Pack], PolicyEngine], nowhere: Path
) -> None:
    busy(world)
    keep(world.database, shipped, next_version)
    random, ids = Random(3), []
    for version in (shipped, next_version):
        gifting = gifting_by(world.database, engines(version))
        for _ in range(40):
            at = world.now + len(ids) * SECOND
            ids.append((version.ref, decide(gifting, at, random, len(ids))))
        gifting.log.close()
    replay = Replaying(world.database, nowhere).replay
    effects, fired = set(), set()
    for ref, decision_id in ids:
        replayed = replay(decision_id)
        assert replayed.differences == ()
        assert replayed.again == replayed.record.verdict
        assert replayed.again.pack == ref
        effects.add(replayed.again.effect)
        fired.update(rule.rule for rule in replayed.again.fired)
    assert effects == set(Effect)
    assert len(fired) >= 10, "too tame to show anything"


def gifting_by(database: Database, engine: PolicyEngine) -> Gifting:
    return Gifting(database, GiftPolicy(engine, NoModels()), GiftTerms(engine))


def made_by(pack: Pack, engine: PolicyEngine, facts: FactSet, number: int = 1) -> DecisionRecord:
    [verdict] = engine.decide_many(pack.decides, [facts], pack.effective_from)
    return DecisionRecord(f"dec_{number}", "check", 1_000, verdict, facts, 5)


def store(database: Database, *records: DecisionRecord) -> None:
    with database.writing() as unit:
        decisions.record(unit, records)


@pytest.fixture
def recorded(
    world, shipped: Pack, engines: Callable[[Pack], PolicyEngine]
) -> tuple[Database, DecisionRecord]:
    """One decision by the shipped version."""
    gifting = gifting_by(world.database, engines(shipped))
    answer = gifting.check(GiftRequest("an", "stranger", "coffee"), world.now).answer
    gifting.log.close()
    with world.database.reading() as unit:
        record = decisions.find(unit, answer.decision_id)
    assert record is not None and record.verdict.effect is Effect.DENY
    return world.database, record


def test_version_that_is_kept_nowhere_but_in_the_folder_replays(recorded) -> None:
    database, record = recorded
    assert Replaying(database, RULES).replay(record.decision_id).differences == ()


def test_version_that_is_kept_nowhere_is_not_replayed(recorded, nowhere: Path) -> None:
    database, record = recorded
    with pytest.raises(UnknownReference, match="is not kept"):
        Replaying(database, nowhere).replay(record.decision_id)


def test_decision_that_nobody_recorded_is_unknown(recorded) -> None:
    database, _ = recorded
    with pytest.raises(UnknownReference, match="dec_none"):
        Replaying(database, RULES).replay("dec_none")


def test_folder_of_the_same_number_but_other_rules_is_not_taken(
    recorded, shipped: Pack, nowhere: Path
) -> None:
    database, record = recorded
    other = shipped.text.replace("owner: trust and safety", "owner: somebody else")
    assert other != shipped.text
    (nowhere / "gift_send.yaml").write_text(other, encoding="utf-8")
    with pytest.raises(UnknownReference, match="is not kept"):
        Replaying(database, nowhere).replay(record.decision_id)


def test_stored_text_that_was_changed_does_not_pass_for_the_version(
    recorded, shipped: Pack, nowhere: Path
) -> None:
    database, record = recorded
    keep(database, shipped)
    changed = shipped.text.replace("owner: trust and safety", "owner: somebody else")
    with database.writing() as unit:
        unit.execute(tables.pack_versions.update().values(body=changed))
    with pytest.raises(PackInvalid, match="not what was published"):
        Replaying(database, nowhere).replay(record.decision_id)


def change_record(database: Database, **columns: str) -> None:
    with database.writing() as unit:
        unit.execute(tables.decisions.update().values(**columns))


def test_changed_facts_show_as_a_difference(recorded) -> None:
    database, record = recorded
    facts = {**record.facts.values, "pair.two_way_friends": True}
    change_record(database, facts=orjson.dumps(facts).decode())
    replayed = Replaying(database, RULES).replay(record.decision_id)
    said = "\n".join(replayed.differences)
    assert "effect: recorded deny, now allow" in said
    assert "rule two_way_friends: fired as recorded, does not now" in said
    assert "reasons: recorded NOT_TWO_WAY_FRIENDS, now none" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"requires": "guardian_consent"}, "requires guardian_consent"),
        ({"reason": "OTHER"}, "OTHER"),
        ({"sets": [["settle.platform_ppm", 1]]}, "outputs: recorded {'settle.platform_ppm': 1}"),
        ({"priority": 3, "sets": [["x", 1]]}, "with priority 3"),
        ({"rule": "another"}, "rule another: fired as recorded"),
    ],
)
def test_changed_outcome_of_a_rule_shows_as_a_difference(
    recorded, change: dict[str, object], said: str
) -> None:
    database, record = recorded
    [fired] = orjson.loads(orjson.dumps(record.verdict.fired))
    change_record(database, fired=orjson.dumps([{**fired, **change}]).decode())
    replayed = Replaying(database, RULES).replay(record.decision_id)
    assert said in "\n".join(replayed.differences)


def test_changed_effect_shows_as_a_difference(recorded) -> None:
    database, record = recorded
    change_record(database, effect="allow")
    assert Replaying(database, RULES).replay(record.decision_id).differences[0] == (
        "effect: recorded allow, now deny"
    )


def test_decision_from_before_the_catalogue_grew_replays(recorded, shipped: Pack) -> None:
    database, record = recorded
    read = {name for rule in shipped.rules for name in facts_read(rule.condition)}
    unread = set(record.facts.values) - read
    assert unread, "every fact is read: the test shows nothing"
    facts = {name: v for name, v in record.facts.values.items() if name not in unread}
    change_record(database, facts=orjson.dumps(facts).decode())
    assert Replaying(database, RULES).replay(record.decision_id).differences == ()


def test_record_that_lacks_what_the_rules_read_is_not_replayed(recorded) -> None:
    database, record = recorded
    facts = {n: v for n, v in record.facts.values.items() if n != "gift.price_fen"}
    change_record(database, facts=orjson.dumps(facts).decode())
    with pytest.raises(FactsInvalid, match=r"gift\.price_fen"):
        Replaying(database, RULES).replay(record.decision_id)


def test_traces_hold_every_rule_with_the_facts_as_they_stood(recorded, shipped: Pack) -> None:
    database, record = recorded
    traces = Replaying(database, RULES).replay(record.decision_id).traces
    assert [trace.rule for trace in traces] == [rule.id for rule in shipped.rules]
    [friends] = [trace for trace in traces if trace.rule == "two_way_friends"]
    assert [(c.attribute, c.value, c.holds) for c in friends.conditions] == [
        ("gift.relation", "friend", True),
        ("pair.two_way_friends", False, True),
    ]


def test_verdict_with_outputs_replays_from_its_version(
    database: Database, engines: Callable[[Pack], PolicyEngine]
) -> None:
    [settle] = [pack for pack in packs_in(RULES) if pack.decides == "gift_settle"]
    catalogue = CATALOGUES["gift_settle"]
    record = made_by(settle, engines(settle), catalogue.fact_set(_plain(catalogue)))
    assert record.verdict.outputs, "the pack sets nothing: the test shows nothing"
    store(database, record)
    replayed = Replaying(database, RULES).replay(record.decision_id)
    assert replayed.differences == ()
    assert replayed.again.outputs == record.verdict.outputs


def _plain(catalogue: FactCatalogue) -> dict[str, bool | int | str]:
    plain: dict[str, bool | int | str] = {"bool": False, "int": 1, "text": "tea"}
    return {e.name: e.values[0] if e.values else plain[e.type] for e in catalogue.supplied}


# Letting go of old ones

PACK = PackRef("gift_send", 1, "ab" * 32)


def old(number: int, at: int, decision: str = "gift_send") -> DecisionRecord:
    fired = (FiredRule("r", Effect.DENY, "R"),)
    return DecisionRecord(
        f"dec_{number:05d}", "send", at, Verdict(decision, Effect.DENY, fired, PACK), FactSet({}), 1
    )


def point_to(database: Database, *numbers: int) -> None:
    gift = {
        "sender": "an", "recipient": "bo", "item": "coffee", "price_fen": 1, "relation": "friend",
        "scene": "chat", "occasion": "none", "state": "sent", "origin": "live", "occurred_at": 1,
        "recorded_at": 1,
    }  # fmt: skip
    rows = [{**gift, "gift": f"gift_{n}", "decision_id": f"dec_{n:05d}"} for n in numbers]
    with database.writing() as unit:
        unit.execute(insert(tables.gifts), rows)
        unit.execute(insert(tables.gifts), [{**gift, "gift": "imported", "decision_id": None}])


def left(database: Database) -> set[int]:
    with database.reading() as unit:
        found = unit.execute(tables.decisions.select()).all()
    return {int(row.decision_id[4:]) for row in found}


def test_prune_deletes_what_is_older_and_keeps_what_gifts_point_to(
    database: Database, nowhere: Path
) -> None:
    store(database, *(old(n, n) for n in range(10)))
    point_to(database, 2, 5, 8)
    job = Replaying(database, nowhere)
    assert job.prune(7, dry_run=True) == Pruned(deleted=5, kept=2)
    assert left(database) == set(range(10))
    assert job.prune(7) == Pruned(deleted=5, kept=2)
    # One at exactly the instant stays.
    assert left(database) == {2, 5, 7, 8, 9}
    assert job.prune(7) == job.prune(7, dry_run=True) == Pruned(deleted=0, kept=2)


@pytest.mark.parametrize("part", [1, 3, 50])
def test_prune_in_parts_passes_what_stays_and_meets_each_once(
    database: Database, nowhere: Path, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    monkeypatch.setattr(module, "_PART", part)
    # Many of one instant, several kinds, and whole parts that stay.
    records = [old(n, n // 10, ("gift_send", "offer_show")[n % 2]) for n in range(60)]
    store(database, *records)
    point_to(database, *range(10, 30), 41)
    job = Replaying(database, nowhere)
    expected = job.prune(5, dry_run=True)
    assert job.prune(5) == expected == Pruned(deleted=29, kept=21)
    assert left(database) == {*range(10, 30), 41, *range(50, 60)}


def test_prune_of_nothing_does_nothing(database: Database, nowhere: Path) -> None:
    assert Replaying(database, nowhere).prune(10**15) == Pruned(0, 0)
    store(database, old(1, 10))
    assert Replaying(database, nowhere).prune(10) == Pruned(0, 0)
    assert left(database) == {1}


def test_others_write_while_old_decisions_go(
    database: Database, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PART", 20)
    store(database, *(old(n, 1) for n in range(400)))
    written: list[float] = []
    over = threading.Event()

    def write() -> None:
        number = 50_000
        while not over.is_set():
            store(database, old(number, 100))
            written.append(time.monotonic())
            number += 1
            time.sleep(0.005)

    writer = threading.Thread(target=write)
    writer.start()
    begun = time.monotonic()
    try:
        pruned = Replaying(database, nowhere).prune(50)
    finally:
        ended = time.monotonic()
        over.set()
        writer.join()
    assert pruned == Pruned(400, 0)
    assert left(database) == {50_000 + n for n in range(len(written))}
    assert sum(begun < at < ended for at in written) >= 3


def test_sent_gift_keeps_its_decision_and_a_check_does_not(
    world, shipped: Pack, engines: Callable[[Pack], PolicyEngine], nowhere: Path
) -> None:
    gifting = gifting_by(world.database, engines(shipped))
    request = GiftRequest("an", "bo", "coffee")
    checked = gifting.check(request, world.now).answer
    gifting.log.close()
    sent = gifting.send(request, "none", "pay_1", RequestKey("s", "k", "b"), world.now)
    assert sent.gift is not None
    job = Replaying(world.database, nowhere)
    # That it may be sent, and who gets what of it.
    assert job.prune(world.now + SECOND) == Pruned(deleted=1, kept=2)
    with world.database.reading() as unit:
        assert decisions.find(unit, checked.decision_id) is None
        assert decisions.find(unit, sent.decision_id) is not None


@pytest.mark.parametrize(
    "columns", [{"facts": "null"}, {"facts": "{"}, {"effect": "maybe"}, {"fired": '{"a": 1}'}]
)
def test_record_that_was_changed_beyond_reading_is_named(recorded, columns: dict[str, str]) -> None:
    database, record = recorded
    change_record(database, **columns)
    with pytest.raises(PolicyError, match="is not as it was recorded"):
        Replaying(database, RULES).replay(record.decision_id)
