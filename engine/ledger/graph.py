"""Who is acquainted with whom, read as columns: friendships both ways and what pairs exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from engine.domain.acquaintances import Graph, pair_ends, pair_key
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


def read_graph(connection: Connection, at: int) -> tuple[pa.Array, Graph]:
    """Read who is acquainted with whom as of `at` (microseconds); the whole of two tables.

    Returns
    -------
    tuple
        The ids of all people, in the order of Python's texts, and the graph of their places there.

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
    key, pair = np.unique(pair_key(sender, recipient, len(people)), return_inverse=True)
    count, recent, volume = (
        np.bincount(pair, part, len(key)).astype(np.float64)
        for part in (gave.count, gave.recent, gave.volume)
    )
    some = count > 0
    ends = pair_ends(key[some], len(people))
    amounts = (recent[some], volume[some])
    graph = Graph(len(people), friend_one, friend_other, since, *ends, *amounts, at)
    return people, graph


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
