"""Pair states: carried forward in the event's transaction, rebuilt from the log when need be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from engine.domain.pair_state import (
    DEFAULT_LAYOUT,
    Floats,
    Ints,
    Kind,
    closed_form,
    from_bytes,
    is_late,
    to_bytes,
    update,
)
from engine.ledger.bulk import BulkWriter
from engine.ledger.statements import Statement


@dataclass(frozen=True, slots=True)
class TieEvent:
    """Something that happened from one person to another; `at` in microseconds."""

    sender: str
    recipient: str
    kind: Kind
    weight: float
    at: int


# Everything a tie remembers. Declined gifts count as given and nothing else: what the recipient
# did not say to the sender must not show in a score.
_TIE_LOG = f"""
SELECT sender, recipient, {Kind.GIFT:d} AS kind, 1.0 AS weight, occurred_at FROM gifts
  WHERE state NOT IN ('held', 'cancelled') {{gifts}}
UNION ALL
SELECT recipient, sender, {Kind.ACCEPTED:d}, 1.0, outcome_at FROM gifts
  WHERE state IN ('accepted', 'redeemed') AND outcome_at IS NOT NULL {{accepted}}
UNION ALL
SELECT sender, recipient,
  CASE kind WHEN 'message' THEN {Kind.MESSAGE:d} WHEN 'call' THEN {Kind.CALL:d}
    ELSE {Kind.OTHER:d} END,
  weight, occurred_at FROM interactions WHERE 1 = 1 {{interactions}}
