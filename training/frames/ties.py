"""Point-in-time frames of ties from the exported log: what was known, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Ints, Kind, Layout
from models.features.pair import EXCHANGES
from models.features.pair_log import Texts, exact_sum, pair_events, pair_states
from models.tie_rows import TieRows
from training.log import ExportedLog, TableName

_TABLES: tuple[TableName, ...] = ("gifts", "interactions")
_EVER = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class TieFrame:
    """The unordered pairs (n) that had an exchange before a cut-off, `first` < `second`.

    `rows` holds their states as of the cut-off and what they exchanged in the horizon from it;
    `count` how many exchanges they had had.
    """

    first: Texts
    second: Texts
    rows: TieRows
    count: Floats


def tie_frame(
    log: ExportedLog,
    cutoff: int,
    horizon_us: int,
    labelled_by: int | None = None,
    layout: Layout = DEFAULT_LAYOUT,
) -> TieFrame:
    """Return the pairs known at `cutoff` with their states and what followed.

    Parameters
    ----------
    log
        The exported log.
    cutoff
        States hold what occurred and was recorded before this instant (microseconds).
    horizon_us
        Amounts are exchanges of either direction within [cutoff, cutoff + horizon).
    labelled_by
        Amounts hold only what was recorded before this instant; all that the log has when None.
    layout
        Of the states.
    """
    known = pair_states(pair_events(log.table("gifts"), log.table("interactions"), cutoff), layout)
    pairs = _Pairs(_people(log))
    key, forward = pairs.keys(pa.array(known.sender), pa.array(known.recipient))
    kept = key >= 0  # nobody is tied to themselves
    keys, row = np.unique(key[kept], return_inverse=True)
    out, back = layout.empty(len(keys)), layout.empty(len(keys))
    states, ahead = known.states[kept], forward[kept]
    out[row[ahead]] = states[ahead]
    back[row[~ahead]] = states[~ahead]
    count = (out + back)[:, layout.counts][:, EXCHANGES].sum(axis=1)
    later_key, amount = _exchanged(log, pairs, cutoff, horizon_us, labelled_by)
    place = np.searchsorted(keys, later_key)
    found = np.flatnonzero(place < len(keys))
    found = found[keys[place[found]] == later_key[found]]
    amounts = np.bincount(place[found], amount[found], minlength=len(keys)).astype(np.float64)
    at = np.full(len(keys), cutoff, dtype=np.int64)
    first, second = pairs.ends(keys)
    return TieFrame(first, second, TieRows(out, back, at, amounts, keys), count)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Numbers for unordered pairs, the same in every frame of one log."""

    people: pa.Array

    def keys(self, sender: pa.Array, recipient: pa.Array) -> tuple[Ints, NDArray[np.bool_]]:
        """Return each pair's number (−1 for a person with themselves), and whether the sender is
        the pair's first."""
        one, other = self._codes(sender), self._codes(recipient)
        key = np.minimum(one, other) * len(self.people) + np.maximum(one, other)
        return np.where(one == other, -1, key), one < other

    def ends(self, key: Ints) -> tuple[Texts, Texts]:
        """Return the first and the second person (n ids each) of pairs by their numbers."""
        size = max(len(self.people), 1)
        return self._names(key // size), self._names(key % size)

    def _codes(self, ids: pa.Array) -> Ints:
        found = pc.index_in(ids.cast(pa.string()), value_set=self.people)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.int64)

    def _names(self, code: Ints) -> Texts:
        return np.asarray(self.people.take(pa.array(code)).to_numpy(zero_copy_only=False))


def _people(log: ExportedLog) -> pa.Array:
    """Return everyone who ever sent or received anything, in order."""
    ends = [
        log.table(name).select(person=end) for name in _TABLES for end in ("sender", "recipient")
    ]
    found = ibis.union(*ends, distinct=True).order_by("person").to_pyarrow()
    return found["person"].combine_chunks().cast(pa.string())


def _exchanged(
    log: ExportedLog, pairs: _Pairs, cutoff: int, horizon_us: int, labelled_by: int | None
) -> tuple[Ints, Floats]:
    """Return the pairs that exchanged within the horizon, by number and direction, and how much."""
    by = _EVER if labelled_by is None else labelled_by
    events = pair_events(
        log.table("gifts"), log.table("interactions"), cutoff + horizon_us, recorded_by=by
    )
    within = events.filter(events.occurred_at >= cutoff, events.kind != int(Kind.ACCEPTED))
    found = (
        within.group_by("sender", "recipient")
        .aggregate(amount=exact_sum(within.weight))
        .order_by("sender", "recipient")
        .to_pyarrow()
    )
    key, _ = pairs.keys(found["sender"].combine_chunks(), found["recipient"].combine_chunks())
    return key, np.asarray(found["amount"].to_numpy(), dtype=np.float64)
