"""What batches keep fresh in the ledger: the structure around all pairs."""

from __future__ import annotations

import pyarrow as pa

from engine.domain.clock import SECOND
from engine.ledger.database import Database
from engine.ledger.graph import read_graph
from engine.ledger.structure import forget_structures, store_structures
from models.features.structure import structures

BEHIND = 60 * SECOND
"""How long a change may have waited for its locks since it looked at the clock: one of so shortly
before the batch may not have been in what the batch read, and keeps its own word."""
BATCH = 50_000
"""Pairs stored in one transaction: other writers wait for no more than these."""


def refresh_structure(database: Database, at: int) -> int:
    """Compute the structure around every pair of friends or of people who exchanged anything.

    All is read in one snapshot and nobody is held up while it is computed. It is stored in parts,
    since each pair says as of when it is. A pair that was refreshed since `BEHIND` before
    `at` keeps what it has; pairs that are not acquainted any more lose theirs.

    Parameters
    ----------
    at
        The present time in microseconds.

    Returns
    -------
    int
        How many pairs were computed.

    Raises
    ------
    InvalidInput
        If a tie's state was written in another layout.
    LedgerUnavailable
        If the database cannot be reached or refuses the work.
    """
    with database.reading(snapshot=True) as unit:
        people, graph = read_graph(unit, at)
    first, second = graph.pairs()
    vectors = structures(graph, first, second)
    for begin in range(0, len(first), BATCH):
        part = slice(begin, begin + BATCH)
        firsts = people.take(pa.array(first[part])).to_pylist()
        seconds = people.take(pa.array(second[part])).to_pylist()
        with database.writing() as unit:
            store_structures(unit, firsts, seconds, vectors[part], at - BEHIND)
    with database.writing() as unit:
        forget_structures(unit, at - BEHIND)
    return len(first)
