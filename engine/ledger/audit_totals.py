"""The proof of what many gifts add up to: counters, stock, payments, the feed, stray rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from engine.ledger.statements import Statement


class Total(NamedTuple):
    """Something that does not add up: which, and how."""

    of: str
    fault: str


def exact_sum(column: str) -> str:
    """Return SQL that adds a column up, whatever is in it: SQLite's own sum fails beyond 2^63."""
    return f"(sum({column} >> 32) * 4294967296 + sum({column} & 4294967295))"


_HOLDS_CAPS = """origin = 'live' AND (state IN ('held', 'sent', 'accepted', 'redeemed', 'refunded')
  OR (state = 'declined' AND due_at IS NOT NULL))"""
_HOLDS_PIECE = """origin = 'live' AND took_piece AND (
  state IN ('held', 'sent', 'accepted', 'redeemed')
  OR (state = 'declined' AND due_at IS NOT NULL))"""

# Added up from both sides at once, so that a counter without gifts shows as gifts without counter.
# The pair's subject is `engine.ledger.facts.pair_subject`; gifts of fans do not count for the one
# who receives them (`engine.ledger.caps`).
_COUNTERS = Statement(f"""
WITH holding AS (
  SELECT sender, recipient, relation, price_fen, sender_day, recipient_day
  FROM gifts WHERE {_HOLDS_CAPS}
), sides AS (
  SELECT 'sender' AS scope, sender AS subject, sender_day AS day, 1 AS gifts, price_fen AS fen,
    0 AS counted, 0 AS counted_fen FROM holding
  UNION ALL
  SELECT 'pair', length(sender) || ':' || sender || '>' || recipient, sender_day, 1, price_fen,
    0, 0 FROM holding
  UNION ALL
  SELECT 'recipient', recipient, recipient_day, 1, price_fen, 0, 0
  FROM holding WHERE relation <> 'creator'
  UNION ALL
  SELECT scope, subject, day, 0, 0, gifts, fen FROM counters
)
SELECT scope, subject, day, sum(gifts), {exact_sum("fen")}, {exact_sum("counted")},
  {exact_sum("counted_fen")}
FROM sides GROUP BY scope, subject, day
HAVING sum(gifts) <> {exact_sum("counted")} OR {exact_sum("fen")} <> {exact_sum("counted_fen")}
ORDER BY scope, subject, day
""")
_STOCK = Statement(f"""
SELECT items.item, stock, stock_taken, coalesce(pieces, 0)
FROM items LEFT JOIN (
  SELECT item, count(*) AS pieces FROM gifts WHERE {_HOLDS_PIECE} GROUP BY item
) AS held ON held.item = items.item
WHERE stock < 0 OR stock_taken <> coalesce(pieces, 0)
ORDER BY items.item
""")
_PAYMENTS = Statement("""
SELECT payment_ref, count(*) FROM gifts WHERE payment_ref IS NOT NULL
GROUP BY payment_ref HAVING count(*) > 1 ORDER BY payment_ref
""")
_DECISIONS = Statement("""
SELECT decision_id, count(*) FROM gifts WHERE decision_id IS NOT NULL
GROUP BY decision_id HAVING count(*) > 1 ORDER BY decision_id
""")
# SQLite keeps what it is given, whatever the column is for.
_MISTYPED_COUNTERS = Statement("""
SELECT scope, subject, day, gifts, fen FROM counters
WHERE typeof(scope) <> 'text' OR typeof(subject) <> 'text' OR typeof(day) <> 'integer'
  OR typeof(gifts) <> 'integer' OR typeof(fen) <> 'integer'
""")
_MISTYPED_STOCK = Statement("""
SELECT item, stock, stock_taken FROM items
WHERE typeof(stock) NOT IN ('integer', 'null') OR typeof(stock_taken) <> 'integer'
""")
_FEED = {
    "sqlite": Statement("""
SELECT count(*), min(seq), max(seq),
  (SELECT seq FROM sqlite_sequence WHERE name = 'outbox') FROM outbox
"""),
    "postgresql": Statement("""
SELECT count(position), min(position), max(position), max(position) FROM outbox
"""),
}
_STRAYS = {
    table: Statement(f"""
SELECT DISTINCT {table}.gift FROM {table}
LEFT JOIN gifts ON gifts.gift = {table}.gift AND gifts.origin = 'live'
WHERE gifts.gift IS NULL ORDER BY {table}.gift
""")
    for table in ("postings", "outbox", "reviews", "vouchers")
}
_ORIGINS = Statement("""
SELECT gift, origin FROM gifts WHERE origin NOT IN ('live', 'imported') ORDER BY gift
""")


def faulty_counters(connection: Connection) -> Iterator[Total]:
    """Yield the counters that differ from the live gifts that hold their caps, either way."""
    if connection.dialect.name == "sqlite":
        for scope, subject, day, *told in _MISTYPED_COUNTERS.run(connection):
            yield Total(f"{scope} {subject} on day {day}", f"cannot be read: it counts {told}")
    for scope, subject, day, gifts, fen, counted, counted_fen in _COUNTERS.run(connection):
        yield Total(
            f"{scope} {subject} on day {day}",
            f"counts {counted} gifts of {counted_fen} fen, but {gifts} of {fen} fen hold it",
        )


def faulty_stock(connection: Connection) -> Iterator[Total]:
    """Yield the items that are oversold or whose pieces taken are not those that gifts hold."""
    if connection.dialect.name == "sqlite":
        for item, *told in _MISTYPED_STOCK.run(connection):
            yield Total(str(item), f"cannot be read: its stock is {told}")
    for item, stock, taken, pieces in _STOCK.run(connection):
        yield Total(
            str(item),
            f"has {stock} pieces left and {taken} taken, while gifts hold {pieces} pieces",
        )


def faulty_payments(connection: Connection) -> Iterator[Total]:
    """Yield the payments that pay for several gifts."""
    for payment, gifts in _PAYMENTS.run(connection):
        yield Total(str(payment), f"pays for {gifts} gifts")


def faulty_decisions(connection: Connection) -> Iterator[Total]:
    """Yield the decisions on which several gifts rest."""
    for decision, gifts in _DECISIONS.run(connection):
        yield Total(str(decision), f"is the decision on {gifts} gifts")


def begins_later(connection: Connection) -> bool:
    """Tell whether the feed's first events are kept no more."""
    _, first, _, _ = _FEED[connection.dialect.name].run(connection).one()
    return first is not None and first > 1


def faulty_feed(connection: Connection) -> Iterator[Total]:
    """Yield the feed itself if an event is missing between two others, or after the last."""
    events, first, last, given = _FEED[connection.dialect.name].run(connection).one()
    if events and (last - first + 1 != events or last != given):
        yield Total("feed", f"has {events} events from {first} to {given}")


def stray_rows(connection: Connection) -> Iterator[Total]:
    """Yield rows that belong to no gift of ours, and gifts that are neither ours nor imported."""
    for table, statement in _STRAYS.items():
        for gift in statement.run(connection).scalars():
            yield Total(str(gift), f"has rows in {table}, but there is no such gift of ours")
    for gift, origin in _ORIGINS.run(connection):
        yield Total(str(gift), f"is of the unknown origin {origin!r}")
