"""Held gifts shown, sent and cancelled, on both databases, with the real rules."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, update

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import IdempotencyConflict, MoveRefused, PolicyError, UnknownReference
from engine.domain.events import FriendshipChanged
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.gifts import GiftState, Moderation
from engine.domain.verdicts import Effect
from engine.ledger import decisions, reviews, tables
from engine.ledger.idempotency import RequestKey
from engine.policy.engine import PolicyEngine

LATER = 3 * DAY


def _decide(house, gift: str, approve: bool = True, at: int | None = None, key=None):
    at = house.now + LATER if at is None else at
    return house.reviewing.decide(gift, approve, house.reviewer, key, at)


def test_waiting_shows_the_oldest_first_page_by_page_with_the_rules_that_held_them(house) -> None:
    gifts = [house.send("watch", at=house.now + n) for n in (2, 0, 1)]
    house.send("cake", sender="bo", recipient="an")
    first = house.reviewing.waiting(None, 2)
    last = first[-1].gift
    rest = house.reviewing.waiting((last.occurred_at, last.gift), 2)
    assert [one.gift.gift for one in first + rest] == [gifts[1], gifts[2], gifts[0]]
    why = first[0].why
    assert why.record.decision_id == first[0].gift.decision_id
    assert why.record.verdict.reasons == ("HELD_FOR_REVIEW",)
    [trace] = [trace for trace in why.traces if trace.rule == "dear_gift_on_weak_tie"]
    told = {(c.attribute, c.value) for c in trace.conditions}
    assert {("gift.price_fen", 200_000), ("pair.tie_class", "dormant")} <= told


def test_waiting_names_the_rules_where_their_version_is_not_loaded(house) -> None:
    house.send("watch")
    with house.database.writing() as unit:
        unit.execute(update(tables.decisions).values(pack_hash="of another version"))
    [waiting] = house.reviewing.waiting(None, 10)
    assert "dear_gift_on_weak_tie" in [trace.rule for trace in waiting.why.traces]
    assert [trace.conditions for trace in waiting.why.traces] == [()] * len(waiting.why.traces)


def test_waiting_shows_a_gift_whose_decision_is_kept_no_more(house) -> None:
    gift = house.send("watch")
    with house.database.writing() as unit:
        unit.execute(delete(tables.decisions))
    [waiting] = house.reviewing.waiting(None, 10)
    assert (waiting.gift.gift, waiting.why) == (gift, None)
    assert _decide(house, gift).gift.state is GiftState.SENT


def test_approved_gift_is_sent_now_and_its_24_hours_begin(house) -> None:
    gift = house.send("watch")
    held = house.find(gift)
    assert (held.state, held.due_at, house.kinds(gift)) == (GiftState.HELD, None, ["held"])
    assert house.tie_states() == {}
    reviewed = _decide(house, gift)
    after, at = house.find(gift), house.now + LATER
    assert reviewed.gift == after
    assert (after.state, after.occurred_at, after.due_at) == (
        GiftState.SENT,
        at,
        at + ACCEPT_WITHIN,
    )
    assert house.kinds(gift) == ["held", "review_decided", "sent"]
    assert [event["state"] for event in house.events(gift)] == ["held", "sent", "sent"]
    assert ("an", "bo") in house.tie_states()
    house.assert_ties_equal_a_rebuild()
    assert house.counted("sender") == [(1, 200_000)]
    with house.database.reading() as unit:
        review = reviews.find(unit, gift)
        record = decisions.find(unit, after.decision_id)
    assert (review.outcome, review.decision_id) == (GiftState.SENT, record.decision_id)
    assert (review.reviewer, review.reviewer_name, review.decided_at) == ("k1", "ann", at)
    # The rules would hold it again; as if it were not there, it is the day's first.
    assert (record.purpose, record.verdict.effect) == ("review", Effect.REVIEW)
    assert record.facts.values["sender.day_gifts_after"] == 1
    assert record.facts.values["gift.in_stock"] is True
    assert reviewed.again.record == record
    assert house.reviewing.waiting(None, 10) == []
    house.moving.accept(gift, "bo", None, None, at + ACCEPT_WITHIN - 1)


def test_rejected_gift_is_cancelled_and_gives_back_all_it_had_reserved(house) -> None:
    house.world.item("limited", kind="watch", price_fen=200_000, tier="goods", stock=1)
    gift = house.send("limited")
    assert (house.stock("limited"), house.counted("sender")) == ((0, 1), [(1, 200_000)])
    reviewed = _decide(house, gift, approve=False)
    assert (reviewed.gift.state, reviewed.again) == (GiftState.CANCELLED, None)
    assert (house.stock("limited"), house.counted("sender")) == ((1, 0), [(0, 0)])
    assert (house.balances(gift), house.tie_states()) == ({}, {})
    event = house.events(gift)[-1]
    assert (event["kind"], event["state"]) == ("gift.review_decided", "cancelled")
    assert (event["payment"]["action"], event["payment"]["fen"]) == ("release", 200_000)
    assert house.decided("review") == []
    assert house.find(gift).outcome_at is None


def test_approval_that_the_rules_deny_by_now_cancels_and_says_why(house) -> None:
    gift = house.send("watch")
    house.world.tell(FriendshipChanged("u", house.now, "bo", "an", False))
    reviewed = _decide(house, gift)
    assert reviewed.gift.state is GiftState.CANCELLED
    assert "NOT_TWO_WAY_FRIENDS" in reviewed.again.record.verdict.reasons
    assert "two_way_friends" in [trace.rule for trace in reviewed.again.traces]
    assert house.decided("review") == ["deny"]
    assert (house.balances(gift), house.counted("sender")) == ({}, [(0, 0)])
    assert house.kinds(gift) == ["held", "review_decided"]
    with house.database.reading() as unit:
        assert reviews.find(unit, gift).outcome is GiftState.CANCELLED


def test_approval_of_the_last_piece_that_the_gift_itself_holds_sends_it(house) -> None:
    house.world.item("limited", kind="watch", price_fen=200_000, tier="goods", stock=1)
    gift = house.send("limited")
    assert _decide(house, gift).gift.state is GiftState.SENT
    assert house.stock("limited") == (0, 1)


def test_approval_of_the_days_last_gift_meets_no_cap_whatever_was_sent_since(house) -> None:
    for _ in range(9):
        house.send("cake")
    gift = house.send("watch")
    for _ in range(10):
        house.send("cake", at=house.now + LATER)
    assert _decide(house, gift).gift.state is GiftState.SENT
    assert house.counted("sender") == [(10, 208_100), (10, 9_000)]


def test_approval_is_decided_at_the_gifts_own_price(house) -> None:
    gift = house.send("watch")
    with house.database.writing() as unit:
        unit.execute(update(tables.items).values(price_fen=2_000_000))
    reviewed = _decide(house, gift)
    assert reviewed.gift.state is GiftState.SENT
    assert reviewed.again.record.facts.values["gift.price_fen"] == 200_000
    assert house.stock("watch") == (None, 0)
    with house.database.reading() as unit:
        prices = unit.execute(tables.items.select()).all()
    assert {row.price_fen for row in prices} == {2_000_000}


def test_approval_knows_what_the_request_said_of_moderation(house) -> None:
    house.world.item("photo", kind="photo")
    gift = house.send("photo", moderation=Moderation.PENDING)
    facts = _decide(house, gift).again.record.facts.values
    assert (facts["gift.moderation"], facts["gift.moderation_known"]) == ("pending", True)
    other = _decide(house, house.send("watch")).again.record.facts.values
    assert other["gift.moderation_known"] is False


def test_gift_is_reviewed_once(house) -> None:
    gift = house.send("watch")
    _decide(house, gift)
    before = house.everything()
    for approve in (True, False):
        with pytest.raises(MoveRefused):
            _decide(house, gift, approve)
    with pytest.raises(UnknownReference):
        _decide(house, "gift_nowhere")
    assert house.everything() == before


def test_reviewers_at_once_decide_it_once(house) -> None:
    def attempt(approve: bool) -> GiftState | None:
        try:
            return _decide(house, gift, approve).gift.state
        except MoveRefused:
            return None

    for _ in range(4):
        gift = house.send("watch")
        with ThreadPoolExecutor(6) as pool:
            states = [state for state in pool.map(attempt, [True, False] * 3) if state]
        assert states == [house.find(gift).state]
        sent = states == [GiftState.SENT]
        assert house.kinds(gift) == ["held", "review_decided"] + ["sent"] * sent
        assert (house.balances(gift) == {}) is not sent


def test_retry_of_a_review_is_the_same_answer(house) -> None:
    gift = house.send("watch")
    key = RequestKey("s", "1", "approve")
    first = _decide(house, gift, key=key)
    house.moving.accept(gift, "bo", None, None, house.now + LATER)
    assert _decide(house, gift, key=key, at=house.now + LATER + HOUR) == first
    with pytest.raises(IdempotencyConflict):
        _decide(house, gift, False, key=RequestKey("s", "1", "reject"))


def test_approval_by_a_clock_set_back_sends_no_earlier_than_it_was_asked_for(house) -> None:
    gift = house.send("watch")
    after = _decide(house, gift, at=house.now - HOUR).gift
    assert (after.occurred_at, after.due_at) == (house.now, house.now + ACCEPT_WITHIN)
    house.assert_ties_equal_a_rebuild()


def test_approval_without_rules_leaves_the_gift_held(house) -> None:
    gift = house.send("watch")
    before = house.everything()
    empty = PolicyEngine((), house.policy.reasons, waiting=True)
    with pytest.raises(PolicyError):
        house.under(empty).reviewing.decide(gift, True, house.reviewer, None, house.now)
    empty.close()
    assert house.everything() == before
    assert _decide(house, gift).gift.state is GiftState.SENT
