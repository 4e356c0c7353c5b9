"""What a gift takes up: its place in the day counters and a piece of limited stock."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from engine.domain.errors import Conflict
from engine.domain.gifts import Gift, Relation
from engine.ledger.facts import PairContext, pair_subject
from engine.ledger.statements import Statement

# Friendships and blocks of the two cannot change while this is held: live events lock the people
# they are about for themselves.
_LOCK_PEOPLE = Statement(
    "SELECT person FROM people WHERE person IN (:sender, :recipient)"
    " ORDER BY person {bytewise} {for_share}"
)
# One statement takes the row locks in the one global order: sender, pair, recipient. Writers
# that cross (A to B while B to A) touch rows of different scopes and never wait in a circle. Day 0
# counts nothing: whoever sends holds it, so that sums over an hour or a month cannot miss a gift
# that the same sender sends meanwhile on the other side of midnight.
_LOCK_COUNTERS = Statement("""
INSERT INTO counters (scope, subject, day, gifts, fen) VALUES
  ('sender', :sender, 0, 0, 0),
  ('sender', :sender, :sender_day, 0, 0),
  ('pair', :pair, :sender_day, 0, 0),
  ('recipient', :recipient, :recipient_day, 0, 0)
ON CONFLICT (scope, subject, day) DO UPDATE SET gifts = counters.gifts
""")
_LOCK_STOCK = Statement(
    "SELECT item FROM items WHERE item = :item AND stock IS NOT NULL {for_update}"
)
# What fans send a creator is no reason to keep that person's friends from giving: `of_friends`
# is 0 for it. Written as a list of keys, SQLite would read every counter there is.
_COUNT = Statement("""
UPDATE counters SET
  gifts = gifts + :gifts * CASE scope WHEN 'recipient' THEN :of_friends ELSE 1 END,
  fen = fen + :fen * CASE scope WHEN 'recipient' THEN :of_friends ELSE 1 END
WHERE (scope = 'sender' AND subject = :sender AND day = :sender_day)
  OR (scope = 'pair' AND subject = :pair AND day = :sender_day)
  OR (scope = 'recipient' AND subject = :recipient AND day = :recipient_day)
""")
_TAKE_STOCK = Statement("""
UPDATE items SET stock = stock - :taken, stock_taken = stock_taken + :taken
WHERE item = :item AND stock IS NOT NULL AND stock >= :taken RETURNING stock
""")
_HAS_STOCK_LIMIT = Statement("SELECT stock FROM items WHERE item = :item AND stock IS NOT NULL")


@dataclass(frozen=True, slots=True)
class CounterKeys:
    """The three counter rows a gift counts in."""

    sender: str
    pair: str
    recipient: str
    sender_day: int
    recipient_day: int

    @classmethod
    def of(cls, sender: str, recipient: str, context: PairContext) -> CounterKeys:
        """Return the keys of a gift asked for now, on the local days of its two sides."""
        pair = pair_subject(sender, recipient)
        return cls(sender, pair, recipient, context.sender_day, context.recipient_day)

    @classmethod
    def of_gift(cls, gift: Gift) -> CounterKeys:
        """Return the keys that a recorded gift of ours counts in."""
        pair = pair_subject(gift.sender, gift.recipient)
        days = gift.sender_day or 0, gift.recipient_day or 0
        return cls(gift.sender, pair, gift.recipient, *days)


def lock(connection: Connection, keys: CounterKeys, item: str, *others: str) -> None:
    """Hold everybody else off what decides about a gift, until the transaction ends.

    Items are locked if their stock is limited, in the order of their names. Returns when all is
    held: what is read from then on, the clock too, is as it will be at the commit.
    """
    # SQLite has one writer: the rows it will write are locked with the rest.
    many_write = connection.dialect.name == "postgresql"
    if many_write:
        _LOCK_PEOPLE.tell(connection, sender=keys.sender, recipient=keys.recipient)
    _LOCK_COUNTERS.tell(
        connection,
        sender=keys.sender,
        pair=keys.pair,
        recipient=keys.recipient,
        sender_day=keys.sender_day,
        recipient_day=keys.recipient_day,
    )
    for each in sorted({item, *others}) if many_write else ():
        # Its rows are waited for, and with them all that was sent before where it is pipelined.
        _LOCK_STOCK.rows(connection, item=each)


def count(connection: Connection, gift: Gift) -> None:
    """Count a gift on its days; its counters are locked."""
    _counted(connection, gift, 1)


def uncount(connection: Connection, gift: Gift) -> None:
    """Give a gift's place in the counters back; they are locked."""
    _counted(connection, gift, -1)


def take_stock(connection: Connection, item: str) -> bool:
    """Take a piece of an item, if its stock is limited; the item is locked.

    Return whether it is: a gift that took none has none to put back, should the stock be limited
    later.

    Raises
    ------
    Conflict
        If it has run out.
    """
    taken = _TAKE_STOCK.row(connection, item=item, taken=1)
    if taken is None and _HAS_STOCK_LIMIT.row(connection, item=item):
        raise Conflict(f"no stock of {item!r} is left", "offer another item")
    return taken is not None


def return_stock(connection: Connection, gift: Gift) -> None:
    """Put the piece of its item back that a gift took, if it took one."""
    if gift.took_piece:
        _TAKE_STOCK.row(connection, item=gift.item, taken=-1)


def _counted(connection: Connection, gift: Gift, sign: int) -> None:
    keys = CounterKeys.of_gift(gift)
    _COUNT.tell(
        connection,
        gifts=sign,
        fen=sign * gift.price_fen,
        of_friends=int(gift.relation is not Relation.CREATOR),
        sender=keys.sender,
        pair=keys.pair,
        recipient=keys.recipient,
        sender_day=keys.sender_day,
        recipient_day=keys.recipient_day,
    )
