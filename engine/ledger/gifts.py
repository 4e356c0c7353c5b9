"""Gifts, the counters that cap them and limited stock, changed together under ordered locks."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from engine.domain.errors import Conflict
from engine.domain.gifts import Gift, GiftRequest, GiftState, Origin, Relation, Scene
from engine.domain.pair_state import Kind
from engine.ledger import ties
from engine.ledger.facts import PairContext, pair_subject
from engine.ledger.statements import Statement, Value

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
_COUNT = Statement("""
UPDATE counters SET gifts = gifts + 1, fen = fen + :price_fen
WHERE scope = :scope AND subject = :subject AND day = :day
""")
_TAKE_STOCK = Statement(
    "UPDATE items SET stock = stock - 1 WHERE item = :item AND stock IS NOT NULL AND stock > 0"
)
_HAS_STOCK_LIMIT = Statement("SELECT stock FROM items WHERE item = :item AND stock IS NOT NULL")
_INSERT = Statement("""
INSERT INTO gifts (gift, sender, recipient, item, price_fen, relation, scene, occasion, state,
  origin, occurred_at, outcome_at, decision_id, recorded_at)
VALUES (:gift, :sender, :recipient, :item, :price_fen, :relation, :scene, :occasion, :state,
  :origin, :occurred_at, NULL, :decision_id, :occurred_at)
""")
_FIND = Statement("""
SELECT gift, sender, recipient, item, price_fen, relation, scene, state, origin, occurred_at,
  decision_id
FROM gifts WHERE gift = :gift
""")


@dataclass(frozen=True, slots=True)
class CounterKeys:
    """The three counter rows a gift counts in."""

    sender: str
    pair: str
    recipient: str
    sender_day: int
    recipient_day: int

    @classmethod
    def of(cls, request: GiftRequest, context: PairContext) -> CounterKeys:
        """Return the keys of a request on the local days of its two sides."""
        return cls(
            sender=request.sender,
            pair=pair_subject(request.sender, request.recipient),
            recipient=request.recipient,
            sender_day=context.sender_day,
            recipient_day=context.recipient_day,
        )


def lock(connection: Connection, request: GiftRequest, keys: CounterKeys) -> None:
    """Hold everybody else off what decides about this gift, until the transaction ends."""
    _LOCK_PEOPLE.run(connection, sender=keys.sender, recipient=keys.recipient)
    _LOCK_COUNTERS.run(
        connection,
        sender=keys.sender,
        pair=keys.pair,
        recipient=keys.recipient,
        sender_day=keys.sender_day,
        recipient_day=keys.recipient_day,
    )
    _LOCK_STOCK.run(connection, item=request.item)


def record(connection: Connection, gift: Gift, keys: CounterKeys, occasion: str) -> None:
    """Write a decided gift: the gift, its counters, its stock and its tie.

    A held gift reserves its caps and its stock but is no tie event yet.

    Raises
    ------
    Conflict
        If a limited item has run out.
    """
    values: dict[str, Value] = {
        "gift": gift.gift,
        "sender": gift.sender,
        "recipient": gift.recipient,
        "item": gift.item,
        "price_fen": gift.price_fen,
        "relation": gift.relation.value,
        "scene": gift.scene.value,
        "occasion": occasion,
        "state": gift.state.value,
        "origin": gift.origin.value,
        "occurred_at": gift.occurred_at,
        "decision_id": gift.decision_id,
    }
    _INSERT.run(connection, **values)
    counted = [("sender", keys.sender, keys.sender_day), ("pair", keys.pair, keys.sender_day)]
    # What fans send a creator is no reason to keep that person's friends from giving.
    if gift.relation is not Relation.CREATOR:
        counted.append(("recipient", keys.recipient, keys.recipient_day))
    for scope, subject, day in counted:
        _COUNT.run(connection, scope=scope, subject=subject, day=day, price_fen=gift.price_fen)
    taken = _TAKE_STOCK.run(connection, item=gift.item).rowcount
    if not taken and _HAS_STOCK_LIMIT.run(connection, item=gift.item).first():
        raise Conflict(f"no stock of {gift.item!r} is left", "offer another item")
    if gift.state is GiftState.SENT:
        event = ties.TieEvent(gift.sender, gift.recipient, Kind.GIFT, 1.0, gift.occurred_at)
        ties.append(connection, [event])


def find(connection: Connection, gift: str) -> Gift | None:
    """Return the gift with this id, if there is one."""
    row = _FIND.run(connection, gift=gift).first()
    if row is None:
        return None
    return Gift(
        gift=str(row[0]),
        sender=str(row[1]),
        recipient=str(row[2]),
        item=str(row[3]),
        price_fen=int(row[4] or 0),
        relation=Relation(row[5]),
        scene=Scene(row[6]),
        state=GiftState(row[7]),
        origin=Origin(row[8]),
        occurred_at=int(row[9] or 0),
        decision_id=str(row[10]) if row[10] is not None else None,
    )
