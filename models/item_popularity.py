"""What is popular: overall, of late, and for an occasion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from engine.domain.decay import remaining
from engine.domain.errors import ModelError
from engine.domain.occasions import OCCASIONS
from engine.domain.pair_state import Floats, Ints
from models.item_catalogue import ItemCatalogue

_HALF_LIFE_DAYS = 30.0
_PRIOR_GIFTS = 20.0
"""How many gifts of the common mix an occasion is thought to have seen before any was seen."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemPopularity:
    """Log popularity of n items and how occasions shift categories and kinds.

    `overall`, `recent` (decayed) and `given` (gifts only, decayed) are log((c + 1) / (mean c + 1))
    of the weight c of an item's signals, so that nought is the mean item, whatever the size of the
    log. `category_lift` and `kind_lift` are log(share under the occasion / share overall), one row
    an occasion.
    """

    overall: Floats
    recent: Floats
    given: Floats
    category_lift: Floats
    """`len(OCCASIONS)` × categories."""
    kind_lift: Floats
    """`len(OCCASIONS)` × kinds."""

    @classmethod
    def fit(
        cls,
        catalogue: ItemCatalogue,
        *,
        item: Ints,
        weight: Floats,
        at: Ints,
        gift_item: Ints,
        gift_at: Ints,
        gift_occasion: Ints,
    ) -> ItemPopularity:
        """Count signals and gifts.

        Parameters
        ----------
        catalogue
            Of n items.
        item, weight, at
            One entry a signal: the position, the weight and the time (microseconds). Age counts
            from the newest signal.
        gift_item, gift_at, gift_occasion
            One entry a gift: the position, the time, and the index in `OCCASIONS`.
        """
        n = len(catalogue)
        category = catalogue.category[gift_item]
        kind = catalogue.kind[gift_item]
        return cls(
            _log_popularity(item, weight, n),
            _log_popularity(item, weight * _left(at), n),
            _log_popularity(gift_item, _left(gift_at), n),
            _lift(gift_occasion, category, catalogue.category_count),
            _lift(gift_occasion, kind, catalogue.kind_count),
        )

    def save(self, path: Path) -> None:
        """Write the numbers to `path` (npz)."""
        np.savez_compressed(
            path,
            overall=self.overall,
            recent=self.recent,
            given=self.given,
            category_lift=self.category_lift,
            kind_lift=self.kind_lift,
        )

    @classmethod
    def load(cls, path: Path) -> ItemPopularity:
        """Return the popularity stored at `path`.

        Raises
        ------
        ModelError
            If the file is absent or unreadable.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(
                    stored["overall"],
                    stored["recent"],
                    stored["given"],
                    stored["category_lift"],
                    stored["kind_lift"],
                )
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise ModelError(f"cannot read the popularity at {path}", "train again") from error


def occasion_index(occasion: str) -> int:
    """Return the row of `occasion`; one that is not in the calendar counts as `none`."""
    return OCCASIONS.index(occasion if occasion in OCCASIONS else "none")


def _left(at: Ints) -> Floats:
    if len(at) == 0:
        return np.zeros(0)
    return remaining((at.max() - at).astype(np.float64), _HALF_LIFE_DAYS)


def _log_popularity(item: Ints, weight: Floats, n: int) -> Floats:
    weights = np.bincount(item, weight, n).astype(np.float64)
    mean = weights.mean() if len(weights) else 0.0
    return np.asarray(np.log((weights + 1.0) / (mean + 1.0)), dtype=np.float64)


def _lift(occasion: Ints, code: Ints, codes: int) -> Floats:
    cells = np.bincount(occasion * codes + code, minlength=len(OCCASIONS) * codes)
    counts = cells.reshape(len(OCCASIONS), codes).astype(np.float64)
    common = (counts.sum(axis=0) + 1.0) / (counts.sum() + codes)
    within = counts + _PRIOR_GIFTS * common
    lift = np.log(within / within.sum(axis=1, keepdims=True) / common)
    return np.asarray(lift, dtype=np.float64)
