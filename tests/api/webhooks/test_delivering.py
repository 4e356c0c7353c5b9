"""Webhooks are told everything in order until they take it, by one worker at a time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from api.delivering import Delivering
from engine.domain.clock import SECOND, format_time, now
from engine.domain.gift_events import GiftEvent, GiftEventKind, PaymentAction, PaymentNotice
from engine.domain.webhooks import LONGEST_DELAY, Webhook
from engine.ledger import outbox
from engine.ledger.database import Database
from engine.ledger.feed import Feed
from engine.ledger.webhooks import Webhooks

pytestmark = pytest.mark.usefixtures("every_line_logged")


class Seen:
    """What the workers tell of themselves."""

    def __init__(self) -> None:
        self.delivered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.lag = -1.0

    def webhook_delivered(self, webhook: str) -> None:
        self.delivered[webhook] += 1

    def webhook_failed(self, webhook: str) -> None:
        self.failed[webhook] += 1

    def webhook_missed(self, webhook: str, events: int) -> None:
        self.missed[webhook] += events

    def webhook_lag(self, seconds: float) -> None:
        self.lag = seconds

    def delivering_fault(self, task: str) -> None:
        self.faults[task] += 1


class Post:
    """One ledger, its webhooks and any number of workers that deliver."""

    def __init__(self, database: Database, leased_for: int = 60 * SECOND) -> None:
        self.database = database
        self.webhooks = Webhooks(database, leased_for)
        self.seen = Seen()
        self.ahead = 0
        self.workers: list[Delivering] = []

    def now(self) -> int:
        return now() + self.ahead

    def tell(self, *told: tuple[str, int], kind: GiftEventKind = GiftEventKind.SENT) -> None:
        with self.database.writing() as unit:
            for gift, number in told:
                paid = PaymentNotice(f"pay-{gift}", PaymentAction.RELEASE, 900)
                event = GiftEvent(gift, number, kind, 5_000, "an", "bo", "coffee", "sent", paid)
                outbox.append(unit, event, self.now())

    def tell_many(self, gift: str, events: int) -> list[str]:
        self.tell(*[(gift, number) for number in range(1, events + 1)])
        return [f"{gift}_{number}" for number in range(1, events + 1)]

    def worker(self, **told: object) -> Delivering:
        settings = {"poll": 0.02, "limit": 20.0, "chance": lambda: 0.0, **told}
        made = Delivering(self.webhooks, Feed(self.database), self.now, **settings)
        self.workers.append(made)
        made.start(self.seen)
        return made

    def only(self) -> Webhook:
        [found] = self.webhooks.all()
        return found


@pytest.fixture
def post(database: Database) -> Iterator[Post]:
    """On each database in turn."""
    made = Post(database)
    yield made
    for worker in made.workers:
        worker.stop()


Wait = Callable[[Callable[[], object]], None]


def test_events_are_delivered_in_order_each_signed_and_whole(post, receiver) -> None:
    _, secret = post.webhooks.add(receiver.url, [], now())
    expected = post.tell_many("gift_a", 30)
    post.worker()
    received = receiver.wait_for(30)
    assert [one.message for one in received] == expected
    assert all(one.is_signed_with(secret) for one in received)
    assert received[1].event == {
        "id": "gift_a_2",
        "type": "gift.sent",
        "timestamp": format_time(5_000),
        "cursor": "2",
        "data": {
            "gift": "gift_a",
            "number": 2,
            "sender": "an",
            "recipient": "bo",
            "item": "coffee",
            "state": "sent",
            "payment": {"payment_ref": "pay-gift_a", "action": "release", "fen": 900},
        },
    }
    assert abs(int(received[0].headers["webhook-timestamp"]) - now() // SECOND) < 120


def test_told_webhook_is_told_nothing_again(post, receiver, wait_until) -> None:
    post.webhooks.add(receiver.url, [], now())
    worker = post.worker()
    post.tell_many("gift_a", 3)
    receiver.wait_for(3)
    wait_until(lambda: post.only().position == 3 and not post.only().leased_until)
    worker.stop()
    post.worker()
    post.tell(("gift_a", 4))
    receiver.wait_for(4)
    assert Counter(receiver.messages) == dict.fromkeys(receiver.messages, 1)
    wait_until(lambda: post.seen.lag == 0)


def test_webhook_is_told_of_its_kinds_only(post, receiver, wait_until) -> None:
    post.webhooks.add(receiver.url, [GiftEventKind.EXPIRED], now())
    post.tell(("gift_a", 1), ("gift_b", 1))
    post.tell(("gift_a", 2), kind=GiftEventKind.EXPIRED)
    post.tell(("gift_c", 1))
    post.worker()
    wait_until(lambda: post.only().position == 4)
    assert receiver.messages == ["gift_a_2"]


def test_failing_webhook_is_told_the_same_event_until_it_takes_it(
    post, receiver, wait_until
) -> None:
    _, secret = post.webhooks.add(receiver.url, [], now())
    receiver.does(
        lambda request: request.answer(204),
        lambda request: request.answer(500),
        receiver.drop,
        lambda request: request.answer(302, b"", Location=receiver.url),
        lambda request: request.answer(204),
    )
    expected = post.tell_many("gift_a", 4)
    post.worker()
    for attempt in (1, 2, 3):
        wait_until(lambda attempt=attempt: post.only().attempts == attempt)
        found = post.only()
        assert (found.position, bool(found.fault)) == (1, True)
        assert found.failing_since is not None
        # Its next attempt comes no earlier than its delay says: let that pass.
        post.ahead += LONGEST_DELAY
    wait_until(lambda: post.only().position == 4)
    messages = receiver.messages
    assert list(dict.fromkeys(messages)) == expected
    assert Counter(messages)["gift_a_2"] >= 4
    assert {Counter(messages)[one] for one in expected if one != "gift_a_2"} == {1}
    assert all(one.is_signed_with(secret) for one in receiver.received)
    found = post.only()
    assert (found.attempts, found.fault, found.failing_since) == (0, None, None)
    assert post.seen.failed == {found.webhook: 3}
    assert post.seen.delivered == {found.webhook: 4}


def test_failing_webhook_is_left_alone_until_its_time(post, receiver, wait_until) -> None:
    post.webhooks.add(receiver.url, [], now())
    receiver.answers(503)
    post.tell(("gift_a", 1))
    worker = post.worker(chance=lambda: 1.0)
    wait_until(lambda: post.only().attempts == 1)
    first = post.only()
    assert first.fault == "answered 503"
    # Twenty looks later nothing was tried again: it waits 2 s by a clock that stands still.
    worker.stop()
    post.now = lambda: first.next_at - 1
    looks = []
    seen = post.seen
    seen.webhook_lag = looks.append  # type: ignore[method-assign]
    post.worker()
    wait_until(lambda: len(looks) > 20)
    assert len(receiver.messages) == 1
    post.workers[-1].stop()
    post.now = lambda: first.next_at
    post.worker()
    receiver.wait_for(2)


def test_hanging_webhook_keeps_no_other_waiting(
    post, receiver, another_receiver, wait_until
) -> None:
    receiver.behave = receiver.hang
    post.webhooks.add(receiver.url, [], now())
    post.webhooks.add(another_receiver.url, [], now())
    post.tell_many("gift_a", 3)
    post.worker(limit=2 * 60.0)
    another_receiver.wait_for(3)
    wait_until(lambda: post.webhooks.all()[1].position == 3)
    hanging = post.webhooks.all()[0]
    assert (hanging.position, hanging.fault) == (0, None)
    assert hanging.leased_until > 0
    assert receiver.messages == ["gift_a_1"]


def test_many_workers_tell_one_webhook_one_after_the_other(post, receiver, wait_until) -> None:
    post.webhooks.add(receiver.url, [], now())
    for _ in range(4):
        post.worker()
    expected = []
    for number in range(1, 61):
        post.tell(("gift_a", number))
        expected.append(f"gift_a_{number}")
    wait_until(lambda: post.only().position == 60)
    assert receiver.messages == expected


def test_crashed_worker_is_followed_by_another_once_its_lease_has_run_out(
    post, receiver, wait_until
) -> None:
    webhook, _ = post.webhooks.add(receiver.url, [], now())
    expected = post.tell_many("gift_a", 2)
    Feed(post.database).place()
    # As a process does that is killed: it takes the lease and is never heard of again.
    crashed = post.webhooks.lease(webhook, post.now())
    assert crashed is not None
    looks: list[float] = []
    post.seen.webhook_lag = looks.append  # type: ignore[method-assign]
    post.worker()
    wait_until(lambda: len(looks) > 10)
    assert receiver.messages == []
    post.ahead = 61 * SECOND
    receiver.wait_for(2)
    assert receiver.messages == expected


def test_stopped_worker_lets_another_go_on_at_once_and_blames_nobody(
    post, receiver, wait_until
) -> None:
    post.webhooks.add(receiver.url, [], now())
    receiver.behave = receiver.hang
    post.tell(("gift_a", 1))
    worker = post.worker()
    receiver.wait_for(1)
    worker.stop()
    found = post.only()
    assert found.webhook not in [thread.name for thread in threading.enumerate()]
    assert (found.leased_until, found.attempts, found.fault) == (0, 0, None)
    receiver.answers(204)
    post.worker()
    wait_until(lambda: post.only().position == 1)


def test_removed_webhook_is_told_no_more(post, receiver, wait_until) -> None:
    webhook, _ = post.webhooks.add(receiver.url, [], now())
    stays, _ = post.webhooks.add(receiver.url, [], now())
    post.worker()
    post.tell(("gift_a", 1))
    receiver.wait_for(2)
    post.webhooks.remove(webhook)
    post.tell(("gift_a", 2))
    wait_until(lambda: post.only().position == 2)
    assert post.only().webhook == stays
    assert Counter(receiver.messages)["gift_a_2"] <= 2


def test_events_that_were_not_kept_are_counted_as_missed(
    post, receiver, wait_until, monkeypatch
) -> None:
    webhook, _ = post.webhooks.add(receiver.url, [], now())
    post.tell_many("gift_a", 3)
    Feed(post.database).place()
    with post.database.writing() as unit:
        far = now() + outbox.WAITED_FOR + SECOND
        assert outbox.prune(unit, far, most=2) == 2
    post.worker()
    wait_until(lambda: post.only().position == 3)
    assert receiver.messages == ["gift_a_3"]
    assert post.seen.missed == {webhook: 2}


def test_worker_outlives_its_database(post, receiver, wait_until) -> None:
    post.webhooks.add(receiver.url, [], now())
    post.tell(("gift_a", 1))
    Feed(post.database).place()
    with post.database.writing() as unit:
        unit.execute(text("ALTER TABLE webhooks RENAME TO webhooks_away"))
    post.worker()
    wait_until(lambda: post.seen.faults["look"] >= 3)
    with post.database.writing() as unit:
        unit.execute(text("ALTER TABLE webhooks_away RENAME TO webhooks"))
    receiver.wait_for(1)


def test_fault_in_a_delivery_is_counted_and_the_event_told_after_the_lease(
    database, receiver, wait_until, monkeypatch
) -> None:
    post = Post(database, leased_for=SECOND // 4)
    post.webhooks.add(receiver.url, [], now())
    post.tell(("gift_a", 1))
    Feed(database).place()
    with database.writing() as unit:
        unit.execute(text("UPDATE outbox SET body = '{' || body"))
    worker = post.worker()
    try:
        wait_until(lambda: post.seen.faults["deliver"] >= 2)
        with database.writing() as unit:
            unit.execute(text("UPDATE outbox SET body = substr(body, 2)"))
        receiver.wait_for(1)
    finally:
        worker.stop()


def test_answer_of_unprintable_bytes_is_noted_in_printable_words(
    post, receiver, wait_until
) -> None:
    def garbage(request) -> None:
        request.wfile.write(b"\x00\x1b[31m\x07garbage\xc2\x85\r\n\r\n")
        request.close_connection = True

    receiver.does(garbage)
    post.webhooks.add(receiver.url, [], now())
    post.tell(("gift_a", 1))
    with capture_logs() as lines:
        post.worker(chance=lambda: 1.0)
        wait_until(lambda: post.only().attempts)
        wait_until(lambda: lines)
    fault = post.only().fault
    assert "garbage" in fault
    assert fault.isprintable()
    assert [line["why"] for line in lines] == [fault]
    assert not post.seen.faults


def test_receiver_over_tls_is_told(post, certified) -> None:
    _, secret = post.webhooks.add(certified.receiver.url, [], now())
    post.tell(("gift_a", 1))
    post.worker(tls=certified.trusting)
    [received] = certified.receiver.wait_for(1)
    assert received.is_signed_with(secret)


def test_more_webhooks_than_are_told_at_once_take_turns(
    post, receiver, monkeypatch, wait_until
) -> None:
    monkeypatch.setattr("api.delivering.MOST_AT_ONCE", 1)
    # Every event takes as long as a turn does.
    monkeypatch.setattr("api.delivering._TURN_SECONDS", 0.0)
    for number in range(3):
        post.webhooks.add(f"{receiver.url}&number={number}", [], now())
    expected = post.tell_many("gift_a", 5)
    post.worker()
    wait_until(lambda: all(one.position == 5 for one in post.webhooks.all()))
    # Nobody is told a second thing while another was not told the first.
    assert receiver.messages == [event for event in expected for _ in range(3)]
    assert len({one.path for one in receiver.received[:3]}) == 3
