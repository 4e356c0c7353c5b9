"""What people did with items, what they agreed to and what is popular: the suggestions' reads."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from engine.domain.clock import DAY, local_date
from engine.domain.gifts import GiftState, Item
from engine.domain.people import (
    GRANTED_BY_DEFAULT,
    YOUNGEST_PROFILED,
    Purpose,
    born_by_for,
)
from engine.domain.ports import (
    FRIENDS_HISTORY_LIMIT,
    GAVE,
    HISTORY_LIMIT,
    RECEIVED,
    ItemSignal,
)
from engine.ledger.fact_queries import ITEM_COLUMNS, zone_at
from engine.ledger.facts import item_from_row, too_young
from engine.ledger.statements import Statement, run_listed

POPULAR_DAYS = 90

_REFUSED = ", ".join(f"'{s.value}'" for s in (GiftState.HELD, GiftState.CANCELLED))
_TAKEN = ", ".join(f"'{s.value}'" for s in (GiftState.ACCEPTED, GiftState.REDEEMED))
# A recipient's history holds only what was accepted; a sender's only what was sent, whatever
# became of it, so that a decline shows nowhere. Signals of one time are ordered as in training.
_EVENTS = """
SELECT 'e:' || event AS signal, person, item, kind, occurred_at FROM item_events
  WHERE person IN ({of}) AND occurred_at < :at_now
"""
_GIFTS_TAKEN = f"""
SELECT 'r:' || gift, recipient, item, '{RECEIVED}', occurred_at FROM gifts
  WHERE recipient IN ({{of}}) AND COALESCE(outcome_at, occurred_at) < :at_now
    AND state IN ({_TAKEN})
"""
_GIFTS_SENT = f"""
SELECT 'g:' || gift, sender, item, '{GAVE}', occurred_at FROM gifts
  WHERE sender IN ({{of}}) AND occurred_at < :at_now AND state NOT IN ({_REFUSED})
"""
_SIGNALS = f"""
SELECT person, item, kind, occurred_at FROM (
  SELECT person, item, kind, occurred_at,
    ROW_NUMBER() OVER (PARTITION BY person ORDER BY occurred_at DESC, item, kind, signal)
      AS place
  FROM ({_EVENTS} UNION ALL {_GIFTS_TAKEN} UNION ALL {_GIFTS_SENT}) signals
) placed WHERE place <= {HISTORY_LIMIT} ORDER BY person, place
""".replace("{of}", "{listed}")
_FRIENDS = """
SELECT f.friend FROM friendships f
JOIN people p ON p.person = f.friend AND (p.birth_date IS NULL OR p.birth_date <= :born_by)
JOIN consents c ON c.person = f.friend AND c.purpose = 'gift_suggestions' AND c.granted = TRUE
  AND c.since <= :at_now AND (c.until IS NULL OR c.until > :at_now)
WHERE f.person = :person AND f.since <= :at_now AND (f.until IS NULL OR f.until > :at_now)
"""
_FRIENDS_SIGNALS = Statement(
    f"""
SELECT item, kind, occurred_at FROM ({_EVENTS}) signals
ORDER BY occurred_at DESC, item, kind, signal LIMIT {FRIENDS_HISTORY_LIMIT}
""".replace("{of}", _FRIENDS)
)
_CONSENTS = """
SELECT c.person, c.granted FROM consents c
WHERE c.person IN ({listed}) AND c.purpose = :purpose
  AND c.since <= :at_now AND (c.until IS NULL OR c.until > :at_now)
ORDER BY c.person, c.since
"""
_BIRTHS = f"""
SELECT p.person, p.birth_date, {zone_at("p")} FROM people p WHERE p.person IN ({{listed}})
"""
_ITEMS = f"SELECT {ITEM_COLUMNS} FROM items WHERE item IN ({{listed}})"
_POPULAR = Statement(f"""
SELECT item FROM (
  SELECT item FROM item_events WHERE occurred_at > :since
  UNION ALL
  SELECT item FROM gifts WHERE occurred_at > :since AND state NOT IN ({_REFUSED})
) chosen GROUP BY item ORDER BY COUNT(*) DESC, item LIMIT :how_many
""")
_NEWEST = Statement("""
SELECT MAX(newest) FROM (
  SELECT MAX(occurred_at) AS newest FROM item_events
  UNION ALL SELECT MAX(occurred_at) FROM gifts) logs
""")


def read_signals(
    connection: Connection, people: Sequence[str], at: int
) -> dict[str, tuple[ItemSignal, ...]]:
    """Return each person's newest signals before `at` (microseconds), newest first."""
    found: dict[str, list[ItemSignal]] = {person: [] for person in people}
    for person, *signal in run_listed(connection, _SIGNALS, people, at_now=at):
        found[person].append(ItemSignal(*signal))
    return {person: tuple(signals) for person, signals in found.items()}


def read_friends_signals(connection: Connection, person: str, at: int) -> tuple[ItemSignal, ...]:
    """Return the newest item events, newest first, of `person`'s friends who agreed to this and
    are not known to be too young for it."""
    born_by = born_by_for(YOUNGEST_PROFILED, local_date(at)).isoformat()
    rows = _FRIENDS_SIGNALS.run(connection, person=person, at_now=at, born_by=born_by)
    return tuple(ItemSignal(*row) for row in rows)


def read_consents(
    connection: Connection, people: Sequence[str], purpose: Purpose, at: int
) -> dict[str, bool]:
    """Tell for each person whether `purpose` is agreed to as of `at` (microseconds)."""
    agreed = dict.fromkeys(people, GRANTED_BY_DEFAULT[purpose])
    rows = run_listed(connection, _CONSENTS, people, at_now=at, purpose=purpose.value)
    agreed.update({person: bool(granted) for person, granted in rows})
    return agreed


def read_profiled(
    connection: Connection, people: Sequence[str], purpose: Purpose, at: int
) -> frozenset[str]:
    """Return those of `people` who agreed to `purpose` and are not known to be too young for it."""
    agreed = read_consents(connection, people, purpose, at)
    willing = [person for person in people if agreed[person]]
    births = run_listed(connection, _BIRTHS, willing, at_now=at)
    return frozenset(willing) - {row[0] for row in births if too_young(row[1], row[2], at)}


def read_items(connection: Connection, items: Sequence[str]) -> dict[str, Item]:
    """Return the catalogue entries of those `items` that exist."""
    return {row[0]: item_from_row(row) for row in run_listed(connection, _ITEMS, items)}


def read_popular(connection: Connection, how_many: int) -> list[str]:
    """Return the items most often chosen in the log's last 90 days, most popular first."""
    newest = _NEWEST.run(connection).scalar()
    if newest is None:
        return []
    since = max(int(newest) - POPULAR_DAYS * DAY, -1)
    return list(_POPULAR.run(connection, since=since, how_many=how_many).scalars())
