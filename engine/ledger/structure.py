"""The structure around pairs: stored in bulk, and recomputed at once where a friendship changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import orjson
from sqlalchemy import Connection

from engine.domain.pair_state import Floats
from engine.domain.structure import WIDTH, Structure, ordered, to_bytes, unknown
from engine.ledger import tables
from engine.ledger.graph import exchanged
from engine.ledger.recent_gifts import friends_since
from engine.ledger.staging import Loader
from engine.ledger.statements import Statement, run_listed

MOST_PAIRS = 25
"""Beyond so many pairs whose friendships changed together, all are left to the batch: each is some
milliseconds in which SQLite takes no other writer."""
MOST_ACQUAINTED = 300
"""A pair is left to the batch, too, where an end or whom both know has so many acquaintances: to
count a celebrity's would hold up every other writer."""
_PART = 50
"""Pairs recomputed at a time: bounds what is read of their ends at once."""

_Pair = tuple[str, str]

_REPLACE = Statement("""
INSERT INTO tie_structure (first, second, structure, as_of)
SELECT first, second, structure, as_of FROM staged_tie_structure WHERE 1 = 1
ORDER BY first {bytewise}, second {bytewise}
ON CONFLICT (first, second) DO UPDATE SET structure = excluded.structure, as_of = excluded.as_of
WHERE tie_structure.as_of <= excluded.as_of
""")
# Rows are locked in the order in which everybody locks them.
_FORGET = Statement("""
DELETE FROM tie_structure WHERE (first, second) IN (
  SELECT first, second FROM tie_structure WHERE as_of < :before
  ORDER BY first {bytewise}, second {bytewise} {for_update})
""")
_PUT = Statement("""
INSERT INTO tie_structure (first, second, structure, as_of)
VALUES (:first, :second, :structure, :as_of)
ON CONFLICT (first, second) DO UPDATE SET structure = excluded.structure, as_of = excluded.as_of
""")
# Of a pair that is not acquainted any more nothing is known; as of when stays, lest a batch
# that read before puts back what it saw.
_NOTHING = to_bytes(unknown(1)[0])
_PART_WAYS = Statement(
    "UPDATE tie_structure SET structure = :structure, as_of = :as_of"
    " WHERE first = :first AND second = :second"
)


def _in_force(row: str) -> str:
    return f"{row}.since <= :at_now AND ({row}.until IS NULL OR {row}.until > :at_now)"


# Whoever is a friend both ways. One side's rows are few; the other's is found by its key.
_IS_FRIEND = f"""{_in_force("f")} AND f.friend <> f.person
    AND EXISTS (SELECT 1 FROM friendships b
      WHERE b.person = f.friend AND b.friend = f.person AND {_in_force("b")})"""
# Where a tie has a row the two exchanged something: the row remembers that, or that a gift was
# accepted, which the row of the other direction remembers as one.
_OWN = Statement(f"""
WITH a(n, one, other) AS MATERIALIZED (
  SELECT CAST(value ->> 0 AS INTEGER), value ->> 1, value ->> 2 FROM {{each:pairs}})
SELECT a.n, {friends_since("a.one", "a.other")}, {friends_since("a.other", "a.one")},
  there.sender IS NOT NULL OR back.sender IS NOT NULL
FROM a
LEFT JOIN ties there ON there.sender = a.one AND there.recipient = a.other
LEFT JOIN ties back ON back.sender = a.other AND back.recipient = a.one
""")
# How many acquaintances people have; `MOST_ACQUAINTED` or more where not all were counted.
_DEGREES = Statement(f"""
WITH p(person) AS MATERIALIZED (SELECT value ->> 0 FROM {{each:people}})
SELECT p.person, (SELECT COUNT(*) FROM (
  SELECT friend FROM (SELECT DISTINCT f.friend FROM friendships f
    WHERE f.person = p.person AND {_IS_FRIEND} LIMIT {MOST_ACQUAINTED}) friends
  UNION
  SELECT recipient FROM (SELECT t.recipient FROM ties t
    WHERE t.sender = p.person AND t.recipient <> p.person LIMIT {MOST_ACQUAINTED}) takers
  UNION
  SELECT sender FROM (SELECT t.sender FROM ties t
    WHERE t.recipient = p.person AND t.sender <> p.person LIMIT {MOST_ACQUAINTED}) givers
) acquainted)
FROM p
""")
_FRIENDS = (
    f"SELECT f.person, f.friend FROM friendships f WHERE f.person IN ({{listed}}) AND {_IS_FRIEND}"
)
_TIES = """
SELECT sender, recipient, state FROM ties WHERE sender IN ({listed}) AND recipient <> sender
UNION ALL
SELECT recipient, sender, state FROM ties WHERE recipient IN ({listed}) AND recipient <> sender
"""


def store_structures(
    connection: Connection,
    firsts: Sequence[str],
    seconds: Sequence[str],
    structures: Floats,
    as_of: int,
) -> None:
    """Store the structure vectors (n × `engine.domain.structure.WIDTH`) of n distinct pairs.

    A pair whose stored structure is of later than `as_of` (microseconds) keeps it.

    Parameters
    ----------
    firsts, seconds
        The ends, as `engine.domain.structure.ordered` has them.
    """
    stored, size = to_bytes(structures), 8 * WIDTH
    columns: dict[str, Sequence[str | bytes | int]] = {
        "first": firsts,
        "second": seconds,
        "structure": [stored[begin : begin + size] for begin in range(0, len(stored), size)],
        "as_of": [as_of] * len(firsts),
    }
    with Loader(connection).staged(tables.tie_structure, columns):
        _REPLACE.run(connection)


