"""The outbox on both databases: places in order, pruned from the front and never past a webhook."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, text

from engine.domain.clock import DAY
from engine.domain.gift_events import GiftEvent, GiftEventKind, PaymentAction, PaymentNotice
from engine.ledger import outbox, tables
from engine.ledger.database import Database
from engine.ledger.webhooks import Webhooks

URL = "http://localhost/x"


def event(gift: str, number: int, payment: PaymentNotice | None = None) -> GiftEvent:
    return GiftEvent(
        gift=gift,
        number=number,
        kind=GiftEventKind.SENT,
        occurred_at=number * 1_000,
        sender="an",
        recipient="bo",
        item="coffee",
        state="sent",
        payment=payment,
    )


def tell(database: Database, *events: GiftEvent, at: int = 5) -> None:
    with database.writing() as unit:
        for one in events:
            outbox.append(unit, one, at)


def place(database: Database) -> int:
    with database.writing() as unit:
        return outbox.place(unit)


def read(database: Database, after: int = 0, most: int = 1_000) -> list[tuple[int, str, int]]:
    with database.reading() as unit:
        found = outbox.read(unit, after, most)
    return [(one.position, one.event.gift, one.event.number) for one in found]


def prune(database: Database, before: int, most: int = 1_000) -> int:
    with database.writing() as unit:
        return outbox.prune(unit, before, most)


def test_event_is_read_as_it_was_written(database) -> None:
    paid = event("g1", 1, PaymentNotice("pay-1", PaymentAction.REFUND, 1_200))
    tell(database, paid, event("g1", 2))
    place(database)
    with database.reading() as unit:
        assert [one.event for one in outbox.read(unit, 0, 10)] == [paid, event("g1", 2)]


def test_events_are_read_in_order_from_a_position_on(database) -> None:
    tell(database, event("g1", 1), event("g2", 1), event("g1", 2))
    place(database)
    assert read(database) == [(1, "g1", 1), (2, "g2", 1), (3, "g1", 2)]
    assert read(database, after=1, most=1) == [(2, "g2", 1)]
    assert read(database, after=3) == []


def test_event_on_postgresql_is_read_once_it_has_a_place(postgresql_database) -> None:
    tell(postgresql_database, event("g1", 1))
    with postgresql_database.reading() as unit:
        assert outbox.has_unplaced(unit)
    assert read(postgresql_database) == []
    assert [place(postgresql_database), place(postgresql_database)] == [1, 0]
    assert read(postgresql_database) == [(1, "g1", 1)]
    with postgresql_database.reading() as unit:
        assert not outbox.has_unplaced(unit)


def test_place_of_an_event_is_given_once(postgresql_database) -> None:
    tell(postgresql_database, event("g1", 1), event("g2", 1))
    place(postgresql_database)
    before = read(postgresql_database)
    tell(postgresql_database, event("g3", 1))
    place(postgresql_database)
    assert read(postgresql_database)[:2] == before
    assert read(postgresql_database)[2:] == [(3, "g3", 1)]


def test_placing_while_another_places_does_nothing_and_does_not_wait(postgresql_database) -> None:
    tell(postgresql_database, event("g1", 1))
    with postgresql_database.writing() as unit:
        assert outbox.place(unit) == 1
        tell(postgresql_database, event("g2", 1))
        assert place(postgresql_database) == 0
    assert place(postgresql_database) == 1
    assert read(postgresql_database) == [(1, "g1", 1), (2, "g2", 1)]


def test_feed_of_a_rolled_back_writer_has_no_gap(database) -> None:
    tell(database, event("g1", 1))
    with pytest.raises(RuntimeError), database.writing() as unit:
        outbox.append(unit, event("g2", 1), 5)
        raise RuntimeError
    tell(database, event("g3", 1))
    place(database)
    assert read(database) == [(1, "g1", 1), (2, "g3", 1)]


def test_prune_deletes_what_is_old_in_parts_and_places_are_never_given_again(database) -> None:
    tell(database, *[event("g1", number) for number in range(1, 8)], at=5)
    tell(database, event("g2", 1), at=50)
    place(database)
    assert [prune(database, 10, most=3) for _ in range(4)] == [3, 3, 1, 0]
    assert read(database) == [(8, "g2", 1)]
    tell(database, event("g2", 2), at=60)
    place(database)
    assert read(database) == [(8, "g2", 1), (9, "g2", 2)]


def test_prune_keeps_the_newest_event_however_old(database) -> None:
    tell(database, event("g1", 1), event("g1", 2), at=5)
    place(database)
    assert prune(database, 10**15) == 1
    assert read(database) == [(2, "g1", 2)]
    assert prune(database, 10**15) == 0
    tell(database, event("g1", 3))
    place(database)
    assert read(database, after=2) == [(3, "g1", 3)]


def test_prune_makes_no_hole_where_a_clock_went_back(database) -> None:
    for number, at in ((1, 50), (2, 5), (3, 50)):
        tell(database, event("g1", number), at=at)
    place(database)
    assert prune(database, 10) == 0
    assert len(read(database)) == 3


def test_prune_leaves_what_has_no_place_yet(postgresql_database) -> None:
    tell(postgresql_database, event("g1", 1), event("g1", 2))
    place(postgresql_database)
    tell(postgresql_database, event("g1", 3))
    assert prune(postgresql_database, 10**15) == 1
    place(postgresql_database)
    assert read(postgresql_database) == [(2, "g1", 2), (3, "g1", 3)]


def test_prune_does_not_overtake_the_slowest_webhook_for_thirty_days_more(database) -> None:
    webhooks = Webhooks(database)
    tell(database, event("g1", 1), at=0)
    place(database)
    webhooks.add(URL, [], at=0)
    tell(database, *[event("g1", number) for number in (2, 3)], at=0)
    place(database)
    webhooks.add(URL, [], at=0)
    tell(database, event("g1", 4), at=90 * DAY)
    place(database)
    # The first was told of event 1 alone.
    assert prune(database, before=30 * DAY) == 1
    assert [number for _, _, number in read(database)] == [2, 3, 4]
    assert prune(database, before=30 * DAY + 1) == 2
    assert [number for _, _, number in read(database)] == [4]


def test_reads_of_a_long_feed_use_an_index(database) -> None:
    rows = [
        {"gift": f"g{n}", "number": 1, "kind": "gift.sent", "body": "{}", "recorded_at": n}
        for n in range(20_000)
    ]
    with database.writing() as unit:
        unit.execute(insert(tables.outbox), rows)
    place(database)
    tell(database, event("last", 1))
    if database.is_sqlite:
        statements = ["SELECT seq, body FROM outbox WHERE seq > 9000 ORDER BY seq LIMIT 100"]
        explain, scan = "EXPLAIN QUERY PLAN ", "SCAN outbox"
    else:
        statements = [
            "SELECT position, body FROM outbox WHERE position > 9000 ORDER BY position LIMIT 100",
            "SELECT position IS NULL FROM outbox ORDER BY position DESC NULLS FIRST LIMIT 1",
            "SELECT max(position) FROM outbox",
            outbox._PLACE._sql,
        ]
        explain, scan = "EXPLAIN ", "Seq Scan"
    for analysed in (False, True):
        with database.writing() as unit:
            if analysed:
                unit.execute(text("ANALYZE outbox"))
            for sql in statements:
                plan = "\n".join(str(row) for row in unit.execute(text(explain + sql)))
                assert scan not in plan, plan
