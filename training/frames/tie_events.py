"""Directed events as plain arrays, and the pairs they make at any instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.acquaintances import Graph
from engine.domain.decay import remaining
from engine.domain.errors import InvalidInput
from engine.domain.pair_state import (
    DEFAULT_LAYOUT,
    Floats,
    Ints,
    Layout,
    closed_form,
    kind_of,
)
from models.features.structure import structures
from models.tie_rows import TieRows

_FIRST = 1
"""The time given to the first event: in a pair state 0 means never."""


@dataclass(frozen=True, slots=True, eq=False)
class PairsAt:
    """The pairs (n) that had an exchange before an instant, with how many they had."""

    rows: TieRows
    count: Floats


class TieEvents:
    """Events between people, by time.

    Parameters
    ----------
    sender, recipient
        n ids of one type. Events of a person with themselves are left out.
    weight
        n weights > 0.
    kind
        n free-text kinds of interactions, such as `message` and `call`.
    occurred_at
        n times in microseconds, from any origin.

    Raises
    ------
    InvalidInput
        If the columns differ in length.
    """

    def __init__(
        self,
        sender: ArrayLike,
        recipient: ArrayLike,
        weight: ArrayLike,
        kind: ArrayLike,
        occurred_at: ArrayLike,
    ) -> None:
        senders, recipients = np.asarray(sender), np.asarray(recipient)
        weights = np.asarray(weight, dtype=np.float64)
        kinds, times = np.asarray(kind), np.asarray(occurred_at, dtype=np.int64)
        lengths = {len(column) for column in (senders, recipients, weights, kinds, times)}
        if len(lengths) != 1:
            raise InvalidInput(f"columns of different lengths: {sorted(lengths)}")
        self.people, codes = np.unique(np.concatenate([senders, recipients]), return_inverse=True)
        one, other = codes[: len(senders)], codes[len(senders) :]
        names, named = np.unique(kinds, return_inverse=True)
        numbers = np.array([int(kind_of(str(name))) for name in names], dtype=np.int64)
        kept = np.flatnonzero(one != other)
        order = kept[np.argsort(times[kept], kind="stable")]
        key = np.minimum(one, other) * len(self.people) + np.maximum(one, other)
        keys, self._pair = np.unique(key[order], return_inverse=True)
        self._ends = np.stack([keys // max(len(self.people), 1), keys % max(len(self.people), 1)])
        self._forward = (one < other)[order]
        self._kind = numbers[named[order]] if len(order) else np.zeros(0, dtype=np.int64)
        self._weight = weights[order]
        self._shift = _FIRST - int(times[order[0]]) if len(order) else 0
        self._at = times[order] + self._shift

    def __len__(self) -> int:
        return len(self._at)

    def ends(self, pair: Ints) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Return the two people (n ids each) of pairs given by their numbers."""
        return self.people[self._ends[0][pair]], self.people[self._ends[1][pair]]

    def begins(self) -> int:
        """Return the time of the first event as rows have it (`TieRows.at`), in microseconds."""
        return int(self._at[0]) if len(self._at) else _FIRST

    def first(self) -> int:
        """Return the time of the first event, in microseconds of the given origin."""
        return _FIRST - self._shift

    def at(self, cutoff: int, horizon_us: int, layout: Layout = DEFAULT_LAYOUT) -> PairsAt:
        """Return the pairs with an exchange before `cutoff`, and what the horizon brought them.

        The horizon is [cutoff, cutoff + horizon): an event at the cut-off belongs to it. Both
        are in microseconds.
        """
        begin, end = cutoff + self._shift, cutoff + horizon_us + self._shift
        start, stop = np.searchsorted(self._at, [begin, end], side="left")
        pairs, row = np.unique(self._pair[:start], return_inverse=True)
        out, back = (
            closed_form(
                layout,
                row[own],
                self._kind[:start][own],
                self._weight[:start][own],
                self._at[:start][own],
                len(pairs),
            )
            for own in (self._forward[:start], ~self._forward[:start])
        )
        later = np.bincount(
            self._pair[start:stop], self._weight[start:stop], minlength=self._ends.shape[1]
        )
        rows = TieRows(
            out,
            back,
            self._structure(pairs, row, start, begin, layout),
            np.full(len(pairs), begin, dtype=np.int64),
            later[pairs].astype(np.float64),
            pairs,
        )
        return PairsAt(rows, np.bincount(row, minlength=len(pairs)).astype(np.float64))

    def _structure(self, pairs: Ints, row: Ints, start: int, begin: int, layout: Layout) -> Floats:
        """Return what surrounds `pairs` among the first `start` events, each pair's in `row`."""
        one, other = self._ends[:, pairs]
        weight = self._weight[:start]
        elapsed = (begin - self._at[:start]).astype(np.float64)
        left = remaining(elapsed, layout.half_lives_days[0])
        nobody = np.zeros(0, dtype=np.int64)
        graph = Graph(
            people=len(self.people),
            friend_one=nobody,
            friend_other=nobody,
            since=nobody,
            tie_one=one,
            tie_other=other,
            recent=np.bincount(row, weight * left, len(pairs)).astype(np.float64),
            volume=np.bincount(row, weight, len(pairs)).astype(np.float64),
            at=begin,
        )
        return structures(graph, one, other)
