"""Point-in-time frames of ties from the exported log: what was known, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.types import Table
from numpy.typing import NDArray

from engine.domain.acquaintances import Graph
from engine.domain.decay import remaining
from engine.domain.friendship import friends_both_ways
from engine.domain.pair_state import DEFAULT_LAYOUT, EXCHANGES, Floats, Ints, Kind, Layout
from models.features.log_people import People, Texts, numbered_events
from models.features.pair_log import exact_sum, pair_events
from models.features.pair_parts import PairPart, joined, pair_parts
from models.features.structure import structures
from models.tie_rows import TieRows
from training.log import ExportedLog

_EVER = 2**62


@dataclass(frozen=True, slots=True, eq=False)
class TieFrame:
    """The unordered pairs (n) that were acquainted at a cut-off, `first` < `second`.

    `rows` holds their states as of the cut-off, what surrounded them and what they exchanged in the
    horizon from it; `count` how many exchanges they had had. Pairs that had exchanged anything
    come first: `known` of them; the others are friends who never had.
    """

    first: Texts
    second: Texts
    rows: TieRows
    count: Floats
    known: int

    def without(self, people: set[str]) -> TieFrame:
        """Return the pairs neither end of which is among `people`."""
        named = list(people)
        kept = ~(np.isin(self.first, named) | np.isin(self.second, named))
        known = int(np.count_nonzero(kept[: self.known]))
        rows, count = self.rows.take(kept), self.count[kept]
        return TieFrame(self.first[kept], self.second[kept], rows, count, known)


class TieFrames:
    """Frames of one log, in which a person and a pair have the same number at every cut-off.

    Parameters
    ----------
    log
        The exported log.
    layout
        Of the states.
    """

    def __init__(self, log: ExportedLog, layout: Layout = DEFAULT_LAYOUT) -> None:
        self._log = log
        self._layout = layout
        friendships = log.table("friendships")
        ends = friendships.select(sender="person", recipient="friend")
        self._people = People.of(log.table("gifts"), log.table("interactions"), ends)
        told = friendships.select("person", "friend", "since", "until", "recorded_at").to_pyarrow()
        self._person, self._friend = (self._numbers(told[end]) for end in ("person", "friend"))
        self._since, self._recorded = (_whole(told[name]) for name in ("since", "recorded_at"))
        self._until = _whole(pc.fill_null(told["until"], _EVER))

    def at(self, cutoff: int, horizon_us: int, labelled_by: int | None = None) -> TieFrame:
        """Return the pairs acquainted at `cutoff` with their states and what followed.

        Parameters
        ----------
        cutoff
            States hold what occurred and was recorded before this instant (microseconds).
        horizon_us
            Amounts are exchanges of either direction within [cutoff, cutoff + horizon).
        labelled_by
            Amounts hold only what was recorded before this instant; all that the log has when None.
        """
        layout = self._layout
        found = joined(pair_parts(self._events(cutoff), self._people, layout), layout)
        count = (found.out + found.back)[:, layout.counts][:, EXCHANGES].sum(axis=1)
        tied = self._people.pair_keys(found.first, found.second)
        one, other, since = self._friends(cutoff)
        friends = self._people.pair_keys(one, other)
        silent = ~np.isin(friends, tied[count > 0])
        # A pair whose only event is an acceptance has a state, but exchanged nothing.
        keys = np.concatenate([tied[count > 0], friends[silent]])
        known = int(np.count_nonzero(count > 0))
        unheard = layout.empty(len(keys) - known)
        first, second = self._people.pair_ends(keys)
        graph = self._graph(_exchanging(found, count > 0), (one, other, since), cutoff)
        rows = TieRows(
            np.concatenate([found.out[count > 0], unheard]),
            np.concatenate([found.back[count > 0], unheard]),
            structures(graph, first, second),
            np.full(len(keys), cutoff, dtype=np.int64),
            self._amounts(keys, cutoff, horizon_us, labelled_by),
            keys,
        )
        names = (self._people.named(first), self._people.named(second))
        counts = np.concatenate([count[count > 0], np.zeros(len(keys) - known)])
        return TieFrame(*names, rows, counts, known)

    def _events(self, cutoff: int, recorded_by: int | None = None) -> Table:
        gifts, interactions = self._log.table("gifts"), self._log.table("interactions")
        return pair_events(gifts, interactions, cutoff, recorded_by)

    def _friends(self, cutoff: int) -> tuple[Ints, Ints, Ints]:
        """Return who were friends both ways, as was recorded by then, and since when."""
        told = (self._recorded < cutoff) & (self._since < cutoff)
        return friends_both_ways(
            len(self._people),
            self._person[told],
            self._friend[told],
            self._since[told],
            self._until[told],
            cutoff,
        )

    def _graph(self, tied: PairPart, friends: tuple[Ints, Ints, Ints], cutoff: int) -> Graph:
        layout = self._layout
        short = [layout.sum_column(kind, 0) for kind in EXCHANGES]
        recent = np.zeros(len(tied.first))
        for states in (tied.out, tied.back):
            left = remaining(cutoff - states[:, layout.state_at], layout.half_lives_days[0])
            recent += states[:, short].sum(axis=1) * left
        volume = (tied.out + tied.back)[:, layout.volumes][:, EXCHANGES].sum(axis=1)
        ends = (tied.first, tied.second)
        return Graph(len(self._people), *friends, *ends, recent, volume, cutoff)

    def _amounts(self, keys: Ints, cutoff: int, horizon_us: int, labelled_by: int | None) -> Floats:
        """Return what each pair (n keys) exchanged within the horizon."""
        by = _EVER if labelled_by is None else labelled_by
        events = self._events(cutoff + horizon_us, by)
        within = events.filter(events.occurred_at >= cutoff, events.kind != int(Kind.ACCEPTED))
        numbered = numbered_events(within, self._people)
        found = (
            numbered.group_by("sender", "recipient")
            .aggregate(amount=exact_sum(numbered.weight))
            .order_by("sender", "recipient")
            .to_pyarrow()
        )
        sender, recipient = _whole(found["sender"]), _whole(found["recipient"])
        key = self._people.pair_keys(np.minimum(sender, recipient), np.maximum(sender, recipient))
        order = np.argsort(keys)
        place = np.searchsorted(keys, key, sorter=order)
        hit = np.flatnonzero(place < len(keys))
        hit = hit[keys[order[place[hit]]] == key[hit]]
        amount = found["amount"].to_numpy()
        rows = order[place[hit]]
        return np.bincount(rows, amount[hit], minlength=len(keys)).astype(np.float64)

    def _numbers(self, ids: pa.ChunkedArray) -> Ints:
        found = pc.index_in(ids.combine_chunks().cast(pa.string()), value_set=self._people.ids)
        return _whole(found)


def tie_frame(
    log: ExportedLog,
    cutoff: int,
    horizon_us: int,
    labelled_by: int | None = None,
    layout: Layout = DEFAULT_LAYOUT,
) -> TieFrame:
    """Return one frame, as `TieFrames.at` does."""
    return TieFrames(log, layout).at(cutoff, horizon_us, labelled_by)


def _exchanging(part: PairPart, some: NDArray[np.bool_]) -> PairPart:
    return PairPart(part.first[some], part.second[some], part.out[some], part.back[some])


def _whole(column: pa.ChunkedArray | pa.Array) -> Ints:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
