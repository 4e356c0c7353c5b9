"""The circumstances of asked-for gifts, read in two round trips however many are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from engine.domain.clock import DEFAULT_ZONE, local_date, local_day
from engine.domain.errors import UnknownReference
from engine.domain.gifts import GiftRequest, Item, Mechanics, Tier
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, from_bytes
from engine.domain.people import YOUNGEST_PROFILED, age_in_years
from engine.domain.situations import DayCount, GiftSituation, PersonFacts
from engine.ledger.statements import Statement, Value


@dataclass(frozen=True, slots=True)
class PairContext:
    """What is read of a directed pair before the transaction."""

    sender_day: int
    recipient_day: int
    """The local days of the two sides."""
    out: Floats
    back: Floats
    """The states (`width`) of the tie there and back."""
    scorable: bool
    """Whether neither side objects to having ties scored or is known to be too young for it."""


def pair_subject(sender: str, recipient: str) -> str:
    """Return the counter subject of a directed pair; the length keeps odd ids apart."""
    return f"{len(sender)}:{sender}>{recipient}"


def read_pair_context(
    connection: Connection, pairs: Sequence[tuple[str, str]], at: int
) -> list[PairContext]:
    """Read the zones and tie states of directed `pairs` as of `at` (microseconds), in order."""
    if not pairs:
        return []
    values: dict[str, Value] = {"at_now": at}
    for n, (sender, recipient) in enumerate(pairs):
        values |= {f"s{n}": sender, f"r{n}": recipient}
    rows = _context_statement(len(pairs)).run(connection, **values).all()
    return [
        PairContext(
            sender_day=local_day(at, row[1] or DEFAULT_ZONE),
            recipient_day=local_day(at, row[2] or DEFAULT_ZONE),
            out=from_bytes(DEFAULT_LAYOUT, row[3]),
            back=from_bytes(DEFAULT_LAYOUT, row[4]),
            scorable=not (row[5] or too_young(row[6], row[1], at) or too_young(row[7], row[2], at)),
        )
        for row in sorted(rows, key=lambda row: row[0])
    ]


def read_situations(
    connection: Connection,
    requests: Sequence[GiftRequest],
    contexts: Sequence[PairContext],
    at: int,
) -> list[GiftSituation]:
    """Read what is recorded about `requests` as of `at` (microseconds), in their order.

    `contexts` holds the context of each request's pair, in the same order.

    Raises
    ------
    UnknownReference
        If an item is not in the catalogue.
    """
    if not requests:
        return []
    values: dict[str, Value] = {"at_now": at}
    for n, (request, context) in enumerate(zip(requests, contexts, strict=True)):
        values |= {
            f"s{n}": request.sender,
            f"r{n}": request.recipient,
            f"i{n}": request.item,
            f"p{n}": pair_subject(request.sender, request.recipient),
            f"sd{n}": context.sender_day,
            f"rd{n}": context.recipient_day,
        }
    rows = _situation_statement(len(requests)).run(connection, **values).all()
    rows = sorted(rows, key=lambda row: row[0])
    return [_situation(request, row) for request, row in zip(requests, rows, strict=True)]


ITEM_COLUMNS = (
    "item, name, price_fen, tier, category, kind, mechanics, relations, scenes, brand, creator, "
    "stock, sale_from, sale_until"
)


def item_from_row(row: Sequence[Any]) -> Item:
    """Return the catalogue entry of a row of `ITEM_COLUMNS`."""
    return Item(
        item=row[0],
        name=row[1],
        price_fen=row[2],
        tier=Tier(row[3]),
        category=row[4],
        kind=row[5],
        mechanics=Mechanics(row[6]),
        relations=frozenset(row[7].split(",")),
        scenes=frozenset(row[8].split(",")),
        brand=row[9],
        creator=row[10],
        stock=row[11],
        sale_from=row[12],
        sale_until=row[13],
    )


def _situation(request: GiftRequest, row: Sequence[Any]) -> GiftSituation:
    if row[16] is None:
        raise UnknownReference(
            f"no item {request.item!r} in the catalogue", "import it with: lishang import --items"
        )
    return GiftSituation(
        item=item_from_row(row[16:30]),
        sender=PersonFacts(_date(row[1]), row[2] or DEFAULT_ZONE, row[3], row[4]),
        recipient=PersonFacts(_date(row[5]), row[6] or DEFAULT_ZONE),
        two_way_friends=bool(row[7] and row[8]),
        blocked=bool(row[9]),
        sender_day=DayCount(row[10] or 0, row[11] or 0),
        pair_day=DayCount(row[12] or 0, row[13] or 0),
        recipient_day=DayCount(row[14] or 0, row[15] or 0),
    )


def too_young(birth_date: str | None, zone: str | None, at: int) -> bool:
    """Tell whether somebody is known to be too young at `at` (microseconds) to be profiled."""
    born = _date(birth_date)
    today = local_date(at, zone or DEFAULT_ZONE)
    return born is not None and age_in_years(born, today) < YOUNGEST_PROFILED


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def zone_at(people: str) -> str:
    """Return the SQL of the zone that holds at `:at_now` for the row `people`."""
    return (
        f"CASE WHEN {people}.zone_from > :at_now THEN {people}.zone_before ELSE {people}.zone END"
    )


_IN_FORCE = "since <= :at_now AND (until IS NULL OR until > :at_now)"

_ZONES = {"sender_zone": zone_at("s"), "recipient_zone": zone_at("r")}

_OBJECTION = f"""EXISTS (SELECT 1 FROM consents WHERE person IN (a.sender, a.recipient)
    AND purpose = 'tie_scoring' AND granted = FALSE AND {_IN_FORCE})"""

_CONTEXT = """
WITH a(n, sender, recipient) AS (VALUES {rows})
SELECT a.n, {sender_zone}, {recipient_zone}, there.state, back.state, {objection},
  s.birth_date, r.birth_date
