"""Who is acquainted with whom, read as columns: friendships both ways and what pairs exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from engine.domain.decay import remaining
from engine.domain.friendship import friends_both_ways
from engine.domain.pair_state import DEFAULT_LAYOUT, EXCHANGES, Floats, Ints, from_bytes
from engine.ledger.statements import Statement

_BATCH = 100_000
"""Rows held in memory at a time as the database gives them."""
_EVER = np.iinfo(np.int64).max
_SUMS = [DEFAULT_LAYOUT.sum_column(kind, 0) for kind in EXCHANGES]
_COUNTS = [DEFAULT_LAYOUT.counts.start + kind for kind in EXCHANGES]
_VOLUMES = [DEFAULT_LAYOUT.volumes.start + kind for kind in EXCHANGES]

_FRIENDSHIPS = Statement("""
SELECT person, friend, since, until FROM friendships
WHERE since <= :at_now AND (until IS NULL OR until > since) AND person <> friend
""")
_TIES = Statement("SELECT sender, recipient, state FROM ties WHERE sender <> recipient")


@dataclass(frozen=True, slots=True, eq=False)
class Exchanged:
    """What n directed pairs exchanged: how often, and the weights decayed and undecayed."""

    count: Floats
    recent: Floats
    volume: Floats


@dataclass(frozen=True, slots=True, eq=False)
class GraphRows:
    """The acquaintances of an instant; people are places in `people`.

    Parameters
    ----------
    people
        Ids (strings), in the order of Python's texts.
    friend_one, friend_other, since
        The two-way friendships (f), the lesser place first, each once, and since when
        (microseconds): when the later of the two sides began, without a gap since.
    tie_one, tie_other, recent, volume
        The pairs (t, so too) that had exchanged anything, and what: both directions, decayed to the
        instant at the layout's shortest half-life, and undecayed.
    at
        The instant (microseconds).
    """

    people: pa.Array
    friend_one: Ints
    friend_other: Ints
    since: Ints
    tie_one: Ints
    tie_other: Ints
    recent: Floats
    volume: Floats
    at: int

    def pairs(self) -> tuple[Ints, Ints]:
        """Return every pair (n) of friends or of people who exchanged anything, each once."""
        people = max(len(self.people), 1)
        friends = self.friend_one * people + self.friend_other
        key = np.union1d(friends, self.tie_one * people + self.tie_other)
        return key // people, key % people


def exchanged(states: Sequence[bytes], at: int) -> Exchanged:
    """Return what stored `states` (n) say was exchanged, decayed to `at` (microseconds).

    Raises
    ------
    InvalidInput
        If a state was written in another layout.
    """
    size = 8 * DEFAULT_LAYOUT.width
    for odd in (state for state in states if len(state) != size):
        from_bytes(DEFAULT_LAYOUT, odd)  # says what is wrong with it
    found = np.frombuffer(b"".join(states), dtype="<f8").reshape(-1, DEFAULT_LAYOUT.width)
    left = remaining(at - found[:, DEFAULT_LAYOUT.state_at], DEFAULT_LAYOUT.half_lives_days[0])
    return Exchanged(
        count=found[:, _COUNTS].sum(axis=1),
        recent=found[:, _SUMS].sum(axis=1) * left,
        volume=found[:, _VOLUMES].sum(axis=1),
    )


def read_graph(connection: Connection, at: int) -> GraphRows:
    """Read who is acquainted with whom as of `at` (microseconds); the whole of two tables.

    Raises
    ------
    InvalidInput
        If a tie's state was written in another layout.
    """
    persons, friends, sinces, untils = _read_friendships(connection, at)
    senders, recipients, gave = _read_ties(connection, at)
    named = pa.chunked_array([*persons, *friends, *senders, *recipients], pa.string())
    people, number = _numbered(named)
    told, sent = sum(map(len, persons)), sum(map(len, senders))
    person, friend, sender, recipient = np.split(number, np.cumsum([told, told, sent]))
    friend_one, friend_other, since = friends_both_ways(
        len(people), person, friend, sinces, untils, at
    )
    key, pair = np.unique(_unordered(sender, recipient, len(people)), return_inverse=True)
    count, recent, volume = (
        np.bincount(pair, part, len(key)).astype(np.float64)
        for part in (gave.count, gave.recent, gave.volume)
    )
    some = count > 0
    return GraphRows(
        people=people,
        friend_one=friend_one,
        friend_other=friend_other,
        since=since,
        tie_one=key[some] // max(len(people), 1),
        tie_other=key[some] % max(len(people), 1),
        recent=recent[some],
        volume=volume[some],
        at=at,
    )


_Texts = list[pa.Array]


def _read_friendships(connection: Connection, at: int) -> tuple[_Texts, _Texts, Ints, Ints]:
    persons, friends = [], []
    since, until = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for rows in _FRIENDSHIPS.parts(connection, _BATCH, at_now=at):
        columns = tuple(zip(*rows, strict=True))
        persons.append(pa.array(columns[0], pa.string()))
        friends.append(pa.array(columns[1], pa.string()))
        since.append(np.array(columns[2], dtype=np.int64))
        ends = pc.fill_null(pa.array(columns[3], pa.int64()), int(_EVER))
        until.append(ends.to_numpy(zero_copy_only=False))
    return persons, friends, np.concatenate(since), np.concatenate(until)


def _read_ties(connection: Connection, at: int) -> tuple[_Texts, _Texts, Exchanged]:
    senders, recipients, parts = [], [], [exchanged([], at)]
    for rows in _TIES.parts(connection, _BATCH):
        columns = tuple(zip(*rows, strict=True))
        senders.append(pa.array(columns[0], pa.string()))
        recipients.append(pa.array(columns[1], pa.string()))
        parts.append(exchanged(columns[2], at))
    whole = Exchanged(
        np.concatenate([part.count for part in parts]),
        np.concatenate([part.recent for part in parts]),
        np.concatenate([part.volume for part in parts]),
    )
    return senders, recipients, whole


def _numbered(names: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """Return the distinct names in order, and the place of each name among them."""
    encoded = pc.dictionary_encode(names).combine_chunks()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    # Bytes of UTF-8 sort as Python's texts do.
    return encoded.dictionary.take(pa.array(order)), place[encoded.indices.to_numpy()]


def _unordered(one: Ints, other: Ints, people: int) -> Ints:
    return np.minimum(one, other) * np.int64(people) + np.maximum(one, other)
