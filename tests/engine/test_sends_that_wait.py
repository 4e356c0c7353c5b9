"""Sends that come to their locks in another order than their instants, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import count

import pytest

from engine.domain.clock import DAY, HOUR, SECOND, next_midnight
from engine.domain.events import (
    BlockChanged,
    ConsentChanged,
    FriendshipChanged,
    LiveEvent,
    PersonChanged,
)
from engine.domain.gifts import GiftRequest
from engine.domain.people import Purpose
from engine.gifting import GiftAnswer
from engine.ledger.idempotency import RequestKey

COFFEE = GiftRequest("an", "bo", "coffee")
_KEYS = count()


@pytest.fixture(autouse=True)
def _closed(house) -> Iterator[None]:
    yield
    house.gifting.log.close()


def _send(house, at: int, clock=None, request: GiftRequest = COFFEE, key=None) -> GiftAnswer:
    claim = RequestKey("s", key or f"k{next(_KEYS)}", "body")
    payment = f"pay-{claim.idempotency_key}"
    return house.gifting.send(request, "none", payment, claim, at, clock)


def _effects(house, instants) -> list[str]:
    return [_send(house, at).effect.value for at in instants]


@pytest.fixture
def new_account(house) -> int:
    """`an` is two days old: the sixth gift within an hour is held. Returns now."""
    house.world.tell(PersonChanged(event="new", occurred_at=house.now - 2 * DAY, person="an"))
    return house.now


def test_gifts_of_later_instants_that_came_first_count_in_the_hour(house, new_account) -> None:
    effects = _effects(house, (new_account - n for n in range(7)))
    assert effects == ["allow"] * 5 + ["review"] * 2


def test_clock_set_back_gives_no_new_hour(house, new_account) -> None:
    five, then = range(5), new_account - 3 * HOUR
    assert _effects(house, (new_account + n for n in five)) == ["allow"] * 5
    assert _effects(house, [then, then + 1]) == ["review"] * 2


@pytest.mark.parametrize("back", [1, 3 * HOUR, 5 * DAY])
def test_gifts_of_later_days_that_came_first_count_in_the_month(house, back) -> None:
    midnight, since = next_midnight(house.now), house.now - 60 * DAY
    house.world.item("dear cake", price_fen=5_000, tier="custom", kind="cake")
    house.world.tell(
        PersonChanged("1", since, "an", date(2015, 1, 1), None, "HK"),
        ConsentChanged("2", since, "an", Purpose.GUARDIAN, True),
        FriendshipChanged("3", since, "an", "bo", True),
        FriendshipChanged("4", since, "bo", "an", True),
    )
    cake = GiftRequest("an", "bo", "dear cake")
    sent = [_send(house, midnight + n, request=cake) for n in range(4)]
    assert [answer.effect.value for answer in sent] == ["allow"] * 4
    # A child's two hundred yuan of that month are spent.
    assert _send(house, midnight - back, request=cake).effect.value == "deny"
    assert _send(house, midnight - 40 * DAY, request=cake).effect.value == "allow"


def _block(at: int) -> LiveEvent:
    return BlockChanged("block", at, "bo", "an", True)


def _unfriend(at: int) -> LiveEvent:
    return FriendshipChanged("end", at, "bo", "an", False)


@pytest.mark.parametrize("event", [_block, _unfriend])
def test_what_was_told_while_a_send_waited_counts_for_it(house, event) -> None:
    house.world.tell(event(house.now + 5), at=house.now + 5)
    answer = _send(house, house.now, lambda: house.now + 10)
    assert (answer.effect.value, answer.gift) == ("deny", None)
    assert house.counted("sender") == [(0, 0)]


def test_consent_of_a_guardian_that_is_withdrawn_while_a_send_waits_is_withdrawn(house) -> None:
    since, told = house.now - 60 * DAY, house.now + 5
    house.world.tell(
        PersonChanged("1", since, "an", date(2015, 1, 1), None, "HK"),
        ConsentChanged("2", since, "an", Purpose.GUARDIAN, True),
    )
    assert _send(house, house.now, lambda: house.now + 1).effect.value == "allow"
    house.world.tell(ConsentChanged("3", told, "an", Purpose.GUARDIAN, False), at=told)
    assert _send(house, house.now, lambda: told).effect.value == "deny"


def test_gift_and_its_decision_are_as_of_the_end_of_the_wait(house) -> None:
    answer = _send(house, house.now, lambda: house.now + 7 * SECOND)
    gift = house.find(answer.gift)
    assert (gift.occurred_at, gift.due_at) == (house.now + 7 * SECOND, house.now + 7 * SECOND + DAY)
    assert house.events(answer.gift)[0]["occurred_at"] == gift.occurred_at


def test_clock_that_was_set_back_while_a_send_waited_changes_nothing(house) -> None:
    answer = _send(house, house.now, lambda: house.now - HOUR)
    assert house.find(answer.gift).occurred_at == house.now


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "Asia/Kathmandu", "Pacific/Chatham"])
def test_send_that_waits_past_midnight_takes_its_place_in_the_new_day(house, zone) -> None:
    house.world.tell(PersonChanged("z", house.now - 9 * DAY, "an", None, zone), at=house.now - DAY)
    midnight = next_midnight(house.now, zone)
    for n in range(10):
        assert _send(house, midnight - 20 + n).effect.value == "allow"
    assert _send(house, midnight - 1).reasons == ("DAILY_CAP_REACHED",)
    answer = _send(house, midnight - 1, lambda: midnight + 1)
    assert answer.effect.value == "allow"
    gift, before = house.find(answer.gift), house.counted("sender")
    assert (gift.occurred_at, before) == (midnight + 1, [(10, 9_000), (1, 900)])
    house.moving.expire_due(midnight + 2 * DAY)
    assert house.counted("sender") == [(0, 0), (0, 0)]


def test_day_that_ended_while_a_send_waited_keeps_no_lock_and_no_claim(house) -> None:
    midnight = next_midnight(house.now)
    answer = _send(house, midnight - 1, lambda: midnight, key="same")
    assert house.counted("sender") == [(1, 900)]  # and no row for the day that was left
    assert _send(house, midnight + HOUR, lambda: midnight + HOUR, key="same") == answer
    assert house.counted("sender") == [(1, 900)]


def test_clock_that_leaps_whenever_it_is_asked_ends_in_one_gift_of_one_day(house) -> None:
    asked = count(1)
    answer = _send(house, house.now, lambda: house.now + next(asked) * DAY)
    gift = house.find(answer.gift)
    assert gift.occurred_at <= house.now + 5 * DAY
    assert house.counted("sender") == [(1, 900)]
    house.moving.expire_due(house.now + 9 * DAY)
    assert house.counted("sender") == [(0, 0)]
