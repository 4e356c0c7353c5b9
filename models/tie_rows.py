"""Pairs at an instant with what they exchanged afterwards: what a tie model learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.domain.pair_state import EXCHANGES, Floats, Ints, Layout


@dataclass(frozen=True, slots=True, eq=False)
class TieRows:
    """n unordered pairs, each as it stood at its own instant.

    `out` and `back` are the states (n × width) of first → second and back, as stored; `structure`
    what surrounded them (n × `engine.domain.structure.WIDTH`); `at` is the instant in
    microseconds; `amount` the weight exchanged by both within the horizon from `at`; `pair` is a
    number that the rows of one pair share.
    """

    out: Floats
    back: Floats
    structure: Floats
    at: Ints
    amount: Floats
    pair: Ints

    def __len__(self) -> int:
        return len(self.at)

    @property
    def exchanged(self) -> Floats:
        """1.0 where anything was exchanged within the horizon, else 0.0."""
        return (self.amount > 0).astype(np.float64)

    def known(self, layout: Layout) -> NDArray[np.bool_]:
        """Tell which pairs (n), of states in `layout`, had exchanged anything by their instant."""
        counts = (self.out + self.back)[:, layout.counts]
        return np.asarray(counts[:, EXCHANGES].any(axis=1))

    def take(self, rows: Ints | NDArray[np.bool_]) -> TieRows:
        """Return the rows that an index or a mask names."""
        return TieRows(
            self.out[rows],
            self.back[rows],
            self.structure[rows],
            self.at[rows],
            self.amount[rows],
            self.pair[rows],
        )

    @classmethod
    def joined(cls, parts: Sequence[TieRows]) -> TieRows:
        """Return the rows of all `parts` (one at least), in order."""
        return cls(
            np.concatenate([part.out for part in parts]),
            np.concatenate([part.back for part in parts]),
            np.concatenate([part.structure for part in parts]),
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.amount for part in parts]),
            np.concatenate([part.pair for part in parts]),
        )
