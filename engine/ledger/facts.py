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
from engine.ledger.recent_gifts import (
    RECENT_COLUMNS,
    RECENT_WIDTH,
    recent_gifts,
    recent_times,
)
from engine.ledger.statements import Statement, Value


@dataclass(frozen=True, slots=True)
class PairContext:
    """What is read of a directed pair before the transaction."""

    sender_day: int
    recipient_day: int
    """The local days of the two sides."""
    sender_month: int
    """The first day of the sender's local month."""
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
            sender_month=local_date(at, row[1] or DEFAULT_ZONE).replace(day=1).toordinal(),
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
    # A pair is read once, however many items are asked for.
    pairs: dict[_Pair, int] = {}
    values: dict[str, Value] = {"at_now": at, **recent_times(at)}
    for n, (request, context) in enumerate(zip(requests, contexts, strict=True)):
        pair = (
            request.sender,
            request.recipient,
            context.sender_day,
            context.sender_month,
            context.recipient_day,
        )
        values |= {f"i{n}": request.item, f"k{n}": pairs.setdefault(pair, len(pairs))}
    for (sender, recipient, *days), k in pairs.items():
        values |= {f"s{k}": sender, f"r{k}": recipient, f"p{k}": pair_subject(sender, recipient)}
        values[f"sd{k}"], values[f"sm{k}"], values[f"rd{k}"] = days
    rows = _situation_statement(len(pairs), len(requests)).run(connection, **values).all()
    rows = sorted(rows, key=lambda row: row[0])
    return [_situation(request, row) for request, row in zip(requests, rows, strict=True)]


_Pair = tuple[str, str, int, int, int]


ITEM_COLUMNS = (
    "item, name, price_fen, tier, category, kind, mechanics, relations, scenes, brand, creator, "
    "stock, sale_from, sale_until, odds_disclosed"
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
        odds_disclosed=bool(row[14]),
    )


_ITEM_WIDTH = len(ITEM_COLUMNS.split(", "))
_PERSON_WIDTH = 8


def _situation(request: GiftRequest, row: Sequence[Any]) -> GiftSituation:
    known, item = row[2:-_ITEM_WIDTH], row[-_ITEM_WIDTH:]
    if item[0] is None:
        raise UnknownReference(
            f"no item {request.item!r} in the catalogue", "import it with: lishang import --items"
        )
    blocked, *counts = known[2 * _PERSON_WIDTH : -RECENT_WIDTH]
    before = recent_gifts(known[-RECENT_WIDTH:])
    return GiftSituation(
        item=item_from_row(item),
        sender=_person(known[:_PERSON_WIDTH]),
        recipient=_person(known[_PERSON_WIDTH : 2 * _PERSON_WIDTH]),
        two_way_friends=before.friends_since is not None,
        blocked=bool(blocked),
        sender_day=DayCount(counts[0] or 0, counts[1] or 0),
        pair_day=DayCount(counts[2] or 0, counts[3] or 0),
        recipient_day=DayCount(counts[4] or 0, counts[5] or 0),
        recent=before,
    )


def _person(row: Sequence[Any]) -> PersonFacts:
    return PersonFacts(
        birth_date=_date(row[0]),
        zone=row[1] or DEFAULT_ZONE,
        day_gifts_limit=row[2],
        day_fen_limit=row[3],
        gift_fen_limit=row[4],
        region=row[5],
        joined_at=row[6],
        guardian_consent=bool(row[7]),
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


def _person_columns(people: str, zone: str) -> str:
    """Return the SQL of what `_person` reads of the row `people`."""
    return f"""{people}.birth_date, {zone}, {people}.day_gifts_limit, {people}.day_fen_limit,
  {people}.gift_fen_limit, {people}.region, {people}.joined_at,
  EXISTS (SELECT 1 FROM consents WHERE person = {people}.person AND purpose = 'guardian'
    AND granted = TRUE AND {_IN_FORCE})"""


# What concerns a pair is found once and then given to each of its items.
_SITUATION = f"""
WITH p(k, sender, recipient, pair, sender_day, sender_month, recipient_day) AS (VALUES {{pairs}}),
a(n, k, item) AS (VALUES {{items}}),
known AS MATERIALIZED (
  SELECT p.k, {_person_columns("s", _ZONES["sender_zone"])},
  {_person_columns("r", _ZONES["recipient_zone"])},
  EXISTS (SELECT 1 FROM blocks WHERE person = p.sender AND blocked = p.recipient AND {_IN_FORCE})
  OR EXISTS (SELECT 1 FROM blocks WHERE person = p.recipient AND blocked = p.sender
    AND {_IN_FORCE}),
  cs.gifts, cs.fen, cp.gifts, cp.fen, cr.gifts, cr.fen, {RECENT_COLUMNS}
  FROM p
  LEFT JOIN people s ON s.person = p.sender
  LEFT JOIN people r ON r.person = p.recipient
  LEFT JOIN counters cs
    ON cs.scope = 'sender' AND cs.subject = p.sender AND cs.day = p.sender_day
  LEFT JOIN counters cp ON cp.scope = 'pair' AND cp.subject = p.pair AND cp.day = p.sender_day
  LEFT JOIN counters cr
    ON cr.scope = 'recipient' AND cr.subject = p.recipient AND cr.day = p.recipient_day
)
SELECT a.n, known.*, {{item_columns}}
FROM a JOIN known ON known.k = a.k LEFT JOIN items i ON i.item = a.item
"""


@lru_cache(maxsize=64)
def _context_statement(requests: int) -> Statement:
    rows = ", ".join(f"({n}, CAST(:s{n} AS TEXT), CAST(:r{n} AS TEXT))" for n in range(requests))
    return Statement(_CONTEXT.format(rows=rows, objection=_OBJECTION, **_ZONES))


@lru_cache(maxsize=64)
def _situation_statement(pairs: int, requests: int) -> Statement:
    return Statement(
        _SITUATION.format(
            pairs=", ".join(
                f"({k}, CAST(:s{k} AS TEXT), CAST(:r{k} AS TEXT), CAST(:p{k} AS TEXT),"
                f" CAST(:sd{k} AS INTEGER), CAST(:sm{k} AS INTEGER), CAST(:rd{k} AS INTEGER))"
                for k in range(pairs)
            ),
            items=", ".join(
                f"({n}, CAST(:k{n} AS INTEGER), CAST(:i{n} AS TEXT))" for n in range(requests)
            ),
            item_columns=", ".join(f"i.{column}" for column in ITEM_COLUMNS.split(", ")),
        )
    )
