"""A pair's features as the members of the tie model read them: as they are, and as rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.clock import DAY
from engine.domain.pair_state import Floats, Ints, Layout
from engine.domain.structure import Structure
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from models.tie_rows import TieRows

_SHORTEST_SPAN = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class TieMatrix:
    """The features of n pairs (n × k each).

    `raw` as they are; `rates` with every sum divided by the weeks of events it can have gathered
    (`FeatureSet.weeks`): what a young log taught of rates holds in the same log when it is older,
    what it taught of sums does not. Durations have no rate and are 0 there. `logs` and `log_rates`
    are log(1 + x) of the two.
    """

    raw: Floats
    logs: Floats
    rates: Floats
    log_rates: Floats

    def __len__(self) -> int:
        return len(self.raw)

    @classmethod
    def of(cls, features: FeatureSet[PairView], view: PairView, begins: int) -> TieMatrix:
        """Return the matrix of the pairs in `view`, of a log that began at `begins` (microseconds).

        What surrounds a pair is a rate as of its own instant: that time passes changes nothing.
        """
        raw = features.compute(view, len(view))
        around = list(features.around)
        as_of = view.around(Structure.AS_OF)
        if len(view) and (view.at == view.at[0]).all():
            weeks = features.weeks(_span_days(view.at[0], begins))
        else:
            some, place = np.unique(view.at, return_inverse=True)
            weeks = features.weeks(_span_days(some, begins))[place]
        rates = raw / weeks
        rates[:, around] = raw[:, around] / features.weeks(_span_days(as_of, begins), around)
        return cls(raw, np.log1p(raw), rates, np.log1p(rates))

    @classmethod
    def of_rows(
        cls, features: FeatureSet[PairView], layout: Layout, rows: TieRows, begins: int
    ) -> TieMatrix:
        """Return the matrix of `rows` from a log that began at `begins` (microseconds)."""
        view = PairView.of(layout, rows.out, rows.back, rows.structure, rows.at)
        return cls.of(features, view, begins)

    def take(self, rows: Ints) -> TieMatrix:
        """Return the rows that an index or a mask names."""
        return TieMatrix(self.raw[rows], self.logs[rows], self.rates[rows], self.log_rates[rows])


def _span_days(at: Floats | Ints | np.int64, begins: int) -> Floats:
    """Return how long a log had been written by `at` (microseconds, one or n), in days."""
    return np.maximum((np.asarray(at, dtype=np.float64) - begins) / DAY, _SHORTEST_SPAN)