"""
_PAIR = "AND sender = :sender AND recipient = :recipient"
_WHOLE_LOG = Statement(_TIE_LOG.format(gifts="", accepted="", interactions=""))
_PAIR_LOG = Statement(
    _TIE_LOG.format(
        gifts=_PAIR,
        accepted="AND recipient = :sender AND sender = :recipient",
        interactions=_PAIR,
    )
)
# The row is made if it is not there, and locked and read in the same statement.
_LOCKED = Statement("""
INSERT INTO ties (sender, recipient, state, newest_at) VALUES (:sender, :recipient, :state, 0)
ON CONFLICT (sender, recipient) DO UPDATE SET newest_at = ties.newest_at RETURNING state
""")
_STORE = Statement(
    "UPDATE ties SET state = :state, newest_at = :newest_at"
    " WHERE sender = :sender AND recipient = :recipient"
)
_FORGET = Statement("DELETE FROM ties WHERE sender = :sender AND recipient = :recipient")
_EMPTY = to_bytes(DEFAULT_LAYOUT.empty())
_LOG = pa.schema(
    [
        ("sender", pa.string()),
        ("recipient", pa.string()),
        ("kind", pa.int64()),
        ("weight", pa.float64()),
        ("at", pa.int64()),
    ]
)
_LOG_BATCH = 100_000
_CLEAR = Statement("DELETE FROM ties")


def append(connection: Connection, events: Iterable[TieEvent]) -> None:
    """Carry the states of the events' pairs forward; the events are already in the log.

    Pairs are locked in the order of their ids, so that two writers never wait for each other in a
    circle. A pair that receives an event older than its newest is recomputed from its log.
    """
    by_pair: dict[tuple[str, str], list[TieEvent]] = {}
    for event in events:
        by_pair.setdefault((event.sender, event.recipient), []).append(event)
    for sender, recipient in sorted(by_pair):
        state = _locked(connection, sender, recipient)
        news = sorted(by_pair[sender, recipient], key=lambda event: event.at)
        if state is None or is_late(DEFAULT_LAYOUT, state, news[0].at):
            state = _recomputed(connection, sender, recipient)
        else:
            for event in news:
                update(DEFAULT_LAYOUT, state, event.kind, event.weight, event.at)
        _store(connection, sender, recipient, state)


def rebuild_ties(connection: Connection, pairs: set[tuple[str, str]] | None = None) -> int:
    """Recompute the states of `pairs` (of all pairs if None) from the log; return how many."""
    if pairs is not None:
        for pair in sorted(pairs):
            _locked(connection, *pair)
            state = _recomputed(connection, *pair)
            if state[DEFAULT_LAYOUT.counts].any():
                _store(connection, *pair, state)
            else:
                # A row says that something happened: who is acquainted with whom is read from it.
                _FORGET.tell(connection, sender=pair[0], recipient=pair[1])
        return len(pairs)
    if connection.dialect.name == "postgresql":
        # An event that came in between would be missing from its tie; SQLite has one writer.
        connection.exec_driver_sql("LOCK TABLE ties IN EXCLUSIVE MODE")
    _CLEAR.run(connection)
    log = _read_log(connection)
    senders, sender = _numbered(log["sender"])
    recipients, recipient = _numbered(log["recipient"])
    cells, pair = np.unique(sender * np.int64(len(recipients)) + recipient, return_inverse=True)
    states = closed_form(
        DEFAULT_LAYOUT,
        pair.astype(np.int64),
        log["kind"].to_numpy(),
        log["weight"].to_numpy(),
        log["at"].to_numpy(),
        len(cells),
    )
    with BulkWriter(connection) as writer:
        writer.insert_new(
            "ties",
            {
                "sender": pc.take(senders, cells // len(recipients)).to_pylist(),
                "recipient": pc.take(recipients, cells % len(recipients)).to_pylist(),
                "state": _each_to_bytes(states),
                "newest_at": states[:, DEFAULT_LAYOUT.state_at].astype(np.int64).tolist(),
            },
        )
    return len(cells)


def _recomputed(connection: Connection, sender: str, recipient: str) -> Floats:
    log = _PAIR_LOG.rows(connection, sender=sender, recipient=recipient)
    states = closed_form(
        DEFAULT_LAYOUT,
        np.zeros(len(log), dtype=np.int64),
        np.array([row[2] for row in log], dtype=np.int64),
        np.array([row[3] for row in log], dtype=np.float64),
        np.array([row[4] for row in log], dtype=np.int64),
        1,
    )
    state: Floats = states[0]
    return state


def _locked(connection: Connection, sender: str, recipient: str) -> Floats | None:
    """Return the pair's state, held against other writers until the transaction ends.

    None if it is of another layout, as a worker of an older version may leave it.
    """
    [row] = _LOCKED.rows(connection, sender=sender, recipient=recipient, state=_EMPTY)
    stored = _as_bytes(row[0])
    if stored is not None and len(stored) != len(_EMPTY):
        return None
    return from_bytes(DEFAULT_LAYOUT, stored)


def _store(connection: Connection, sender: str, recipient: str, state: Floats) -> None:
    _STORE.tell(
        connection,
        sender=sender,
        recipient=recipient,
        state=to_bytes(state),
        newest_at=int(state[DEFAULT_LAYOUT.state_at]),
    )


def _read_log(connection: Connection) -> pa.Table:
    """Return the whole log as columns, read in batches so that no row outlives its batch."""
    found = _WHOLE_LOG.run(connection)
    batches = []
    while rows := found.fetchmany(_LOG_BATCH):
        arrays = [pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), _LOG, strict=True)]
        batches.append(pa.record_batch(arrays, schema=_LOG))
    return pa.Table.from_batches(batches, _LOG)


def _numbered(names: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    encoded = pc.dictionary_encode(names).combine_chunks()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)


def _each_to_bytes(states: Floats) -> list[bytes]:
    """Return `to_bytes` of every row; one copy of the whole instead of one a row."""
    stored, width = to_bytes(states), 8 * DEFAULT_LAYOUT.width
    return [stored[begin : begin + width] for begin in range(0, len(stored), width)]


def _as_bytes(stored: object) -> bytes | None:
    return bytes(stored) if isinstance(stored, bytes | memoryview) else None
