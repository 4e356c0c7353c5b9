"""Moves of one's gifts while one sends another: they wait for each other, and never in a circle."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
from sqlalchemy import update

from engine.domain.clock import DAY, HOUR
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.gifts import GiftState
from engine.ledger import gifts, tables
from engine.ledger.facts import pair_subject

GENEROUS = 60.0
"""Seconds that a busy machine may take for what takes one on an idle one."""
_WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


@pytest.fixture
def crowded(house):
    """The house on PostgreSQL: SQLite has one writer, who is alone."""
    if house.database.is_sqlite:
        pytest.skip("its one writer is alone")
    return house


def _until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + GENEROUS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def _waiting(house) -> int:
    """How many wait for a lock that another one holds."""
    with house.database.reading() as unit:
        return unit.exec_driver_sql(_WAITING).scalar()


def test_approval_counts_the_gift_that_its_sender_sends_meanwhile(crowded, monkeypatch) -> None:
    house, decided, go_on, record = crowded, Event(), Event(), gifts.record
    held = house.send("watch")
    later = house.now + 3 * DAY

    def slowly(*told: object) -> None:
        """Write the decided gift once it is told to."""
        decided.set()
        assert go_on.wait(GENEROUS)
        record(*told)

    def approve() -> int:
        again = house.reviewing.decide(held, True, house.reviewer, None, later).again
        return again.record.facts.values["sender.hour_gifts_after"]

    monkeypatch.setattr(gifts, "record", slowly)
    with ThreadPoolExecutor(2) as pool:
        sending: Future[str] = pool.submit(house.send, "cake", at=later)
        assert decided.wait(GENEROUS)
        approving = pool.submit(approve)
        _until(lambda: approving.done() or _waiting(house))
        go_on.set()
        # The one that was sent within the hour, and the held one that is sent by this.
        assert approving.result() == 2
        assert house.find(sending.result()).state is GiftState.SENT


def test_expiry_and_send_of_one_pair_never_wait_for_each_other(crowded) -> None:
    house = crowded
    house.world.befriend("cy", "bo")
    # The recipient's counter is the first: whoever writes to them in no order comes to it first.
    house.send("cake", sender="cy", at=house.now + HOUR)
    gift, due = house.send("cake"), house.now + ACCEPT_WITHIN
    with ThreadPoolExecutor(2) as pool:
        with house.database.writing() as unit:
            of_pair = tables.counters.c.subject == pair_subject("an", "bo")
            unit.execute(update(tables.counters).where(of_pair).values(gifts=1))
            # It has the sender's counters and waits for the pair's.
            sending = pool.submit(house.send, "cake", at=house.now + HOUR)
            _until(lambda: _waiting(house) == 1)
            expiring = pool.submit(house.moving.expire_due, due)
            _until(lambda: _waiting(house) == 2)
        assert expiring.result() == 1
        other = sending.result()
    assert [house.find(one).state for one in (gift, other)] == [GiftState.EXPIRED, GiftState.SENT]
    assert house.counted("sender") == [(1, 900)] * 2
    assert house.counted("recipient") == [(2, 1_800)]
