"""Selling by the founding rules: no sale passes the daily cap or the stock."""

from __future__ import annotations

import numpy as np

from training.simulate.catalogue import Catalogue
from training.simulate.chance import Ints, rank_within
from training.simulate.people import Population
from training.simulate.timeline import NEVER, Span, local_day_of


class Counter:
    """Sells gifts by the founding rules: the daily cap and the stock hold across all calls."""

    def __init__(
        self, people: Population, catalogue: Catalogue, sold: Ints, span: Span, cap: int
    ) -> None:
        self._people = people
        self._catalogue = catalogue
        self._left = np.where(catalogue.units < NEVER, catalogue.units - sold, NEVER)
        self._span = span
        self._cap = cap
        # Local days reach one past the span's on either side.
        self._width = span.days + 2
        self._sent = np.zeros(len(people) * self._width, dtype=np.int64)

    @property
    def left(self) -> Ints:
        """How many of each item are left; `NEVER` without limit."""
        return self._left.copy()

    def sell(self, sender: Ints, item: Ints, at: Ints) -> Ints:
        """Return the indices of the sales that cap and stock allow; earlier ones come first."""
        order = np.lexsort((item, sender, at))
        by_item = order[np.argsort(item[order], kind="stable")]
        in_stock = rank_within(item[by_item]) < self._left[item[by_item]]
        order = np.sort(by_item[in_stock])
        order = order[np.lexsort((item[order], sender[order], at[order]))]
        day = local_day_of(at[order], self._people.offset[sender[order]])
        slot = sender[order] * self._width + day - self._span.local_days()[0] + 1
        by_slot = np.argsort(slot, kind="stable")
        slot = slot[by_slot]
        fits = self._sent[slot] + rank_within(slot) < self._cap
        sold = order[by_slot[fits]]
        np.add.at(self._sent, slot[fits], 1)
        limited = item[sold][self._left[item[sold]] < NEVER]
        np.subtract.at(self._left, limited, 1)
        return np.sort(sold)
