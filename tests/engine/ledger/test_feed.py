"""The feed misses nothing and keeps each gift's order, however writers overlap."""

from __future__ import annotations

import random
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from engine.domain.errors import CursorUnusable
from engine.domain.gift_events import GiftEvent, GiftEventKind
from engine.ledger import outbox
from engine.ledger.database import Database
from engine.ledger.feed import Feed

_RUNS = count()


def event(gift: str, number: int) -> GiftEvent:
    return GiftEvent(gift, number, GiftEventKind.SENT, number, "an", "bo", "coffee", "sent")


def tell(database: Database, *events: GiftEvent, at: int = 5) -> None:
    with database.writing() as unit:
        for one in events:
            outbox.append(unit, one, at)


class Reader:
    """Reads a feed to its end, page by page, keeping only a cursor between readings."""

    def __init__(self, database: Database, most: int) -> None:
        self.feed = Feed(database)
        self.most = most
        self.cursor = 0
        self.seen: list[tuple[str, int]] = []
        self.positions: list[int] = []

    def read(self) -> None:
        while page := self.feed.page(self.cursor, self.most):
            self.seen += [(one.event.gift, one.event.number) for one in page]
            self.positions += [one.position for one in page]
            self.cursor = page[-1].position


def assert_whole(reader: Reader, committed: dict[str, int]) -> None:
    """Whatever was committed is there once, each gift's events in order, positions ascending."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for gift, number in reader.seen:
        numbers[gift].append(number)
    expected = {gift: list(range(1, last + 1)) for gift, last in committed.items() if last}
    assert dict(numbers) == expected
    assert reader.positions == sorted(set(reader.positions))


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["write", "write", "commit", "roll back", "place", "read"]),
            st.integers(0, 2),
        ),
        min_size=10,
        max_size=50,
    ),
    most=st.integers(1, 4),
)
def test_reader_of_overlapping_transactions_misses_nothing(
    postgresql_database, steps: list[tuple[str, int]], most: int
) -> None:
    """Each gift has one writer at a time, as its row lock has it; they end in any order."""
    run = next(_RUNS)
    reader = Reader(postgresql_database, most)
    with postgresql_database.reading() as unit:
        reader.cursor = outbox.end(unit)
    committed: dict[str, int] = defaultdict(int)
    open_ones: dict[str, tuple[Connection, int]] = {}

    def end(gift: str, commits: bool) -> None:
        connection, written = open_ones.pop(gift)
        with connection:
            if commits:
                connection.commit()
                committed[gift] += written

    def do(step: str, gift: str) -> None:
        if step == "write":
            if gift not in open_ones:
                connection = postgresql_database.engine.connect()
                connection.begin()
                open_ones[gift] = connection, 0
            connection, written = open_ones[gift]
            outbox.append(connection, event(gift, committed[gift] + written + 1), 5)
            open_ones[gift] = connection, written + 1
        elif step in {"commit", "roll back"} and gift in open_ones:
            end(gift, step == "commit")
        elif step == "place":
            Feed(postgresql_database).place()
        elif step == "read":
            reader.read()
            assert_whole(reader, committed)

    try:
        for step, which in steps:
            do(step, f"g{run}-{which}")
        for gift in list(open_ones):
            end(gift, commits=True)
        reader.read()
        assert_whole(reader, committed)
    finally:
        for connection, _ in open_ones.values():
            connection.close()


def test_readers_beside_many_writers_miss_nothing_and_keep_each_gifts_order(database) -> None:
    gifts, writers, rounds = 12, 6, 25
    # What the row lock of a gift does: its writers come one after the other.
    row_locks = [threading.Lock() for _ in range(gifts)]
    committed = [0] * gifts
    over = threading.Event()

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(rounds):
            which = chance.randrange(gifts)
            with row_locks[which]:
                with database.writing() as unit:
                    outbox.append(unit, event(f"g{which}", committed[which] + 1), 5)
                    # Held open, so that a later insertion is committed before this one.
                    time.sleep(chance.choice([0, 0, 0.001, 0.01]))
                committed[which] += 1

    def follow(reader: Reader) -> None:
        while not over.is_set():
            reader.read()

    readers = [Reader(database, most) for most in (1, 3, 100)]
    with ThreadPoolExecutor(writers + len(readers)) as pool:
        following = [pool.submit(follow, reader) for reader in readers]
        for written in [pool.submit(write, seed) for seed in range(writers)]:
            written.result()
        over.set()
        for followed in following:
            followed.result()
    for reader in readers:
        reader.read()
        assert_whole(reader, {f"g{which}": last for which, last in enumerate(committed)})
    assert sum(committed) == writers * rounds


def test_reader_does_not_pass_by_what_was_inserted_first_and_committed_last(
    postgresql_database,
) -> None:
    reader = Reader(postgresql_database, 10)
    with postgresql_database.writing() as late:
        outbox.append(late, event("late", 1), 5)
        tell(postgresql_database, event("early", 1))
        reader.read()
        assert reader.seen == [("early", 1)]
    reader.read()
    assert reader.seen == [("early", 1), ("late", 1)]


def test_reader_who_finds_another_placing_reads_what_is_placed_and_later_the_rest(
    postgresql_database,
) -> None:
    reader = Reader(postgresql_database, 10)
    tell(postgresql_database, event("g1", 1))
    reader.read()
    tell(postgresql_database, event("g1", 2))
    with postgresql_database.writing() as placing:
        assert outbox.place(placing) == 1
        reader.read()
        assert reader.seen == [("g1", 1)]
    reader.read()
    assert reader.seen == [("g1", 1), ("g1", 2)]


def test_feed_of_an_empty_ledger_is_empty_from_any_beginning(database) -> None:
    assert Feed(database).page(None, 10) == Feed(database).page(0, 10) == []


def test_cursor_beyond_the_end_is_refused(database) -> None:
    feed = Feed(database)
    with pytest.raises(CursorUnusable, match="has not come to 1"):
        feed.page(1, 10)
    tell(database, event("g1", 1), event("g1", 2))
    assert [one.position for one in feed.page(None, 10)] == [1, 2]
    assert feed.page(2, 10) == []
    with pytest.raises(CursorUnusable, match="has not come to 3, it ends at 2"):
        feed.page(3, 10)


def test_cursor_whose_events_are_gone_is_refused_and_the_oldest_kept_read_without_one(
    database,
) -> None:
    feed = Feed(database)
    tell(database, *[event("g1", number) for number in range(1, 6)])
    feed.place()
    with database.writing() as unit:
        assert outbox.prune(unit, before=6, most=3) == 3
    with pytest.raises(CursorUnusable, match="events after 2 are not kept any more"):
        feed.page(2, 10)
    with pytest.raises(CursorUnusable):
        feed.page(0, 10)
    assert [one.position for one in feed.page(3, 10)] == [4, 5]
    assert [one.position for one in feed.page(None, 10)] == [4, 5]
