"""Which pairs a model is judged on apart: by degree, account age, new pairs and one-sided ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.domain.pair_state import EXCHANGES, Floats, Ints, Layout, decayed_to
from models.tie_rows import TieRows
from training.evaluate import auc

LONG_RUN = Layout((180.0,))
"""States at one half-life so long that the decayed sum is the long-run volume."""

FEWEST = 10
"""Pairs that exchanged something, and pairs that did not, below which a slice has no AUC."""

_TERCILES = (1 / 3, 2 / 3)

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PairPast:
    """What the log says of n pairs before one cut-off.

    `volume` is what both sides exchanged, halved every 180 days; `first_at` and `cutoff` are
    microseconds of one origin; `one_sided` are the pairs of which one never gave.
    """

    volume: Floats
    first_at: Ints
    one_sided: Bools
    cutoff: int

    @classmethod
    def of(cls, rows: TieRows) -> PairPast:
        """Read it from states of the layout `LONG_RUN`, all as of one instant."""
        kinds = list(EXCHANGES)
        given = [state[:, LONG_RUN.counts][:, kinds].sum(axis=1) for state in (rows.out, rows.back)]
        decayed = decayed_to(LONG_RUN, rows.out, rows.at) + decayed_to(LONG_RUN, rows.back, rows.at)
        never = 2.0**62  # a whole number both as a float and as an integer
        firsts = [
            np.where(state[:, LONG_RUN.first_at] > 0, state[:, LONG_RUN.first_at], never)
            for state in (rows.out, rows.back)
        ]
        return cls(
            volume=np.asarray(decayed[:, LONG_RUN.sums][:, kinds].sum(axis=1)),
            first_at=np.minimum(*firsts).astype(np.int64),
            one_sided=(given[0] == 0) | (given[1] == 0),
            cutoff=int(rows.at[0]) if len(rows) else 0,
        )


def slices(past: PairPast, first: Ints, second: Ints, horizon_us: int) -> dict[str, Bools]:
    """Return which of n pairs (of numbered people) belong to each slice.

    `degree_low`, `_middle` and `_high` are terciles of the ties that the end with fewer has;
    `account_young` are pairs of which an end first appeared in the latest third of the log before
    the cut-off; `new` pairs first exchanged within the last horizon before it.
    """
    ends = np.concatenate([first, second])
    degree = np.bincount(ends)
    fewer = np.minimum(degree[first], degree[second])
    low, middle = np.quantile(fewer, _TERCILES, method="inverted_cdf")
    appeared = np.full(len(degree), np.iinfo(np.int64).max)
    np.minimum.at(appeared, ends, np.tile(past.first_at, 2))
    begun = int(past.first_at.min())
    young_from = past.cutoff - (past.cutoff - begun) / 3
    young = np.maximum(appeared[first], appeared[second]) >= young_from
    new = past.first_at >= past.cutoff - horizon_us
    return {
        "degree_low": fewer <= low,
        "degree_middle": (fewer > low) & (fewer <= middle),
        "degree_high": fewer > middle,
        "account_young": young,
        "account_old": ~young,
        "new": new,
        "known": ~new,
        "one_sided": past.one_sided,
        "mutual": ~past.one_sided,
    }


def slice_aucs(
    cutoffs: Sequence[tuple[Mapping[str, Bools], Bools, Mapping[str, Floats]]],
) -> tuple[dict[str, int], dict[str, dict[str, float]]]:
    """Return how many pairs each slice has over all cut-offs, and each score's AUC within it.

    Parameters
    ----------
    cutoffs
        For each cut-off its slices, which pairs exchanged something, and scores by name.

    Returns
    -------
    tuple
        The AUCs, by slice and score, are averages over the cut-offs at which the slice holds
        `FEWEST` pairs of either outcome; a slice that never does is left out of them.
    """
    pairs: dict[str, int] = {}
    found: dict[str, list[dict[str, float]]] = {}
    for parts, exchanged, scores in cutoffs:
        for name, part in parts.items():
            pairs[name] = pairs.get(name, 0) + int(part.sum())
            ones = int(exchanged[part].sum())
            if min(ones, int(part.sum()) - ones) >= FEWEST:
                aucs = {by: auc(exchanged[part], score[part]) for by, score in scores.items()}
                found.setdefault(name, []).append(aucs)
    averaged = {
        name: {by: float(np.mean([one[by] for one in aucs])) for by in aucs[0]}
        for name, aucs in found.items()
    }
    return pairs, averaged
