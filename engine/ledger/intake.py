"""Live events into the record: each once, a batch whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Connection

from engine.domain.clock import DEFAULT_ZONE, next_midnight
from engine.domain.errors import Conflict
from engine.domain.events import (
    BlockChanged,
    ConsentChanged,
    FriendshipChanged,
    Interacted,
    ItemTouched,
    LimitChanged,
    LiveEvent,
    PersonChanged,
    Unsaid,
)
from engine.domain.pair_state import kind_of
from engine.ledger import ties
from engine.ledger.fact_queries import zone_at
from engine.ledger.statements import Statement, Value, run_listed
from engine.ledger.structure import refresh_pairs


@dataclass(frozen=True, slots=True)
class Intake:
    """How many events were new and how many had been received before."""

    accepted: int
    repeated: int


_RECEIVE = Statement("""
INSERT INTO received_events (event, body_hash, recorded_at)
VALUES (:event, :body_hash, :recorded_at) ON CONFLICT (event) DO NOTHING
""")
_RECEIVED = Statement("SELECT body_hash FROM received_events WHERE event = :event")
_MEET = Statement(
    "INSERT INTO people (person, recorded_at) VALUES (:person, :recorded_at)"
    " ON CONFLICT (person) DO NOTHING"
)
_LOCK_PEOPLE = (
    "SELECT person FROM people WHERE person IN ({listed}) ORDER BY person {bytewise} {for_update}"
)
# Whoever was imported without a date (recorded at 0: known since always) joined nobody knows when,
# not with the first change we are told of.
_JOINED = Statement("""
UPDATE people SET joined_at = :occurred_at
WHERE person = :person
  AND (joined_at > :occurred_at OR (joined_at IS NULL AND recorded_at > 0))
""")


# Events may arrive in another order than they happened: the newest word counts, not the last.
def _newest(told_at: str, *columns: str) -> Statement:
    said = "".join(f"{column} = :{column}, " for column in columns)
    return Statement(f"""
UPDATE people SET {said}{told_at} = :occurred_at
WHERE person = :person AND ({told_at} IS NULL OR {told_at} <= :occurred_at)
""")


_BORN = _newest("birth_at", "birth_date")
_ZONED = _newest("zone_at")
_SETTLED = _newest("region_at", "region")
_LIMITS = _newest("limits_at", "day_gifts_limit", "day_fen_limit")
_GIFT_LIMIT = _newest("gift_limit_at", "gift_fen_limit")
_ZONE_NOW = Statement(f"SELECT {zone_at('p')}, p.zone FROM people p WHERE p.person = :person")
_MOVE = Statement("""
UPDATE people SET zone = :zone, zone_before = :zone_before, zone_from = :zone_from
WHERE person = :person
""")
# A change at T splits what held then: up to T the old row, from T the new one, which lasts until
# the next change that is known or, where it only confirms, as long as the old one did. An end
# leaves a row of no length, so that a beginning told later knows where it ends.
_NEXT = """
SELECT MIN(until) FROM (
  SELECT since AS until FROM {table} WHERE {key} AND since > :occurred_at
  UNION ALL
  SELECT until FROM {table} WHERE {key} AND since < :occurred_at AND until > :occurred_at
) changes
"""
_KEEP_END = """
INSERT INTO {table} (person, {other}, since, until, recorded_at)
SELECT person, {other}, until, until, :recorded_at FROM {table}
WHERE {key} AND since < :occurred_at AND until > :occurred_at
ON CONFLICT (person, {other}, since) DO NOTHING
"""
_SPLIT = """
UPDATE {table} SET until = :occurred_at
WHERE {key} AND since < :occurred_at AND (until IS NULL OR until > :occurred_at)
"""
_SWITCH = """
INSERT INTO {table} (person, {other}, since, until, recorded_at)
VALUES (:person, :other, :occurred_at, :until, :recorded_at)
ON CONFLICT (person, {other}, since) DO UPDATE SET until = excluded.until
"""
_CONSENT = Statement("""
INSERT INTO consents (person, purpose, since, until, granted, recorded_at)
VALUES (:person, :other, :occurred_at, :until, :granted, :recorded_at)
ON CONFLICT (person, purpose, since)
  DO UPDATE SET granted = excluded.granted, until = excluded.until
