"""Ties as columns ready to be scored: a person's own, or everybody's, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection

from engine.domain.clock import local_date
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, from_bytes, to_bytes
from engine.domain.people import YOUNGEST_PROFILED, born_by_for
from engine.domain.structure import WIDTH, unknown
from engine.domain.structure import from_bytes as structure_from_bytes
from engine.domain.structure import to_bytes as structure_to_bytes
from engine.ledger.fact_queries import zone_at
from engine.ledger.facts import too_young
from engine.ledger.statements import Found, Statement

BATCH: Final = 10_000
"""How many of everybody's ties are in memory at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredTies:
    """Directed pairs (n) with their states there and back (n × width) and the structure around
    them (n × `WIDTH`), all as stored."""

    senders: Sequence[str]
    recipients: Sequence[str]
    out: Floats
    back: Floats
    structure: Floats

    def __len__(self) -> int:
        return len(self.recipients)


_IN_FORCE = "{row}.since <= :at_now AND ({row}.until IS NULL OR {row}.until > :at_now)"
# Who is old enough whatever the zone need not be looked at closer.
_BORN = "CASE WHEN {row}.birth_date {{bytewise}} > :surely_old THEN {row}.birth_date END"
_OBJECTS = f"""EXISTS (SELECT 1 FROM consents c WHERE c.person IN (a.one, a.other)
    AND c.purpose = 'tie_scoring' AND c.granted = FALSE AND {_IN_FORCE.format(row="c")})"""
_CALLS = f"""EXISTS (SELECT 1 FROM friendships g WHERE g.person = {{one}} AND g.friend = {{other}}
    AND {_IN_FORCE.format(row="g")})"""
_THERE = "EXISTS (SELECT 1 FROM ties t WHERE t.sender = {one} AND t.recipient = {other})"
# All that there is from somebody, what there is to them only, and whom they call a friend without
# either. `newest_at` is 0 without an event: also where gifts were made and never sent.
_ACQUAINTED = f"""
  SELECT t.sender AS one, t.recipient AS other, t.state AS there, b.state AS back,
    t.newest_at + COALESCE(b.newest_at, 0) AS newest_at
  FROM ties t LEFT JOIN ties b ON b.sender = t.recipient AND b.recipient = t.sender
  WHERE t.sender {{of}} AND t.sender <> t.recipient
  UNION ALL
  SELECT b.recipient, b.sender, NULL, b.state, b.newest_at FROM ties b
  WHERE b.recipient {{of}} AND b.sender <> b.recipient
    AND NOT {_THERE.format(one="b.recipient", other="b.sender")}
  UNION ALL
  SELECT f.person, f.friend, NULL, NULL, 0
  FROM (SELECT DISTINCT person, friend FROM friendships WHERE person {{of}}) f
  WHERE f.person <> f.friend
    AND NOT {_THERE.format(one="f.person", other="f.friend")}
    AND NOT {_THERE.format(one="f.friend", other="f.person")}"""
# The structure's key has the lesser id first in the order of bytes. Who is no friend both ways has
# no tie without an event.
_KNOWN = f"""
LEFT JOIN tie_structure s
  ON s.first = CASE WHEN a.one {{bytewise}} < a.other THEN a.one ELSE a.other END
  AND s.second = CASE WHEN a.one {{bytewise}} < a.other THEN a.other ELSE a.one END
LEFT JOIN people p ON p.person = a.other
WHERE a.newest_at <> 0 OR {_CALLS.format(one="a.one", other="a.other")}
  AND {_CALLS.format(one="a.other", other="a.one")}"""
# The person is among them, to be judged in the same way.
_EGO = Statement(f"""
WITH a AS ({_ACQUAINTED.format(of="= :person")}
  UNION ALL SELECT CAST(:person AS TEXT), CAST(:person AS TEXT), NULL, NULL, 1)
SELECT a.one, a.other, a.there, a.back, s.structure, NULL, NULL,
  {_BORN.format(row="p")}, {zone_at("p")}, {_OBJECTS}
FROM a {_KNOWN}
""")
_EVERYBODY = Statement(f"""
WITH a AS ({_ACQUAINTED.format(of="IS NOT NULL")})
SELECT a.one, a.other, a.there, a.back, s.structure, {_BORN.format(row="o")}, {zone_at("o")},
  {_BORN.format(row="p")}, {zone_at("p")}, {_OBJECTS}
FROM a LEFT JOIN people o ON o.person = a.one {_KNOWN}
""")

