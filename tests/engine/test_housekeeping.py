"""Housekeeping on both databases: what is due is done once, whoever does it and whatever fails."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import func, insert, select, text
from structlog.testing import capture_logs

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import LedgerUnavailable
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.gifts import GiftState
from engine.housekeeping import EVENTS_KEPT, Housekeeping, Round
from engine.ledger import idempotency, tables
from engine.ledger.feed import Feed
from engine.ledger.turns import Turn, taken

GENEROUS = 30.0
"""Seconds that a busy machine may take for what takes one on an idle one."""


class Seen:
    """What a housekeeper tells of itself."""

    def __init__(self) -> None:
        self.swept = 0
        self.faults: Counter[str] = Counter()

    def gifts_swept(self, gifts: int) -> None:
        self.swept += gifts

    def housekeeping_fault(self, task: str) -> None:
        self.faults[task] += 1


@pytest.fixture
def keeper(house):
    """A housekeeper that looks often; its clock stands still where the test puts it."""
    made = Housekeeping(house.database, house.moving, lambda: house.now, interval=0.02)
    yield made
    made.stop()


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + GENEROUS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def rows(house, table) -> int:
    with house.database.reading() as unit:
        return unit.execute(select(func.count()).select_from(table)).scalar_one()


def send_many(house, gifts: int) -> list[str]:
    sent = []
    for number in range(gifts):
        house.world.befriend(f"s{number}", f"r{number}")
        sent.append(house.send(sender=f"s{number}", recipient=f"r{number}"))
    return sent


def test_round_expires_what_is_due_and_nothing_else(house, keeper) -> None:
    early, late = house.send(), house.send(at=house.now + HOUR)
    assert keeper.once(house.now + ACCEPT_WITHIN - 1).gifts == 0
    assert keeper.once(house.now + ACCEPT_WITHIN).gifts == 1
    states = [house.find(gift).state for gift in (early, late)]
    assert states == [GiftState.EXPIRED, GiftState.SENT]
    assert keeper.once(house.now).gifts == 0  # a clock that was set back


def test_round_ends_a_declined_gift_when_it_would_have_expired(house, keeper) -> None:
    gift = house.send()
    house.moving.decline(gift, "bo", None, house.now + 1)
    assert keeper.once(house.now + ACCEPT_WITHIN - 1).gifts == 0
    assert house.kinds(gift) == ["sent"]
    assert keeper.once(house.now + ACCEPT_WITHIN).gifts == 1
    assert house.kinds(gift) == ["sent", "expired"]
    assert house.balances(gift) == {}
    assert keeper.once(house.now + ACCEPT_WITHIN).gifts == 0


def test_round_goes_on_until_nothing_is_due(house, keeper, monkeypatch) -> None:
    monkeypatch.setattr("engine.moving._GIFTS_AT_ONCE", 3)
    send_many(house, 8)
    assert keeper.once(house.now + ACCEPT_WITHIN).gifts == 8


def test_round_places_events_on_postgresql(house, keeper) -> None:
    house.send()
    assert keeper.once(house.now).placed == (0 if house.database.is_sqlite else 1)
    assert [one.event.number for one in Feed(house.database).page(None, 10)] == [1]


def test_round_forgets_answers_after_a_day_and_events_after_thirty(house, keeper) -> None:
    house.send()
    house.send()
    keeper.once(house.now)
    assert keeper.once(house.now + idempotency.KEPT_FOR - 1) == Round(0, 0, 0, 0)
    # Both gifts expire at this instant, too.
    day_after = keeper.once(house.now + idempotency.KEPT_FOR)
    assert (day_after.answers, day_after.gifts, day_after.events) == (2, 2, 0)
    assert rows(house, tables.idempotency) == 0
    month_after = keeper.once(house.now + EVENTS_KEPT + 1)
    assert month_after.events == 2
    later = keeper.once(house.now + EVENTS_KEPT + 2 * DAY)
    assert later.events == 1  # the newest of all stays
    assert rows(house, tables.outbox) == 1


def test_round_forgets_many_in_small_batches(house, keeper, monkeypatch) -> None:
    old = [
        {"key_id": "k", "idempotency_key": str(n), "body_hash": "", "answer": "", "recorded_at": 0}
        for n in range(25)
    ]
    with house.database.writing() as unit:
        unit.execute(insert(tables.idempotency), old)
    monkeypatch.setattr("engine.housekeeping._ROWS_AT_ONCE", 4)
    monkeypatch.setattr("engine.housekeeping._MOST_BATCHES", 3)
    forgotten = [keeper.once(house.now).answers for _ in range(4)]
    assert forgotten == [12, 12, 1, 0]


def test_round_leaves_to_another_what_that_one_is_forgetting(house, keeper) -> None:
    if house.database.is_sqlite:
        pytest.skip("its one writer is alone")
    house.send()
    at = house.now + idempotency.KEPT_FOR
    with house.database.writing() as unit:
        assert taken(unit, Turn.PRUNING)
        assert keeper.once(at).answers == 0
    assert keeper.once(at).answers == 1


def test_many_housekeepers_at_once_do_nothing_twice(house) -> None:
    gifts = send_many(house, 16)
    keepers = [Housekeeping(house.database, house.moving, lambda: house.now) for _ in range(6)]
    rounds: list[Round] = []
    begin = threading.Barrier(len(keepers))

    def keep(keeper: Housekeeping) -> None:
        begin.wait()
        rounds.append(keeper.once(house.now + ACCEPT_WITHIN))

    threads = [threading.Thread(target=keep, args=(keeper,)) for keeper in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whoever found all it saw moved by others ends its round; the next one finds the rest.
    rounds.append(keepers[0].once(house.now + ACCEPT_WITHIN))
    assert len(rounds) == len(keepers) + 1
    assert sum(done.gifts for done in rounds) == len(gifts)
    assert sum(done.answers for done in rounds) == len(gifts)
    for gift in gifts:
        assert house.kinds(gift) == ["sent", "expired"]
        assert house.balances(gift) == {}
    assert set(house.counted("sender")) == {(0, 0)}
    read = Feed(house.database).page(None, 1_000)
    assert [one.position for one in read] == list(range(1, 2 * len(gifts) + 1))


def test_thread_sweeps_as_its_clock_goes_on(house, keeper) -> None:
    gift, seen = house.send(), Seen()
    keeper.start(seen)
    keeper.start(seen)
    assert [thread.name for thread in threading.enumerate()].count("housekeeping") == 1
    house.now += ACCEPT_WITHIN
    wait_until(lambda: seen.swept == 1)
    assert house.find(gift).state is GiftState.EXPIRED
    keeper.stop()
    assert "housekeeping" not in [thread.name for thread in threading.enumerate()]
    keeper.start(seen)  # what was stopped stays so
    assert "housekeeping" not in [thread.name for thread in threading.enumerate()]


def test_housekeeper_that_never_began_can_be_stopped(house, keeper) -> None:
    keeper.stop()
    keeper.stop()


def test_fault_is_counted_and_the_task_done_once_it_is_mended(house, keeper) -> None:
    gift, seen = house.send(), Seen()
    with house.database.writing() as unit:
        unit.execute(text("ALTER TABLE gifts RENAME TO gifts_away"))
    house.now += ACCEPT_WITHIN
    with pytest.raises(LedgerUnavailable):
        keeper.once(house.now)
    with capture_logs() as lines:
        keeper.start(seen)
        wait_until(lambda: seen.faults["expire"] >= 3)
        # The other tasks go on meanwhile.
        wait_until(lambda: not Feed(house.database).place())
        assert set(seen.faults) == {"expire"}
        with house.database.writing() as unit:
            unit.execute(text("ALTER TABLE gifts_away RENAME TO gifts"))
        wait_until(lambda: seen.swept == 1)
        keeper.stop()
    assert house.find(gift).state is GiftState.EXPIRED
    # Logged once, counted each time.
    assert [line["task"] for line in lines if line["event"] == "not done"] == ["expire"]


def test_gifts_that_ended_are_counted_whatever_is_wrong_with_others(house, monkeypatch) -> None:
    monkeypatch.setattr("engine.moving._GIFTS_AT_ONCE", 2)
    gifts, seen = send_many(house, 7), Seen()
    with house.database.writing() as unit:
        some = tables.gifts.c.gift.in_(sorted(gifts)[:4])
        unit.execute(tables.gifts.update().where(some).values(state="redeemed"))
    at = house.now + ACCEPT_WITHIN
    keeper = Housekeeping(house.database, house.moving, lambda: at, interval=0.02)
    keeper.start(seen)
    wait_until(lambda: seen.faults["expire"] >= 2)
    keeper.stop()
    assert seen.swept == 3


def test_fault_that_nobody_foresaw_leaves_the_thread_alive(house) -> None:
    class Broken:
        """Fails as no part of ours should, then works."""

        def __init__(self) -> None:
            self.asked = 0

        def expire_due(self, at: int, go_on: Callable[[], bool]) -> int:
            self.asked += 1
            if self.asked < 3:
                raise ZeroDivisionError
            return house.moving.expire_due(at, go_on)

    gift, seen = house.send(), Seen()
    at = house.now + ACCEPT_WITHIN
    keeper = Housekeeping(house.database, Broken(), lambda: at, interval=0.02)
    keeper.start(seen)
    wait_until(lambda: seen.swept == 1)
    keeper.stop()
    assert seen.faults == {"expire": 2}
    assert house.find(gift).state is GiftState.EXPIRED
