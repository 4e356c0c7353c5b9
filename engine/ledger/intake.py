"""Live events into the record: each once, a batch whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from sqlalchemy import Connection

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
)
from engine.domain.pair_state import kind_of
from engine.ledger import ties
from engine.ledger.statements import Statement, run_listed


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
_LOCK_PEOPLE = "SELECT person FROM people WHERE person IN ({listed}) ORDER BY person {for_update}"
_PERSON = Statement("""
INSERT INTO people (person, birth_date, zone, joined_at, recorded_at)
VALUES (:person, :birth_date, :zone, :occurred_at, :recorded_at)
ON CONFLICT (person) DO UPDATE SET
  birth_date = COALESCE(excluded.birth_date, people.birth_date),
  zone = COALESCE(excluded.zone, people.zone),
  joined_at = COALESCE(people.joined_at, excluded.joined_at)
""")
_LIMITS = Statement("""
UPDATE people SET day_gifts_limit = :day_gifts_limit, day_fen_limit = :day_fen_limit
WHERE person = :person
""")
_BEFRIEND = Statement("""
INSERT INTO friendships (person, friend, since, until, recorded_at)
VALUES (:person, :other, :occurred_at, NULL, :recorded_at)
ON CONFLICT (person, friend, since) DO UPDATE SET until = NULL
""")
_UNFRIEND = Statement("""
UPDATE friendships SET until = :occurred_at
WHERE person = :person AND friend = :other AND since <= :occurred_at
  AND (until IS NULL OR until > :occurred_at)
""")
_BLOCK = Statement("""
INSERT INTO blocks (person, blocked, since, until, recorded_at)
VALUES (:person, :other, :occurred_at, NULL, :recorded_at)
ON CONFLICT (person, blocked, since) DO UPDATE SET until = NULL
""")
_UNBLOCK = Statement("""
UPDATE blocks SET until = :occurred_at
WHERE person = :person AND blocked = :other AND since <= :occurred_at
  AND (until IS NULL OR until > :occurred_at)
""")
_END_CONSENT = Statement("""
UPDATE consents SET until = :occurred_at
WHERE person = :person AND purpose = :purpose AND since <= :occurred_at
  AND (until IS NULL OR until > :occurred_at)
""")
_CONSENT = Statement("""
INSERT INTO consents (person, purpose, since, until, granted, recorded_at)
VALUES (:person, :purpose, :occurred_at, NULL, :granted, :recorded_at)
ON CONFLICT (person, purpose, since) DO UPDATE SET granted = excluded.granted, until = NULL
""")
_INTERACTION = Statement("""
INSERT INTO interactions (event, sender, recipient, kind, weight, occurred_at, recorded_at)
VALUES (:event, :sender, :recipient, :kind, :weight, :occurred_at, :recorded_at)
""")
_ITEM_EVENT = Statement("""
INSERT INTO item_events (event, person, item, kind, weight, occurred_at, recorded_at)
VALUES (:event, :person, :item, :kind, :weight, :occurred_at, :recorded_at)
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
            ties.TieEvent(e.sender, e.recipient, kind_of(e.kind), e.weight, e.occurred_at)
            for e in news
            if isinstance(e, Interacted)
        ],
    )
    return Intake(accepted=len(news), repeated=len(events) - len(news))


def _is_new(connection: Connection, event: LiveEvent, at: int) -> bool:
    content = repr((type(event).__name__, *astuple(event)))
    body_hash = hashlib.sha256(content.encode()).hexdigest()
    if _RECEIVE.run(connection, event=event.event, body_hash=body_hash, recorded_at=at).rowcount:
        return True
    if _RECEIVED.run(connection, event=event.event).scalar_one() != body_hash:
        raise Conflict(
            f"event {event.event!r} was received before with another content",
            "give every event an id of its own",
        )
    return False


def _people(event: LiveEvent) -> tuple[str, ...]:
    match event:
        case FriendshipChanged(person=one, friend=other) | BlockChanged(person=one, blocked=other):
            return one, other
        case Interacted(sender=one, recipient=other):
            return one, other
        case _:
            return (event.person,)


def _record(connection: Connection, event: LiveEvent, at: int) -> None:
    when = {"occurred_at": event.occurred_at, "recorded_at": at}
    match event:
        case PersonChanged():
            born = event.birth_date.isoformat() if event.birth_date else None
            _PERSON.run(connection, person=event.person, birth_date=born, zone=event.zone, **when)
        case FriendshipChanged():
            _switch(connection, _BEFRIEND, _UNFRIEND, event.friend, event, at)
        case BlockChanged():
            _switch(connection, _BLOCK, _UNBLOCK, event.blocked, event, at)
        case ConsentChanged():
            key = {"person": event.person, "purpose": event.purpose.value}
            _END_CONSENT.run(connection, occurred_at=event.occurred_at, **key)
            _CONSENT.run(connection, granted=event.granted, **key, **when)
        case LimitChanged():
            _LIMITS.run(
                connection,
                person=event.person,
                day_gifts_limit=event.day_gifts_limit,
                day_fen_limit=event.day_fen_limit,
            )
        case Interacted():
            _INTERACTION.run(
                connection,
                event=f"live:{event.event}",
                sender=event.sender,
                recipient=event.recipient,
                kind=event.kind,
                weight=event.weight,
                **when,
            )
        case ItemTouched():
            _ITEM_EVENT.run(
                connection,
                event=f"live:{event.event}",
                person=event.person,
                item=event.item,
                kind=event.kind,
                weight=event.weight,
                **when,
            )


def _switch(
    connection: Connection,
    begin: Statement,
    end: Statement,
    other: str,
    event: FriendshipChanged | BlockChanged,
    at: int,
) -> None:
    # Ending first keeps at most one row in force, also when a beginning is told twice.
    end.run(connection, person=event.person, other=other, occurred_at=event.occurred_at)
    if event.active:
        begin.run(
            connection,
            person=event.person,
            other=other,
            occurred_at=event.occurred_at,
            recorded_at=at,
        )
