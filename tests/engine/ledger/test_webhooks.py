"""Webhooks on both databases: one worker at a time, nothing skipped, told why it does not go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.domain.clock import SECOND
from engine.domain.errors import InvalidInput, UnknownReference
from engine.domain.gift_events import GiftEvent, GiftEventKind
from engine.domain.webhooks import LONGEST_DELAY, Webhook
from engine.ledger import outbox
from engine.ledger.database import Database
from engine.ledger.feed import Feed
from engine.ledger.webhooks import LEASED_FOR, Webhooks

NOW = 1_700_000_000 * SECOND
URL = "http://localhost/x"


@pytest.fixture
def webhooks(database: Database) -> Webhooks:
    return Webhooks(database)


def tell(database: Database, gift: str, numbers: range = range(1, 2), at: int = NOW) -> None:
    with database.writing() as unit:
        for number in numbers:
            event = GiftEvent(gift, number, GiftEventKind.SENT, at, "an", "bo", "coffee", "sent")
            outbox.append(unit, event, at)
    Feed(database).place()


def only(webhooks: Webhooks) -> Webhook:
    [found] = webhooks.all()
    return found


def test_webhook_is_kept_with_what_it_is_told(webhooks) -> None:
    kinds = [GiftEventKind.SENT, GiftEventKind.EXPIRED]
    webhook, secret = webhooks.add(URL, kinds, NOW)
    found = only(webhooks)
    assert (found.webhook, found.url, found.secret) == (webhook, URL, secret)
    assert found.kinds == frozenset(kinds)
    assert secret not in repr(found)
    webhooks.add(URL, [], NOW + 1)
    assert [one.wants(GiftEventKind.HELD) for one in webhooks.all()] == [False, True]


def test_webhook_with_a_url_that_cannot_be_told_is_not_kept(webhooks) -> None:
    with pytest.raises(InvalidInput):
        webhooks.add("http://shop.example/", [], NOW)
    assert webhooks.all() == []
    webhooks.add("http://shop.example/", [], NOW, insecure=True)


def test_removed_webhook_is_gone_and_cannot_be_removed_again(webhooks) -> None:
    webhook, _ = webhooks.add(URL, [], NOW)
    webhooks.remove(webhook)
    assert webhooks.all() == []
    with pytest.raises(UnknownReference, match=webhook):
        webhooks.remove(webhook)


def test_new_webhook_begins_at_the_end_or_where_the_feed_is_kept_from(database, webhooks) -> None:
    tell(database, "g1", range(1, 6))
    with database.writing() as unit:
        outbox.prune(unit, NOW + 1, most=2)
    webhooks.add(URL, [], NOW)
    webhooks.add(URL, [], NOW + 1, from_start=True)
    assert [one.position for one in webhooks.all()] == [5, 2]
    assert [webhooks.waiting(one) for one in webhooks.all()] == [0, 3]


def test_new_webhook_is_not_told_what_was_committed_before_it(database, webhooks) -> None:
    with database.writing() as unit:
        event = GiftEvent("g1", 1, GiftEventKind.SENT, NOW, "an", "bo", "coffee", "sent")
        outbox.append(unit, event, NOW)
    webhooks.add(URL, [], NOW)
    Feed(database).place()
    assert webhooks.due(NOW) == []


def test_webhook_is_due_only_when_there_is_something_to_tell(database, webhooks) -> None:
    webhook, _ = webhooks.add(URL, [], NOW)
    assert webhooks.due(NOW) == []
    tell(database, "g1")
    assert webhooks.due(NOW) == [webhook]
    leased = webhooks.lease(webhook, NOW)
    advanced = webhooks.advance(leased, 1, NOW)
    webhooks.release(advanced)
    assert webhooks.due(NOW) == []


def test_leased_webhook_is_nobody_elses_until_the_lease_runs_out(database, webhooks) -> None:
    webhook, _ = webhooks.add(URL, [], NOW)
    tell(database, "g1")
    crashed = webhooks.lease(webhook, NOW)
    assert crashed is not None
    assert webhooks.due(NOW + LEASED_FOR - 1) == []
    assert webhooks.lease(webhook, NOW + LEASED_FOR - 1) is None
    assert webhooks.due(NOW + LEASED_FOR) == [webhook]
    other = webhooks.lease(webhook, NOW + LEASED_FOR)
    assert other is not None
    # The first one comes back to life: nothing of what it notes counts any more.
    assert webhooks.advance(crashed, 1, NOW + LEASED_FOR + 1) is None
    webhooks.fail(crashed, "late", NOW + LEASED_FOR + 1, 0.0)
    webhooks.release(crashed)
    assert only(webhooks) == other
    assert webhooks.advance(other, 1, NOW + LEASED_FOR + 2).position == 1


def test_webhook_leased_by_many_at_once_is_leased_by_one(database, webhooks) -> None:
    webhook, _ = webhooks.add(URL, [], NOW)
    tell(database, "g1")
    with ThreadPoolExecutor(8) as pool:
        leased = list(pool.map(lambda _: webhooks.lease(webhook, NOW), range(16)))
    assert len([one for one in leased if one is not None]) == 1


def test_failed_webhook_waits_longer_each_time_and_says_why_and_since_when(
    database, webhooks
) -> None:
    webhook, _ = webhooks.add(URL, [], NOW)
    tell(database, "g1")
    at, waits = NOW, []
    for attempt in range(1, 15):
        leased = webhooks.lease(webhook, at)
        webhooks.fail(leased, f"answered {500 + attempt}", at, chance=1.0)
        found = only(webhooks)
        assert (found.attempts, found.fault) == (attempt, f"answered {500 + attempt}")
        assert (found.position, found.failing_since) == (0, NOW)
        assert webhooks.lease(webhook, found.next_at - 1) is None
        waits.append(found.next_at - at)
        at = found.next_at
    assert waits[:3] == [2 * SECOND, 4 * SECOND, 8 * SECOND]
    assert waits[-1] == waits[-2] == LONGEST_DELAY
    webhooks.release(webhooks.advance(webhooks.lease(webhook, at), 1, at))
    found = only(webhooks)
    assert (found.attempts, found.failing_since, found.fault) == (0, None, None)


def test_webhook_is_told_again_though_the_clock_was_set_back(database, webhooks) -> None:
    webhook, _ = webhooks.add(URL, [], NOW)
    tell(database, "g1")
    webhooks.fail(webhooks.lease(webhook, NOW), "answered 500", NOW, 1.0)
    long_ago = NOW - 100 * LONGEST_DELAY
    leased = webhooks.lease(webhook, long_ago)
    assert leased is not None
    webhooks.lease(webhook, NOW)  # a crashed worker's, by the clock of before
    assert webhooks.due(long_ago - 100 * LEASED_FOR) == [webhook]


def test_webhook_removed_while_it_is_told_is_told_no_more(database, webhooks) -> None:
    webhook, _ = webhooks.add(URL, [], NOW)
    tell(database, "g1", range(1, 3))
    leased = webhooks.lease(webhook, NOW)
    webhooks.remove(webhook)
    assert webhooks.advance(leased, 1, NOW) is None
    webhooks.fail(leased, "x", NOW, 0.0)
    assert webhooks.all() == []


def test_lag_is_the_age_of_the_oldest_event_that_some_webhook_lacks(database, webhooks) -> None:
    assert webhooks.lag(NOW) == 0
    first, _ = webhooks.add(URL, [], NOW)
    webhooks.add(URL, [], NOW)
    tell(database, "g1", at=NOW)
    tell(database, "g2", at=NOW + 7)
    assert webhooks.lag(NOW + 10) == 10
    for webhook in webhooks.all():
        webhooks.release(webhooks.advance(webhooks.lease(webhook.webhook, NOW), 1, NOW))
    assert webhooks.lag(NOW + 10) == 3
    webhooks.release(webhooks.advance(webhooks.lease(first, NOW), 2, NOW))
    assert webhooks.lag(NOW + 10) == 3
    assert webhooks.lag(NOW) == 0


def test_webhook_served_last_comes_last(database, webhooks) -> None:
    first, _ = webhooks.add(URL, [], NOW)
    second, _ = webhooks.add(URL, [], NOW + 1)
    tell(database, "g1", range(1, 4))
    assert webhooks.due(NOW + 5) == [first, second]
    webhooks.release(webhooks.lease(first, NOW + 2))
    assert webhooks.due(NOW + 5) == [second, first]
