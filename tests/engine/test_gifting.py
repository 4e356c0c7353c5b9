"""The gifting job on both databases, with the real rules."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sqlalchemy import func, select

from engine.domain.clock import DAY, HOUR, local_date
from engine.domain.errors import IdempotencyConflict, LishangError, UnknownReference
from engine.domain.events import FriendshipChanged, LimitChanged, PersonChanged
from engine.domain.gifts import GiftRequest, GiftState, Moderation, Relation, Scene
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, from_bytes
from engine.domain.ports import ModelRef, TieClass, TieScore
from engine.domain.structure import WIDTH
from engine.domain.verdicts import Effect
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import Gifting
from engine.ledger import caps, decisions, gifts, idempotency, outbox, postings, tables, ties
from engine.ledger.idempotency import RequestKey
from engine.ledger.structure import store_structures
from engine.policy.engine import PolicyEngine

RULES = Path(__file__).parents[2] / "rules"
COFFEE = GiftRequest("an", "bo", "coffee")
WRITTEN = (
    *(tables.gifts, tables.counters, tables.items, tables.postings, tables.outbox),
    *(tables.ties, tables.decisions, tables.idempotency),
)
"""What a send writes."""


class NoModels:
    """A service before its first training."""

    ties = gifts = offers = None


class FixedTies:
    """A tie model whose word is known."""

    ref = ModelRef("ties", "7")

    def __init__(self, tie_class: TieClass) -> None:
        self._score = TieScore(0.5, 0.5, tie_class, 0.0, 0.0)
        self.asked = []

    def score(self, out, back, structure, at):
        self.asked += structure.tolist()
        return [self._score] * len(out)


class WithTies(NoModels):
    def __init__(self, tie_class: TieClass) -> None:
        self.ties = FixedTies(tie_class)


@pytest.fixture(scope="module")
def policy():
    engine = PolicyEngine.from_folder(RULES)
    yield engine
    engine.close()


@pytest.fixture
def gifting(world, policy) -> Iterator[Gifting]:
    yield (made := _made(world, policy, NoModels()))
    made.log.close()


def _made(world, policy, models) -> Gifting:
    return Gifting(world.database, GiftPolicy(policy, models), GiftTerms(policy))


def _send(gifting, world, key: str, request: GiftRequest = COFFEE, body: str = "same", at=None):
    claim = RequestKey("service", key, body)
    return gifting.send(request, "none", f"paid-{key}", claim, at or world.now)


def _facts(gifting, world, decision_id: str) -> dict[str, object]:
    gifting.log.flush()
    with world.database.reading() as unit:
        return decisions.find(unit, decision_id).facts.values


def _count(world, table) -> int:
    with world.database.reading() as unit:
        return unit.execute(select(func.count()).select_from(table)).scalar()


def test_gifts_of_fans_do_not_count_in_what_friends_may_give(gifting, world) -> None:
    world.item("badge", creator="bo", relations="creator", scenes="live_room")
    badge = GiftRequest("fan", "bo", "badge", Relation.CREATOR, Scene.LIVE_ROOM)
    assert _send(gifting, world, "badge", badge).gift is not None
    assert _send(gifting, world, "coffee").gift is not None
    with world.database.reading() as unit:
        counted = select(tables.counters.c.gifts).where(
            tables.counters.c.scope == "recipient", tables.counters.c.subject == "bo"
        )
        assert unit.execute(counted).scalars().all() == [1]


def test_check_of_lawful_gift_allows_and_sends_nothing(gifting, world) -> None:
    answer = gifting.check(COFFEE, world.now).answer
    assert (answer.effect, answer.reasons, answer.gift) == (Effect.ALLOW, (), None)
    assert _count(world, tables.gifts) == 0


def test_check_is_recorded_with_the_facts_it_rests_on(gifting, world) -> None:
    answer = gifting.check(COFFEE, world.now).answer
    gifting.log.flush()
    with world.database.reading() as unit:
        record = decisions.find(unit, answer.decision_id)
    assert record.purpose == "check"
    assert record.facts.values["pair.two_way_friends"] is True
    assert record.facts.values["sender.day_gifts_after"] == 1
    assert record.verdict.pack == answer.pack


def test_recorded_decision_replays_to_the_same_verdict(gifting, world, policy) -> None:
    answer = gifting.check(GiftRequest("an", "stranger", "coffee"), world.now).answer
    gifting.log.flush()
    with world.database.reading() as unit:
        record = decisions.find(unit, answer.decision_id)
    assert policy.decide_many("gift_send", [record.facts], world.now) == [record.verdict]


def test_one_sided_friendship_is_denied(gifting, world) -> None:
    world.befriend("an", "cy", both=False)
    answer = gifting.check(GiftRequest("an", "cy", "coffee"), world.now).answer
    assert answer.effect is Effect.DENY
    assert "NOT_TWO_WAY_FRIENDS" in answer.reasons


def test_block_is_denied_with_the_same_answer_whoever_blocks(gifting, world) -> None:
    world.block("bo", "an")
    theirs = gifting.check(COFFEE, world.now).answer.reasons
    mine = gifting.check(GiftRequest("bo", "an", "coffee"), world.now).answer.reasons
    assert theirs == mine == ("RECIPIENT_UNAVAILABLE",)


@pytest.mark.parametrize("mechanics", ["lottery", "group_draw", "chain"])
def test_lottery_style_item_is_denied(gifting, world, mechanics) -> None:
    world.item("draw", mechanics=mechanics)
    answer = gifting.check(GiftRequest("an", "bo", "draw"), world.now).answer
    assert answer.reasons == ("LOTTERY_STYLE",)


def test_friend_gift_from_outside_the_chat_is_denied(gifting, world) -> None:
    world.item("anywhere", scenes="chat,moments")
    request = GiftRequest("an", "bo", "anywhere", scene=Scene.MOMENTS)
    assert gifting.check(request, world.now).answer.reasons == ("SCENE_NOT_ALLOWED",)


def test_minor_is_denied_from_birthday_minus_a_day_and_allowed_on_it(gifting, world) -> None:
    today = local_date(world.now)
    world.tell(PersonChanged("p", world.now, "an", today.replace(year=today.year - 18)))
    assert gifting.check(COFFEE, world.now).answer.effect is Effect.ALLOW
    denied = gifting.check(COFFEE, world.now - DAY // 2 - HOUR).answer
    assert denied.reasons == ("NOT_AVAILABLE_FOR_ACCOUNT",)


def test_unknown_item_is_an_error_and_nothing_is_recorded(gifting, world) -> None:
    with pytest.raises(UnknownReference, match="nothing-such"):
        _send(gifting, world, "k", GiftRequest("an", "bo", "nothing-such"))
    assert _count(world, tables.decisions) == 0
    assert _count(world, tables.idempotency) == 0


def test_tenth_gift_of_the_day_is_sent_and_the_eleventh_denied(gifting, world) -> None:
    effects = [_send(gifting, world, f"k{n}").effect for n in range(11)]
    assert effects == [Effect.ALLOW] * 10 + [Effect.DENY]
    assert _count(world, tables.gifts) == 10


def test_cap_returns_at_midnight_of_the_senders_zone(gifting, world) -> None:
    for n in range(10):
        _send(gifting, world, f"k{n}")
    before_midnight, after = world.now + 12 * HOUR - 1, world.now + 12 * HOUR
    assert _send(gifting, world, "late", at=before_midnight).reasons == ("DAILY_CAP_REACHED",)
    assert _send(gifting, world, "next", at=after).effect is Effect.ALLOW


def test_own_limit_is_effective_for_the_next_check(gifting, world) -> None:
    world.tell(LimitChanged("l", world.now, "an", 0, None))
    assert gifting.check(COFFEE, world.now).answer.reasons == ("OWN_LIMIT_REACHED",)


def test_send_writes_gift_counters_stock_and_tie_together(gifting, world) -> None:
    world.item("limited", stock=2)
    answer = _send(gifting, world, "k", GiftRequest("an", "bo", "limited"))
    gift = gifting.find(answer.gift)
    assert (gift.state, gift.price_fen, gift.decision_id) == (
        GiftState.SENT,
        900,
        answer.decision_id,
    )
    with world.database.reading() as unit:
        counted = select(tables.counters).where(tables.counters.c.day > 0)
        counters = unit.execute(counted).all()
        [stock] = unit.execute(
            select(tables.items.c.stock).where(tables.items.c.item == "limited")
        ).scalars()
        [tie] = unit.execute(select(tables.ties)).all()
    assert {(c.scope, c.gifts, c.fen) for c in counters} == {
        ("sender", 1, 900),
        ("pair", 1, 900),
        ("recipient", 1, 900),
    }
    assert stock == 1
    assert from_bytes(DEFAULT_LAYOUT, tie.state)[DEFAULT_LAYOUT.counts][Kind.GIFT] == 1


def test_limited_stock_sells_out_exactly(gifting, world) -> None:
    world.item("limited", stock=2)
    request = GiftRequest("an", "bo", "limited")
    reasons = [_send(gifting, world, f"k{n}", request).reasons for n in range(3)]
    assert reasons == [(), (), ("ITEM_UNAVAILABLE",)]


def test_retry_with_the_same_key_gets_the_first_answer_and_makes_one_gift(gifting, world) -> None:
    first = _send(gifting, world, "k")
    assert _send(gifting, world, "k") == first
    assert _count(world, tables.gifts) == 1


def test_denial_is_the_same_answer_for_its_key_even_when_it_would_now_pass(gifting, world) -> None:
    stranger = GiftRequest("an", "cy", "coffee")
    denied = _send(gifting, world, "k", stranger)
    world.befriend("an", "cy")
    assert _send(gifting, world, "k", stranger) == denied
    assert _send(gifting, world, "k2", stranger).effect is Effect.ALLOW


def test_key_with_another_body_is_a_conflict_and_sends_nothing(gifting, world) -> None:
    _send(gifting, world, "k")
    with pytest.raises(IdempotencyConflict):
        _send(gifting, world, "k", body="other")
    assert _count(world, tables.gifts) == 1


def test_dear_gift_on_a_dormant_tie_is_held_and_on_a_close_one_sent(world, policy) -> None:
    world.item("watch", price_fen=100_000, tier="goods")
    request = GiftRequest("an", "bo", "watch")
    for tie_class, state in ((TieClass.DORMANT, "held"), (TieClass.CLOSE, "sent")):
        gifting = _made(world, policy, WithTies(tie_class))
        answer = _send(gifting, world, f"k-{state}", request)
        assert gifting.find(answer.gift).state == state
        assert answer.model == ModelRef("ties", "7")


def test_tie_model_is_shown_the_structure_around_each_pair(world, policy) -> None:
    around = np.arange(1.0, WIDTH + 1)
    with world.database.writing() as unit:
        store_structures(unit, ["an"], ["bo"], around[None, :], world.now)
    models = WithTies(TieClass.CLOSE)
    gifting = _made(world, policy, models)
    gifting.check_many([COFFEE, GiftRequest("bo", "an", "coffee")], world.now)
    gifting.check_many([COFFEE, GiftRequest("an", "cy", "coffee")], world.now)
    _send(gifting, world, "k", COFFEE)
    known, unknown = around.tolist(), [0.0] * WIDTH
    assert models.ties.asked == [known, known, known, unknown, known]


def test_unknown_tie_counts_as_dormant(gifting, world) -> None:
    world.item("watch", price_fen=100_000, tier="goods")
    answer = gifting.check(GiftRequest("an", "bo", "watch"), world.now, explain=True)
    assert answer.answer.effect is Effect.REVIEW
    [trace] = answer.traces
    assert ("pair.tie_class", "dormant") in [(c.attribute, c.value) for c in trace.conditions]


def test_held_gift_reserves_caps_but_is_no_tie_event(world, policy) -> None:
    world.item("watch", price_fen=100_000, tier="goods")
    gifting = _made(world, policy, NoModels())
    _send(gifting, world, "k", GiftRequest("an", "bo", "watch"))
    with world.database.reading() as unit:
        counted = unit.execute(select(func.sum(tables.counters.c.gifts))).scalar()
    assert counted == 3
    assert _count(world, tables.ties) == 0


def test_concurrent_senders_never_pass_the_cap_and_duplicates_make_one_gift(gifting, world) -> None:
    def attempt(n: int) -> bool:
        # Every key twice, and the answer to both must agree.
        return _send(gifting, world, f"k{n % 15}").gift is not None

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(30)))
    assert _count(world, tables.gifts) == 10
    assert sum(outcomes) == 20


def test_crossing_senders_both_finish(gifting, world) -> None:
    def attempt(n: int) -> Effect:
        sender, recipient = ("an", "bo") if n % 2 else ("bo", "an")
        return _send(gifting, world, f"k{n}", GiftRequest(sender, recipient, "coffee")).effect

    with ThreadPoolExecutor(8) as pool:
        effects = list(pool.map(attempt, range(20)))
    assert effects == [Effect.ALLOW] * 20


def test_unfriending_between_check_and_send_is_seen(gifting, world) -> None:
    assert gifting.check(COFFEE, world.now).answer.effect is Effect.ALLOW
    world.tell(FriendshipChanged("u", world.now, "bo", "an", False))
    assert _send(gifting, world, "k").reasons == ("NOT_TWO_WAY_FRIENDS",)


@pytest.mark.parametrize(
    ("room", "write"),
    [
        (caps, "count"),
        (caps, "take_stock"),
        (postings, "append"),
        (outbox, "append"),
        (gifts, "record"),
        (ties, "append"),
        (decisions, "record"),
        (idempotency, "answer"),
    ],
    ids=lambda told: told.__name__.rpartition(".")[2] if isinstance(told, ModuleType) else told,
)
def test_send_that_fails_after_any_of_its_writes_leaves_nothing_behind(
    gifting, world, monkeypatch, room, write
) -> None:
    """Each write is carried out and then fails, so that one outside the transaction would stay."""
    world.item("last", stock=1)
    request = GiftRequest("an", "bo", "last")
    before = _all_rows(world)

    class Broken(LishangError):
        pass

    done = getattr(room, write)

    def fail(*given: object) -> None:
        done(*given)
        raise Broken("torn")

    monkeypatch.setattr(room, write, fail)
    with pytest.raises(Broken):
        _send(gifting, world, "k", request)
    monkeypatch.undo()
    assert _all_rows(world) == before
    assert _send(gifting, world, "k", request).effect is Effect.ALLOW


def _all_rows(world) -> dict[str, list[tuple[object, ...]]]:
    with world.database.reading(snapshot=True) as unit:
        return {table.name: sorted(map(tuple, unit.execute(select(table)))) for table in WRITTEN}


def test_change_of_zone_gives_no_new_day_and_no_new_cap(gifting, world) -> None:
    for n in range(10):
        _send(gifting, world, f"k{n}")
    world.tell(PersonChanged("p", world.now, "an", None, "Pacific/Kiritimati"))
    assert _send(gifting, world, "more").reasons == ("DAILY_CAP_REACHED",)


def test_facts_of_before_count_what_was_sent_a_moment_ago(gifting, world) -> None:
    world.tell(PersonChanged("p", world.now - 3 * DAY, "bo", None, None, "CN-HK"))
    _send(gifting, world, "k1")
    _send(gifting, world, "k2", GiftRequest("bo", "an", "coffee"), at=world.now + 5)
    answer = gifting.check(GiftRequest("bo", "an", "coffee"), world.now + 9).answer
    known = _facts(gifting, world, answer.decision_id)
    assert known["sender.hour_gifts_after"] == 2
    assert known["sender.month_fen_after"] == 1_800
    assert known["pair.back_fen_24h"] == 900
    assert known["pair.fen_vs_habit_ppm"] == 1_000_000
    assert known["pair.friends_days"] == 1
    assert (known["sender.region"], known["sender.region_known"]) == ("CN-HK", True)
    assert known["sender.account_days"] == 3


def test_moderation_of_the_request_is_a_fact_of_its_decision(gifting, world) -> None:
    for moderation in (None, *Moderation):
        request = GiftRequest("an", "bo", "coffee", moderation=moderation)
        answer = gifting.check(request, world.now).answer
        known = _facts(gifting, world, answer.decision_id)
        assert known["gift.moderation"] == (moderation or Moderation.PENDING).value
        assert known["gift.moderation_known"] is (moderation is not None)


def test_creators_own_gift_goes_to_that_creator_only(gifting, world) -> None:
    world.item("star", relations="creator", scenes="live_room", creator="cy")
    own = GiftRequest("fan", "cy", "star", Relation.CREATOR, Scene.LIVE_ROOM)
    other = GiftRequest("fan", "bo", "star", Relation.CREATOR, Scene.LIVE_ROOM)
    assert gifting.check(own, world.now).answer.effect is Effect.ALLOW
    assert gifting.check(other, world.now).answer.reasons == ("RELATION_NOT_ALLOWED",)
