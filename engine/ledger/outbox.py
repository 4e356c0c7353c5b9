"""What callers must be told, written in the transaction in which it happened; read as one feed.

A place in the feed is given once and never again; the feed grows at its end alone and is pruned at
its beginning alone, so what is kept stands there without a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson
from sqlalchemy import Connection

from engine.domain.clock import DAY
from engine.domain.gift_events import (
    FeedEvent,
    GiftEvent,
    GiftEventKind,
    PaymentAction,
    PaymentNotice,
)
from engine.ledger.statements import Statement
from engine.ledger.turns import Turn, taken

WAITED_FOR: Final = 30 * DAY
"""How much longer (microseconds) an event is kept that some webhook has yet to deliver."""

_COLUMN: Mapping[str, str] = {"sqlite": "seq", "postgresql": "position"}
"""Where the place in the feed stands: SQLite has one writer, so that insertions are in order."""


def _for_both(sql: str) -> Mapping[str, Statement]:
    return {name: Statement(sql.replace("{place}", column)) for name, column in _COLUMN.items()}


_INSERT = Statement("""
INSERT INTO outbox (gift, number, kind, body, recorded_at)
VALUES (:gift, :number, :kind, :body, :recorded_at)
""")
# Nulls come first in this order: one look at the index tells whether there is one.
_WITHOUT_PLACE = Statement("""
SELECT position IS NULL FROM outbox ORDER BY position DESC NULLS FIRST LIMIT 1
""")
_PLACE = Statement("""
WITH waiting AS (
  SELECT seq, row_number() OVER (ORDER BY seq) AS number FROM outbox WHERE position IS NULL
), placed AS (
  SELECT coalesce(max(position), 0) AS position FROM outbox
)
UPDATE outbox SET position = placed.position + waiting.number
FROM waiting, placed WHERE outbox.seq = waiting.seq
""")
_READ = _for_both("""
SELECT {place}, body FROM outbox WHERE {place} > :after ORDER BY {place} LIMIT :most
""")
_END = _for_both("SELECT max({place}) FROM outbox")
_SINCE = _for_both("""
SELECT recorded_at FROM outbox WHERE {place} > :after ORDER BY {place} LIMIT 1
""")
_OLDEST = _for_both("""
SELECT {place}, recorded_at FROM outbox WHERE {place} IS NOT NULL ORDER BY {place} LIMIT :most
""")
_DELETE = _for_both("DELETE FROM outbox WHERE {place} <= :last")
_SLOWEST = Statement("SELECT min(position) FROM webhooks")


def append(connection: Connection, event: GiftEvent, at: int) -> None:
    """Write an event, at `at` (microseconds), in the transaction of what it tells."""
    _INSERT.tell(
        connection,
        gift=event.gift,
        number=event.number,
        kind=event.kind.value,
        body=orjson.dumps(event).decode(),
        recorded_at=at,
    )


def has_unplaced(connection: Connection) -> bool:
    """Tell whether an event that this transaction sees has no place in the feed yet."""
    if connection.dialect.name == "sqlite":
        return False
    return bool(_WITHOUT_PLACE.run(connection).scalar())


def place(connection: Connection) -> int:
    """Give every event seen without one its place at the end of the feed; return how many.

    Must be called in a transaction that writes. Does nothing while another transaction places.

    Notes
    -----
    On PostgreSQL an event that was inserted early may be committed late: were its place the number
    of its insertion, a reader could have passed it by. So places are given after the commit, by one
    transaction at a time, each of which sees what the one before it gave: they appear in the
    feed's own order. A gift's events come from transactions that held its row lock one after the
    other: whoever sees the later one sees the earlier one too, and its number is the lower.
    """
    if connection.dialect.name == "sqlite" or not taken(connection, Turn.PLACING):
        return 0
    # A statement of its own: it sees what was committed before the turn was taken.
    return _PLACE.run(connection).rowcount


def read(connection: Connection, after: int, most: int) -> list[FeedEvent]:
    """Return up to `most` placed events from after the position `after` on, in their order."""
    rows = _READ[connection.dialect.name].run(connection, after=after, most=most)
    return [FeedEvent(int(position), _event(body)) for position, body in rows]


def end(connection: Connection) -> int:
    """Return the position of the newest placed event; 0 if there never was one."""
    return int(_END[connection.dialect.name].run(connection).scalar() or 0)


def waiting_since(connection: Connection, after: int) -> int | None:
    """Return when (microseconds) the first placed event after `after` was written, if any is."""
    found = _SINCE[connection.dialect.name].run(connection, after=after).scalar()
    return None if found is None else int(found)


def prune(connection: Connection, before: int, most: int) -> int:
    """Delete up to `most` of the first events, written before `before` (microseconds).

    What some webhook has yet to deliver is kept for `WAITED_FOR` longer, the newest event for
    good: it tells where the feed goes on. Returns how many were deleted.
    """
    dialect = connection.dialect.name
    newest, slowest = end(connection), _SLOWEST.run(connection).scalar()
    last, deleted = 0, 0
    for position, recorded_at in _OLDEST[dialect].run(connection, most=most):
        waited_for = slowest is not None and position > slowest
        kept_since = before - WAITED_FOR if waited_for else before
        if recorded_at >= kept_since or position >= newest:
            break
        last, deleted = int(position), deleted + 1
    if deleted:
        _DELETE[dialect].run(connection, last=last)
    return deleted


def _event(body: str) -> GiftEvent:
    told = orjson.loads(body)
    payment = told["payment"]
    if payment is not None:
        payment = PaymentNotice(**{**payment, "action": PaymentAction(payment["action"])})
    return GiftEvent(**{**told, "kind": GiftEventKind(told["kind"]), "payment": payment})
