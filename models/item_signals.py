"""What a person's signals say of their taste: one weight an item, newer signals counting more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.decay import remaining
from engine.domain.pair_state import Floats, Ints
from engine.domain.ports import GAVE, HISTORY_LIMIT, RECEIVED, ItemSignal
from models.item_catalogue import UNKNOWN, ItemCatalogue

SIGNAL_WEIGHTS = {"bought": 2.0, "wished": 2.0, "liked": 1.0, RECEIVED: 1.0, GAVE: 1.0}
"""How much a signal of each kind says of a taste; another kind counts `OTHER_WEIGHT`."""
OTHER_WEIGHT = 0.5

_HALF_LIFE_DAYS = 180.0
_HEAVIEST = 4.0
"""Tenfold purchases of one thing should not drown a taste."""


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """What a history says; positions are those of a catalogue of n items."""

    weights: Floats
    """A weight ≥ 0 an item, n."""
    category: Floats
    """The share of each category in the weights; all nought without signals."""
    kind: Floats
    signals: int
    """How many known items' signals went in."""

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return float(self.weights.sum())


def signal_weights(kinds: Sequence[str]) -> Floats:
    """Return the weight of each kind of signal."""
    return np.array([SIGNAL_WEIGHTS.get(kind, OTHER_WEIGHT) for kind in kinds], dtype=np.float64)


def taste_of(
    catalogue: ItemCatalogue, history: Sequence[ItemSignal], limit: int = HISTORY_LIMIT
) -> Taste:
    """Return the taste that a history shows.

    A signal's age counts from the newest signal of the history, not from the present: a taste does
    not fade because its owner was away, and a log without usable times weighs all alike.

    Parameters
    ----------
    catalogue
        Which items have a place; signals of others are left out.
    history
        Signals, newest first.
    limit
        Only the first so many count.
    """
    seen = history[:limit]
    position = catalogue.positions(signal.item for signal in seen)
    at = np.array([signal.occurred_at for signal in seen], dtype=np.int64)
    weight = signal_weights([signal.kind for signal in seen])
    known = position != UNKNOWN
    position, at, weight = position[known], at[known], weight[known]
    if len(position):
        weight = weight * remaining((at.max() - at).astype(np.float64), _HALF_LIFE_DAYS)
    weights = np.minimum(np.bincount(position, weight, len(catalogue)), _HEAVIEST)
    return Taste(
        weights,
        _shares(catalogue.category[position], weight, catalogue.category_count),
        _shares(catalogue.kind[position], weight, catalogue.kind_count),
        len(position),
    )


def of_kinds(history: Sequence[ItemSignal], *kinds: str) -> tuple[ItemSignal, ...]:
    """Return the signals of `history` that are of one of `kinds`, in their order."""
    return tuple(signal for signal in history if signal.kind in kinds)


def _shares(codes: Ints, weight: Floats, size: int) -> Floats:
    sums = np.bincount(codes, weight, size).astype(np.float64)
    total = sums.sum()
    return sums / total if total > 0 else sums
