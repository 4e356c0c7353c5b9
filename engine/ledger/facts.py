"""The circumstances of asked-for gifts, read in two round trips however many are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection

from engine.domain.clock import DEFAULT_ZONE, local_date, local_day
from engine.domain.gifts import GiftRequest, Item, Mechanics, Tier
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, from_bytes
from engine.domain.people import YOUNGEST_PROFILED, age_in_years
from engine.domain.situations import DayCount, GiftSituation, PersonFacts
from engine.domain.structure import from_bytes as structure_from_bytes
from engine.domain.structure import ordered
from engine.ledger.fact_queries import (
    CONTEXT_OF_MANY,
    CONTEXT_OF_ONE,
    ITEM_COLUMNS,
    SITUATION_OF_MANY,
    SITUATION_OF_ONE,
)
from engine.ledger.recent_gifts import RECENT_WIDTH, recent_gifts, recent_times
from engine.ledger.statements import Found, Statement


@dataclass(frozen=True, slots=True)
class PairContext:
    """What is read of a directed pair before the transaction."""

    sender_day: int
    recipient_day: int
    """The local days of the two sides."""
    sender_month: int
    """The first day of the sender's local month."""
    stored_out: bytes | None
    stored_back: bytes | None
    """The stored states of the tie there and back; None where nothing happened."""
    stored_structure: bytes | None
    """The stored structure around the two; None where it is unknown."""
    scorable: bool
    """Whether neither side objects to having ties scored or is known to be too young for it."""

    @property
    def out(self) -> Floats:
        """The state (`width`) of the tie there."""
        return from_bytes(DEFAULT_LAYOUT, self.stored_out)

    @property
    def back(self) -> Floats:
        """The state (`width`) of the tie back."""
        return from_bytes(DEFAULT_LAYOUT, self.stored_back)

    @property
    def structure(self) -> Floats:
        """The structure around the two (`engine.domain.structure.WIDTH`), of any age."""
        return structure_from_bytes(self.stored_structure)


def pair_subject(sender: str, recipient: str) -> str:
    """Return the counter subject of a directed pair; the length keeps odd ids apart."""
    return f"{len(sender)}:{sender}>{recipient}"


def read_pair_context(
    connection: Connection, pairs: Sequence[tuple[str, str]], at: int
) -> list[PairContext]:
    """Read the zones and tie states of directed `pairs` as of `at` (microseconds), in order."""
    if not pairs:
        return []
    if len(pairs) == 1:
        [(sender, recipient)] = pairs
        first, second = ordered(sender, recipient)
        rows = CONTEXT_OF_ONE.rows(
            connection,
            at_now=at,
            sender=sender,
            recipient=recipient,
            first=first,
            second=second,
        )
        return [_context(rows[0], at)]
    listed = [(n, *pair, *ordered(*pair)) for n, pair in enumerate(pairs)]
    rows = CONTEXT_OF_MANY.rows(connection, at_now=at, pairs=_json(listed))
    return [_context(row, at) for row in sorted(rows, key=_NUMBER)]


def read_situations(
    connection: Connection,
    requests: Sequence[GiftRequest],
    contexts: Sequence[PairContext],
    at: int,
) -> list[GiftSituation | None]:
    """Read what is recorded about `requests` as of `at` (microseconds), in their order.

    `contexts` holds the context of each request's pair, in the same order. Where the item is not
    in the catalogue there is None.
    """
    days = [(c.sender_day, c.sender_month, c.recipient_day) for c in contexts]
    rows = read_rows(connection, SITUATION_OF_ONE, SITUATION_OF_MANY, requests, days, at)
    return [situation_in(row) for row in rows]


Days = tuple[int, int, int]
"""The sender's local day, the first day of their month, the recipient's local day."""


def days_in(sender_zone: str | None, recipient_zone: str | None, at: int) -> Days:
    """Return the sender's local day, the first day of their month, and the recipient's day."""
    today = local_date(at, sender_zone or DEFAULT_ZONE)
    day = today.toordinal()
    return day, day - today.day + 1, local_day(at, recipient_zone or DEFAULT_ZONE)


@lru_cache(maxsize=256)
def _next_month(first: int) -> int:
    """Return the first day of the month after the one that begins on the day `first`."""
    return (date.fromordinal(first) + timedelta(days=31)).replace(day=1).toordinal()


