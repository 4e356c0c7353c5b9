"""Offers and what people did with them: the targeting job's reads, in a fixed number of trips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from engine.domain.clock import DAY, DEFAULT_ZONE
from engine.domain.ports import OfferView
from engine.domain.situations import PersonFacts
from engine.ledger.fact_queries import zone_at
from engine.ledger.statements import run_listed

SHOWN_WINDOW_DAYS = 7


@dataclass(frozen=True, slots=True)
class OfferEventRow:
    """A person's event with an offer, with the offer's brand and category."""

    offer: str
    brand: str
    category: str
    kind: str
    occurred_at: int


_OFFERS = """
SELECT o.offer, o.brand, o.category, o.value_fen, o.price_fen, o.starts_at, o.ends_at,
  COALESCE(i.price_fen, 0)
FROM offers o LEFT JOIN items i ON i.item = o.item
WHERE o.offer IN ({listed})
"""
_PEOPLE = f"""
SELECT p.person, p.birth_date, {zone_at("p")}, p.day_gifts_limit, p.day_fen_limit FROM people p
WHERE p.person IN ({{listed}})
"""
_EVENTS = """
SELECT e.person, e.offer, o.brand, o.category, e.kind, e.occurred_at
FROM offer_events e JOIN offers o ON o.offer = e.offer
WHERE e.person IN ({listed}) AND e.occurred_at < :at_now
ORDER BY e.person, e.occurred_at
"""
_FRIENDS_REDEEMED = """
SELECT f.person, o.brand, COUNT(DISTINCT e.person)
FROM friendships f
JOIN consents c ON c.person = f.friend AND c.purpose = 'offers' AND c.granted = TRUE
  AND c.since <= :at_now AND (c.until IS NULL OR c.until > :at_now)
JOIN offer_events e ON e.person = f.friend AND e.kind = 'redeemed' AND e.occurred_at < :at_now
JOIN offers o ON o.offer = e.offer
WHERE f.person IN ({listed})
  AND f.since <= :at_now AND (f.until IS NULL OR f.until > :at_now)
GROUP BY f.person, o.brand
"""


def read_offers(connection: Connection, offers: Sequence[str]) -> dict[str, OfferView]:
    """Return those `offers` that exist."""
    rows = run_listed(connection, _OFFERS, offers)
    return {row[0]: OfferView(*row) for row in rows}


def read_people(connection: Connection, people: Sequence[str], at: int) -> dict[str, PersonFacts]:
    """Return what is recorded of those `people` who are known, as of `at` (microseconds)."""
    rows = run_listed(connection, _PEOPLE, people, at_now=at)
    return {
        row[0]: PersonFacts(
            date.fromisoformat(row[1]) if row[1] else None, row[2] or DEFAULT_ZONE, row[3], row[4]
        )
        for row in rows
    }


def read_offer_events(
    connection: Connection, people: Sequence[str], at: int
) -> dict[str, list[OfferEventRow]]:
    """Return each person's offer events before `at` (microseconds), oldest first."""
    found: dict[str, list[OfferEventRow]] = {person: [] for person in people}
    for row in run_listed(connection, _EVENTS, people, at_now=at):
        found[row[0]].append(OfferEventRow(*row[1:]))
    return found


def read_friends_redeemed(
    connection: Connection, people: Sequence[str], at: int
) -> dict[tuple[str, str], int]:
    """Return how many friends who agreed to offers redeemed one of a brand, by (person, brand)."""
    rows = run_listed(connection, _FRIENDS_REDEEMED, people, at_now=at)
    return {(row[0], row[1]): row[2] for row in rows}


def shown_lately(events: Sequence[OfferEventRow], at: int) -> int:
    """Count the offers shown in the seven days before `at` (microseconds)."""
    since = at - SHOWN_WINDOW_DAYS * DAY
    return sum(event.kind == "shown" and event.occurred_at > since for event in events)