""")
_NEXT_CONSENT = Statement(
    "SELECT MIN(since) FROM consents"
    " WHERE person = :person AND purpose = :other AND since > :occurred_at"
)


@dataclass(frozen=True, slots=True)
class _Switches:
    """The statements by which one table takes changes in any order."""

    next: Statement
    keep_end: Statement
    split: Statement
    switch: Statement

    @classmethod
    def of(cls, table: str, other: str) -> _Switches:
        key = f"person = :person AND {other} = :other"
        texts = (_NEXT, _KEEP_END, _SPLIT, _SWITCH)
        return cls(*[Statement(t.format(table=table, key=key, other=other)) for t in texts])


_FRIENDSHIPS = _Switches.of("friendships", "friend")
_BLOCKS = _Switches.of("blocks", "blocked")
_CONSENTS = _Switches.of("consents", "purpose")
_INTERACTION = Statement("""
INSERT INTO interactions (event, sender, recipient, kind, weight, occurred_at, recorded_at)
VALUES (:event, :sender, :recipient, :kind, :weight, :occurred_at, :recorded_at)
ON CONFLICT (event) DO NOTHING
""")
_ITEM_EVENT = Statement("""
INSERT INTO item_events (event, person, item, kind, weight, occurred_at, recorded_at)
VALUES (:event, :person, :item, :kind, :weight, :occurred_at, :recorded_at)
ON CONFLICT (event) DO NOTHING
""")


def receive(connection: Connection, events: Sequence[LiveEvent], at: int) -> Intake:
    """Record those of `events` that are new; `at` (microseconds) is when we learned of them.

    Raises
    ------
    Conflict
        If an id came before with another content; the caller's transaction must then be dropped.
    """
    # One order of ids for every writer: two batches that share events cannot deadlock.
    fresh = {
        e.event: e for e in sorted(events, key=lambda e: e.event) if _is_new(connection, e, at)
    }
    # Within the batch the order of happening counts: unfriending after befriending ends it.
    news = sorted(fresh.values(), key=lambda event: event.occurred_at)
    people = sorted({person for event in news for person in _people(event)})
    _MEET.run_many(connection, [{"person": person, "recorded_at": at} for person in people])
    # Batches about the same people go one after the other: in what order they then change the
    # rows of friendships, blocks and consents no longer matters.
    run_listed(connection, _LOCK_PEOPLE, people)
    for event in news:
        _record(connection, event, at)
    ties.append(
        connection,
        [
            ties.TieEvent(e.sender, e.recipient, kind_of(e.kind), e.weight, min(e.occurred_at, at))
            for e in news
            if isinstance(e, Interacted)
        ],
    )
    befriended = {(e.person, e.friend) for e in news if isinstance(e, FriendshipChanged)}
    refresh_pairs(connection, befriended, at)
    return Intake(accepted=len(news), repeated=len(events) - len(news))


def _is_new(connection: Connection, event: LiveEvent, at: int) -> bool:
    body_hash = hashlib.sha256(_content(event).encode()).hexdigest()
    if _RECEIVE.run(connection, event=event.event, body_hash=body_hash, recorded_at=at).rowcount:
        return True
    if _RECEIVED.run(connection, event=event.event).scalar_one() != body_hash:
        raise Conflict(
            f"event {event.event!r} was received before with another content",
            "give every event an id of its own",
        )
    return False


_NEWER: Mapping[str, object] = {"region": None, "gift_fen_limit": Unsaid.UNSAID}
"""Fields that events did not always have, and what says nothing in them: an event without them is
the same event that it was before."""


def _content(event: LiveEvent) -> str:
    told = [(field.name, getattr(event, field.name)) for field in fields(event)]
    said = [value for name, value in told if name not in _NEWER or value is not _NEWER[name]]
    return repr((type(event).__name__, *said))


def _people(event: LiveEvent) -> tuple[str, ...]:
    match event:
        case FriendshipChanged(person=one, friend=other) | BlockChanged(person=one, blocked=other):
            return one, other
        case Interacted(sender=one, recipient=other):
            return one, other
        case _:
            return (event.person,)


def _record(connection: Connection, event: LiveEvent, at: int) -> None:
    # A caller's clock may run ahead of ours: what they tell us holds from now on at the latest.
    happened = min(event.occurred_at, at)
    when = {"occurred_at": happened, "recorded_at": at}
    match event:
        case PersonChanged():
            told: dict[str, Value] = {"person": event.person, "occurred_at": happened}
            _JOINED.run(connection, **told)
            if event.birth_date is not None:
                _BORN.run(connection, birth_date=event.birth_date.isoformat(), **told)
            if event.zone is not None and _ZONED.run(connection, **told).rowcount:
                _move(connection, event.person, event.zone, at)
            if event.region is not None:
                _SETTLED.run(connection, region=event.region, **told)
        case FriendshipChanged():
            _switch(connection, _FRIENDSHIPS, event.person, event.friend, event.active, when)
        case BlockChanged():
            _switch(connection, _BLOCKS, event.person, event.blocked, event.active, when)
        case ConsentChanged():
            key: dict[str, Value] = {"person": event.person, "other": event.purpose.value}
            # Unlike a friendship's, a consent's own end says nothing of what is said after it.
            until = _NEXT_CONSENT.run(connection, occurred_at=happened, **key).scalar()
            _CONSENTS.split.run(connection, occurred_at=happened, **key)
            _CONSENT.run(connection, granted=event.granted, until=until, **key, **when)
        case LimitChanged():
            _LIMITS.run(
                connection,
                person=event.person,
                day_gifts_limit=event.day_gifts_limit,
                day_fen_limit=event.day_fen_limit,
                occurred_at=happened,
            )
            if event.gift_fen_limit is not Unsaid.UNSAID:
                _GIFT_LIMIT.run(
                    connection,
                    person=event.person,
                    gift_fen_limit=event.gift_fen_limit,
                    occurred_at=happened,
                )
        case Interacted():
            stored = _INTERACTION.run(
                connection,
                event=f"live:{event.event}",
                sender=event.sender,
                recipient=event.recipient,
                kind=event.kind,
                weight=event.weight,
                **when,
            )
            _require_new(event, stored.rowcount)
        case ItemTouched():
            stored = _ITEM_EVENT.run(
                connection,
                event=f"live:{event.event}",
                person=event.person,
                item=event.item,
                kind=event.kind,
                weight=event.weight,
                **when,
            )
            _require_new(event, stored.rowcount)


def _move(connection: Connection, person: str, zone: str, at: int) -> None:
    """Let `zone` hold from the midnight that ends the person's present day.

    Sooner, their counters would begin a new day and their caps anew.
    """
    present, latest = _ZONE_NOW.run(connection, person=person, at_now=at).one()
    if latest != zone:
        midnight = next_midnight(at, present or DEFAULT_ZONE)
        _MOVE.run(connection, person=person, zone=zone, zone_before=present, zone_from=midnight)


def _switch(
    connection: Connection,
    switches: _Switches,
    person: str,
    other: str,
    active: bool,
    when: dict[str, int],
) -> None:
    key: dict[str, Value] = {"person": person, "other": other, "occurred_at": when["occurred_at"]}
    until = switches.next.run(connection, **key).scalar() if active else when["occurred_at"]
    switches.keep_end.run(connection, recorded_at=when["recorded_at"], **key)
    switches.split.run(connection, **key)
    switches.switch.run(connection, until=until, recorded_at=when["recorded_at"], **key)


def _require_new(event: LiveEvent, stored: int) -> None:
    if not stored:
        raise Conflict(
            f"the event id live:{event.event} is taken by an imported event",
            "give every event an id of its own",
        )