def read_rows(
    connection: Connection,
    of_one: Statement,
    of_many: Statement,
    requests: Sequence[GiftRequest],
    days: Sequence[Days],
    at: int,
) -> list[Found]:
    if not requests:
        return []
    if len(requests) == 1:
        [request], [(sender_day, sender_month, recipient_day)] = requests, days
        first, second = ordered(request.sender, request.recipient)
        return of_one.rows(
            connection,
            at_now=at,
            item=request.item,
            sender=request.sender,
            recipient=request.recipient,
            first=first,
            second=second,
            pair=pair_subject(request.sender, request.recipient),
            sender_day=sender_day,
            sender_month=sender_month,
            recipient_day=recipient_day,
            next_month=_next_month(sender_month),
            **recent_times(at),
        )
    # A pair is read once, however many items are asked for.
    pairs: dict[_Pair, int] = {}
    asked: list[tuple[int, int, str]] = []
    for n, (request, on) in enumerate(zip(requests, days, strict=True)):
        sender, recipient = request.sender, request.recipient
        ends = sender, recipient, *ordered(sender, recipient)
        pair = (*ends, pair_subject(sender, recipient), *on, _next_month(on[1]))
        asked.append((n, pairs.setdefault(pair, len(pairs)), request.item))
    rows = of_many.rows(
        connection,
        at_now=at,
        pairs=_json([(k, *pair) for pair, k in pairs.items()]),
        items=_json(asked),
        **recent_times(at),
    )
    return sorted(rows, key=_NUMBER)


_Pair = tuple[str, str, str, str, str, int, int, int, int]
_NUMBER = itemgetter(0)


def _json(rows: Sequence[tuple[str | int, ...]]) -> str:
    return orjson.dumps(rows).decode()


# What is read of items and people seldom changes between two checks, and making the same objects
# again would cost more than reading them.
@lru_cache(maxsize=4_096)
def item_from_row(row: Found) -> Item:
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
        ip_owner=row[15],
    )


_ITEM = slice(-len(ITEM_COLUMNS.split(", ")), None)
_PERSON_WIDTH = 8
_SENDER = slice(2, 2 + _PERSON_WIDTH)
_RECIPIENT = slice(_SENDER.stop, _SENDER.stop + _PERSON_WIDTH)
_COUNTS = slice(_RECIPIENT.stop, _RECIPIENT.stop + 7)
_RECENT = slice(_COUNTS.stop, _COUNTS.stop + RECENT_WIDTH)
_TIES = slice(_RECENT.stop, _RECENT.stop + 4)
_SENDER_BORN, SENDER_ZONE = _SENDER.start, _SENDER.start + 1
_RECIPIENT_BORN, RECIPIENT_ZONE = _RECIPIENT.start, _RECIPIENT.start + 1
_NONE_YET = DayCount()


def situation_in(row: Found) -> GiftSituation | None:
    item = row[_ITEM]
    if item[0] is None:
        return None
    blocked, *counts = row[_COUNTS]
    before = recent_gifts(row[_RECENT])
    return GiftSituation(
        item=item_from_row(item),
        sender=_person(row[_SENDER]),
        recipient=_person(row[_RECIPIENT]),
        two_way_friends=before.friends_since is not None,
        blocked=bool(blocked),
        sender_day=_day(counts[0], counts[1]),
        pair_day=_day(counts[2], counts[3]),
        recipient_day=_day(counts[4], counts[5]),
        recent=before,
    )


def _day(gifts: int | None, fen: int | None) -> DayCount:
    return _NONE_YET if gifts is None or fen is None else DayCount(gifts, fen)


def _context(row: Found, at: int) -> PairContext:
    _, sender_zone, recipient_zone, *ties, sender_born, recipient_born = row
    days = days_in(sender_zone, recipient_zone, at)
    return _context_of(days, ties, (sender_born, sender_zone, recipient_born, recipient_zone), at)


def context_in(row: Found, days: Days, at: int) -> PairContext:
    people = row[_SENDER_BORN], row[SENDER_ZONE], row[_RECIPIENT_BORN], row[RECIPIENT_ZONE]
    return _context_of(days, row[_TIES], people, at)


def _context_of(
    days: Days, ties: Sequence[Any], people: Sequence[str | None], at: int
) -> PairContext:
    there, back, around, objects = ties
    sender_born, sender_zone, recipient_born, recipient_zone = people
    return PairContext(
        sender_day=days[0],
        sender_month=days[1],
        recipient_day=days[2],
        stored_out=there,
        stored_back=back,
        stored_structure=around,
        scorable=not (
            objects
            or too_young(sender_born, sender_zone, at)
            or too_young(recipient_born, recipient_zone, at)
        ),
    )


@lru_cache(maxsize=4_096)
def _person(row: Found) -> PersonFacts:
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
    if born is None:
        return False
    return age_in_years(born, local_date(at, zone or DEFAULT_ZONE)) < YOUNGEST_PROFILED


@lru_cache(maxsize=4_096)
def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