FROM a
LEFT JOIN people s ON s.person = a.sender
LEFT JOIN people r ON r.person = a.recipient
LEFT JOIN ties there ON there.sender = a.sender AND there.recipient = a.recipient
LEFT JOIN ties back ON back.sender = a.recipient AND back.recipient = a.sender
"""

_SITUATION = """
WITH a(n, sender, recipient, item, pair, sender_day, recipient_day) AS (VALUES {rows})
SELECT a.n, s.birth_date, {sender_zone}, s.day_gifts_limit, s.day_fen_limit,
  r.birth_date, {recipient_zone},
  EXISTS (SELECT 1 FROM friendships WHERE person = a.sender AND friend = a.recipient
    AND {in_force}),
  EXISTS (SELECT 1 FROM friendships WHERE person = a.recipient AND friend = a.sender
    AND {in_force}),
  EXISTS (SELECT 1 FROM blocks WHERE person = a.sender AND blocked = a.recipient AND {in_force})
  OR EXISTS (SELECT 1 FROM blocks WHERE person = a.recipient AND blocked = a.sender
    AND {in_force}),
  cs.gifts, cs.fen, cp.gifts, cp.fen, cr.gifts, cr.fen, {item_columns}
FROM a
LEFT JOIN people s ON s.person = a.sender
LEFT JOIN people r ON r.person = a.recipient
LEFT JOIN items i ON i.item = a.item
LEFT JOIN counters cs ON cs.scope = 'sender' AND cs.subject = a.sender AND cs.day = a.sender_day
LEFT JOIN counters cp ON cp.scope = 'pair' AND cp.subject = a.pair AND cp.day = a.sender_day
LEFT JOIN counters cr
  ON cr.scope = 'recipient' AND cr.subject = a.recipient AND cr.day = a.recipient_day
"""


@lru_cache(maxsize=64)
def _context_statement(requests: int) -> Statement:
    rows = ", ".join(f"({n}, CAST(:s{n} AS TEXT), CAST(:r{n} AS TEXT))" for n in range(requests))
    return Statement(_CONTEXT.format(rows=rows, objection=_OBJECTION, **_ZONES))


@lru_cache(maxsize=64)
def _situation_statement(requests: int) -> Statement:
    rows = ", ".join(
        f"({n}, CAST(:s{n} AS TEXT), CAST(:r{n} AS TEXT), CAST(:i{n} AS TEXT),"
        f" CAST(:p{n} AS TEXT), CAST(:sd{n} AS INTEGER), CAST(:rd{n} AS INTEGER))"
        for n in range(requests)
    )
    columns = ", ".join(f"i.{column}" for column in ITEM_COLUMNS.split(", "))
    return Statement(
        _SITUATION.format(rows=rows, in_force=_IN_FORCE, item_columns=columns, **_ZONES)
    )