_UNSCORABLE = Statement(f"""
SELECT p.person, {_BORN.format(row="p")}, {zone_at("p")} FROM people p
WHERE p.birth_date {{bytewise}} > :surely_old
UNION ALL
SELECT c.person, NULL, NULL FROM consents c
WHERE c.purpose = 'tie_scoring' AND c.granted = FALSE AND {_IN_FORCE.format(row="c")}
""")

_STATE_BYTES: Final = 8 * DEFAULT_LAYOUT.width
_NO_STATE: Final = to_bytes(DEFAULT_LAYOUT.empty())
_STRUCTURE_BYTES: Final = 8 * WIDTH
_NO_STRUCTURE: Final = structure_to_bytes(unknown(1)[0])


def read_ego(connection: Connection, person: str, at: int) -> StoredTies:
    """Return the ties of `person` that may be scored as of `at` (microseconds), in one statement.

    There is one with everybody to or from whom anything happened, and with every two-way friend.
    Left out are those who object to being scored or are known to be too young; there is none at
    all if `person` is one of these.

    Raises
    ------
    InvalidInput
        If a state or a structure was stored in another layout.
    """
    rows = _EGO.rows(connection, person=person, at_now=at, surely_old=_surely_old(at))
    kept = _scorable(rows, at)
    if not any(row[1] == person for row in kept):
        return _columns([])
    return _columns([row for row in kept if row[1] != person])


def read_everybody(connection: Connection, at: int, batch: int = BATCH) -> Iterator[StoredTies]:
    """Yield what `read_ego` returns of every person, each tie from both ends, in no fixed order.

    `connection` gives a snapshot, in which up to `batch` ties are in memory at a time.

    Raises
    ------
    InvalidInput
        If a state or a structure was stored in another layout.
    """
    parts = _EVERYBODY.parts(connection, batch, at_now=at, surely_old=_surely_old(at))
    for rows in parts:
        yield _columns(_scorable(rows, at))


def read_unscorable(connection: Connection, at: int) -> set[str]:
    """Return who objects to being scored or is known to be too young, as of `at` (microseconds)."""
    rows = _UNSCORABLE.rows(connection, at_now=at, surely_old=_surely_old(at))
    return {row[0] for row in rows if row[1] is None or too_young(row[1], row[2], at)}


def _surely_old(at: int) -> str:
    """Return the latest date of birth of who is old enough to be profiled in every zone."""
    return born_by_for(YOUNGEST_PROFILED, local_date(at, "UTC") - timedelta(days=2)).isoformat()


def _scorable(rows: Sequence[Found], at: int) -> list[Found]:
    return [
        row
        for row in rows
        if not (row[9] or too_young(row[5], row[6], at) or too_young(row[7], row[8], at))
    ]


def _columns(rows: Sequence[Found]) -> StoredTies:
    return StoredTies(
        senders=[row[0] for row in rows],
        recipients=[row[1] for row in rows],
        out=_states([row[2] for row in rows]),
        back=_states([row[3] for row in rows]),
        structure=_structures([row[4] for row in rows]),
    )


def _states(stored: Sequence[bytes | None]) -> Floats:
    """Return stored states as rows: all taken apart at once."""
    parts = [_NO_STATE if state is None else state for state in stored]
    for state in parts:
        if len(state) != _STATE_BYTES:
            from_bytes(DEFAULT_LAYOUT, state)  # says what is wrong with it
    return np.frombuffer(b"".join(parts), dtype="<f8").reshape(-1, DEFAULT_LAYOUT.width)


def _structures(stored: Sequence[bytes | None]) -> Floats:
    parts = [_NO_STRUCTURE if structure is None else structure for structure in stored]
    for structure in parts:
        if len(structure) != _STRUCTURE_BYTES:
            structure_from_bytes(structure)
    return np.frombuffer(b"".join(parts), dtype="<f8").reshape(-1, WIDTH)