def forget_structures(connection: Connection, before: int) -> int:
    """Delete the structures of before that instant (microseconds); return how many."""
    return _FORGET.run(connection, before=before).rowcount


def refresh_pairs(connection: Connection, pairs: Iterable[_Pair], at: int) -> int:
    """Compute the structure around `pairs` anew, as of `at` (microseconds), from what it is now.

    What is stored is what the batch would store. Of a pair that is not acquainted any more nothing
    is known from then on. Only what lies around the pairs is read.

    Returns
    -------
    int
        How many pairs were left as they are, to the batch: all where they are more than
        `MOST_PAIRS`, else those around whom somebody has `MOST_ACQUAINTED` acquaintances.
    """
    asked = sorted({ordered(*pair) for pair in pairs if pair[0] != pair[1]})
    if len(asked) > MOST_PAIRS:
        return len(asked)
    parts = (asked[begin : begin + _PART] for begin in range(0, len(asked), _PART))
    return sum(_refresh(connection, part, at) for part in parts)


def _refresh(connection: Connection, pairs: Sequence[_Pair], at: int) -> int:
    listed = orjson.dumps([(n, *pair) for n, pair in enumerate(pairs)]).decode()
    since: dict[_Pair, int] = {}
    for n, there, back, tied in _OWN.rows(connection, pairs=listed, at_now=at):
        friends = there is not None and back is not None
        if friends or tied:
            since[pairs[n]] = max(there, back) if friends else 0
    found = _structures(connection, since, at)
    # In the order of the pairs, in which everybody locks rows.
    for first, second in pairs:
        pair = first, second
        if pair in found:
            stored = to_bytes(found[pair])
            _PUT.tell(connection, first=first, second=second, structure=stored, as_of=at)
        elif pair not in since:
            _PART_WAYS.tell(connection, first=first, second=second, structure=_NOTHING, as_of=at)
    return len(since) - len(found)


@dataclass(frozen=True, slots=True)
class _Around:
    """Whom people know, and what they exchanged with whom: decayed and undecayed."""

    known: Mapping[str, set[str]]
    recent: Mapping[str, Mapping[str, float]]
    volume: Mapping[str, Mapping[str, float]]


def _structures(connection: Connection, since: Mapping[_Pair, int], at: int) -> dict[_Pair, Floats]:
    """Return the vectors of acquainted pairs, without those that are left to the batch."""
    degrees = _degrees(connection, {end for pair in since for end in pair}, at)
    few = {person for person, degree in degrees.items() if degree < MOST_ACQUAINTED}
    counted = {pair: begun for pair, begun in since.items() if few.issuperset(pair)}
    around = _read_around(connection, {end for pair in counted for end in pair}, at)
    common = {pair: around.known[pair[0]] & around.known[pair[1]] for pair in counted}
    degrees |= _degrees(connection, set().union(*common.values()) - degrees.keys(), at)
    return {
        pair: _structure(around, pair, [degrees[one] for one in sorted(common[pair])], begun, at)
        for pair, begun in counted.items()
        if all(degrees[one] < MOST_ACQUAINTED for one in common[pair])
    }


def _structure(around: _Around, pair: _Pair, degrees: Sequence[int], begun: int, at: int) -> Floats:
    """Return a pair's vector; `degrees` are those of the acquaintances in common."""
    first, second = pair
    found = np.zeros(WIDTH)
    found[Structure.COMMON] = len(degrees)
    found[Structure.ADAMIC_ADAR] = sum(1.0 / log(max(degree, 2)) for degree in degrees)
    others = [len(around.known[first] - {second}), len(around.known[second] - {first})]
    found[Structure.OTHERS_LEAST], found[Structure.OTHERS_MOST] = sorted(others)
    for column, amount in (
        (Structure.RECENT_LEAST, around.recent),
        (Structure.VOLUME_LEAST, around.volume),
    ):
        ends = (first, second), (second, first)
        spent = [sum(v for k, v in amount[end].items() if k != own) for end, own in ends]
        found[column], found[column + 1] = sorted(spent)
    found[Structure.SINCE] = begun
    found[Structure.AS_OF] = at
    return found


def _degrees(connection: Connection, people: set[str], at: int) -> dict[str, int]:
    if not people:
        return {}
    listed = orjson.dumps([(person,) for person in sorted(people)]).decode()
    return dict(_DEGREES.rows(connection, people=listed, at_now=at))


def _read_around(connection: Connection, people: set[str], at: int) -> _Around:
    known: dict[str, set[str]] = {person: set() for person in people}
    recent: dict[str, dict[str, float]] = {person: {} for person in people}
    volume: dict[str, dict[str, float]] = {person: {} for person in people}
    for person, friend in run_listed(connection, _FRIENDS, sorted(people), at_now=at):
        known[person].add(friend)
    rows = run_listed(connection, _TIES, sorted(people))
    gave = exchanged([state for _, _, state in rows], at)
    for (person, other, _), count, now, ever in zip(
        rows, gave.count.tolist(), gave.recent.tolist(), gave.volume.tolist(), strict=True
    ):
        if count:
            known[person].add(other)
        recent[person][other] = recent[person].get(other, 0.0) + now
        volume[person][other] = volume[person].get(other, 0.0) + ever
    return _Around(known, recent, volume)
