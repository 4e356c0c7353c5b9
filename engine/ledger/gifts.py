"""Gifts as rows: recorded once, found, locked and moved through their life."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import Connection

from engine.domain.errors import Conflict
from engine.domain.gifts import Gift, GiftState, Origin, Relation, Scene
from engine.domain.money import PayOn, Terms
from engine.ledger import caps
from engine.ledger.statements import Statement, Value

_COLUMNS = (
    "gift, sender, recipient, item, relation, scene, occasion, price_fen, state, origin, "
    "occurred_at, decision_id, payment_ref, terms, sender_day, recipient_day, due_at, outcome_at, "
    "events, address, took_piece"
)
_NAMES = _COLUMNS.split(", ")
# A payment authorised for one gift pays for no other: whoever comes second finds no row inserted.
_INSERT = Statement(f"""
INSERT INTO gifts ({_COLUMNS}, recorded_at)
VALUES ({", ".join(f":{name}" for name in _NAMES)}, :recorded_at)
ON CONFLICT (payment_ref) WHERE payment_ref IS NOT NULL DO NOTHING RETURNING gift
""")
_FIND = Statement(f"SELECT {_COLUMNS} FROM gifts WHERE gift = :gift")
_LOCKED = Statement(f"SELECT {_COLUMNS} FROM gifts WHERE gift = :gift {{for_update}}")
# A held gift becomes one when it is approved; from then on it was known all along.
_MOVE = Statement("""
UPDATE gifts SET item = :item, state = :state, occurred_at = :occurred_at,
  decision_id = :decision_id, terms = :terms, due_at = :due_at, outcome_at = :outcome_at,
  events = :events, address = :address, took_piece = :took_piece,
  recorded_at = CASE state WHEN 'held' THEN :recorded_at ELSE recorded_at END
WHERE gift = :gift
""")
_MOVING = (
    "gift",
    "item",
    "state",
    "occurred_at",
    "decision_id",
    "terms",
    "due_at",
    "outcome_at",
    "events",
    "address",
    "took_piece",
)
_CANCEL = Statement("UPDATE gifts SET state = :cancelled WHERE gift = :gift")
# By id where several are due at once: in the order of their rows, which a decline has written
# anew, the feed would tell those that were declined from those that nobody answered.
_DUE = Statement("""
SELECT due_at, gift FROM gifts
WHERE due_at >= :since AND due_at <= :at AND (due_at > :since OR gift > :gift)
ORDER BY due_at, gift LIMIT :most
""")
_HELD = Statement(f"""
SELECT {_COLUMNS} FROM gifts
WHERE state = 'held' AND (occurred_at > :at OR (occurred_at = :at AND gift > :gift))
ORDER BY occurred_at, gift LIMIT :most
""")


def record(connection: Connection, gift: Gift, at: int) -> None:
    """Write a gift that was just decided, at `at` (microseconds).

    Raises
    ------
    Conflict
        If its payment pays for another gift already.
    """
    if _INSERT.row(connection, **_values(gift), recorded_at=at) is None:
        raise Conflict(
            f"the payment {gift.payment_ref!r} pays for another gift",
            "authorise a payment for each gift",
        )


def find(connection: Connection, gift: str) -> Gift | None:
    """Return the gift with this id, if there is one."""
    row = _FIND.row(connection, gift=gift)
    return None if row is None else _gift(row)


def lock(connection: Connection, gift: str) -> Gift | None:
    """Return the gift with this id and hold it until the transaction ends.

    A move takes this lock before any other; a send never takes it.
    """
    row = _LOCKED.row(connection, gift=gift)
    return None if row is None else _gift(row)


def move(connection: Connection, gift: Gift, at: int) -> None:
    """Write what a move at `at` (microseconds) changed of a locked gift."""
    values = _values(gift)
    _MOVE.tell(connection, **{name: values[name] for name in _MOVING}, recorded_at=at)


def due(
    connection: Connection, after: tuple[int, str] | None, at: int, most: int
) -> list[tuple[int, str]]:
    """Return the `(due_at, gift)` of up to `most` gifts to which something happens by itself by
    `at`, the longest due first, from after one of them on."""
    since, gift = after or (-1, "")
    found = _DUE.run(connection, since=since, at=at, gift=gift, most=most)
    return [(int(due_at), str(gift)) for due_at, gift in found]


def held(connection: Connection, after: tuple[int, str] | None, most: int) -> list[Gift]:
    """Return held gifts, the oldest first, from after an `(occurred_at, gift)` on."""
    at, gift = after or (-1, "")
    return [_gift(row) for row in _HELD.run(connection, at=at, gift=gift, most=most)]


@contextmanager
def set_aside(connection: Connection, gift: Gift) -> Iterator[None]:
    """Let what is read inside be as if a gift were not there: not counted, its stock free.

    Nothing of this stays. The gift is locked, and what it takes up too (`caps.lock`).
    """
    with connection.begin_nested() as savepoint:
        caps.uncount(connection, gift)
        caps.return_stock(connection, gift)
        _CANCEL.run(connection, gift=gift.gift, cancelled=GiftState.CANCELLED.value)
        yield
        savepoint.rollback()


def as_json(gift: Gift) -> str:
    """Return a gift as text, as it is kept under a caller's idempotency key."""
    return orjson.dumps(_values(gift)).decode()


def from_json(stored: str) -> Gift:
    """Return the gift that `as_json` wrote."""
    told = orjson.loads(stored)
    # An answer kept by a version of before may lack what gifts have got since.
    return _gift([told.get(name) for name in _NAMES])


def _values(gift: Gift) -> dict[str, Value]:
    return {
        "gift": gift.gift,
        "sender": gift.sender,
        "recipient": gift.recipient,
        "item": gift.item,
        "relation": gift.relation.value,
        "scene": gift.scene.value,
        "occasion": gift.occasion,
        "price_fen": gift.price_fen,
        "state": gift.state.value,
        "origin": gift.origin.value,
        "occurred_at": gift.occurred_at,
        "decision_id": gift.decision_id,
        "payment_ref": gift.payment_ref,
        "terms": None if gift.terms is None else orjson.dumps(gift.terms).decode(),
        "sender_day": gift.sender_day,
        "recipient_day": gift.recipient_day,
        "due_at": gift.due_at,
        "outcome_at": gift.outcome_at,
        "events": gift.events,
        "address": gift.address,
        "took_piece": gift.took_piece,
    }


def _gift(row: Sequence[Any]) -> Gift:
    told = dict(zip(_NAMES, row, strict=True))
    return Gift(
        **{
            **told,
            "price_fen": int(told["price_fen"] or 0),
            "relation": Relation(told["relation"]),
            "scene": Scene(told["scene"]),
            "state": GiftState(told["state"]),
            "origin": Origin(told["origin"]),
            "terms": _terms(told["terms"]),
            "took_piece": bool(told["took_piece"]),
        }
    )


def _terms(stored: str | None) -> Terms | None:
    if stored is None:
        return None
    told = orjson.loads(stored)
    return Terms(**{**told, "pay_on": PayOn(told["pay_on"])})
