"""The four measures of a score of pairs, under any weights of people: one town or a thousand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.pair_state import Floats, Ints

MEASURES = ("auc_any", "auc_heavy", "spearman", "ego_ndcg")
"""In the order in which they are reported."""

SMALLEST_EGO = 3
"""A person with fewer ties has no order to get right."""

_HEAVY_SHARE = 0.1

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """n rows put in order of a column, from which come mid-ranks under any weights."""

    order: Ints
    """Row numbers (n), by value."""
    begins: Ints | None
    """Where the group of equal values of each place begins (n), and where it ends; None when all
    values differ."""
    ends: Ints | None

    @classmethod
    def of(cls, column: Floats) -> Ranking:
        """Order the rows of a column (n)."""
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(column)])
        size = np.diff(np.append(first, len(column)))
        if len(first) == len(column):
            return cls(order, None, None)
        return cls(order, np.repeat(first, size), np.repeat(first + size, size))

    def mid_ranks(self, ordered: Floats) -> Floats:
        """Return the weight below each place and half of that of its equals (draws × n).

        `ordered` are the weights (draws × n) in this order. Weighted by themselves the ranks have
        the mean total/2, whatever the values.
        """
        if self.begins is None or self.ends is None:
            return np.asarray(np.cumsum(ordered, axis=1) - ordered / 2)
        reached = np.zeros((len(ordered), ordered.shape[1] + 1))
        np.cumsum(ordered, axis=1, out=reached[:, 1:])
        return (reached.take(self.begins, axis=1) + reached.take(self.ends, axis=1)) / 2


@dataclass(frozen=True, slots=True, eq=False)
class PairOutcomes:
    """What followed of n pairs at one cut-off.

    `first` and `second` number the people (0…p−1), `volume` is what the pair exchanged in the
    horizon. Heavy are the pairs with a tenth of the largest volumes (with those that equal the
    smallest of it), and none without an exchange.
    """

    first: Ints
    second: Ints
    volume: Floats
    exchanged: Bools
    heavy: Bools
    by_volume: Ranking

    @classmethod
    def of(cls, first: ArrayLike, second: ArrayLike, volume: ArrayLike) -> PairOutcomes:
        """Prepare the outcomes of n pairs of numbered people."""
        volumes = np.asarray(volume, dtype=np.float64)
        exchanged = volumes > 0
        heavy = exchanged
        if len(volumes):
            least = np.sort(volumes)[-max(1, round(_HEAVY_SHARE * len(volumes)))]
            heavy = exchanged & (volumes >= least)
        one, other = np.asarray(first, dtype=np.int64), np.asarray(second, dtype=np.int64)
        return cls(one, other, volumes, exchanged, heavy, Ranking.of(volumes))

    def __len__(self) -> int:
        return len(self.volume)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights (≥ 0) of the pairs and people of one cut-off in several draws.

    A whole weight counts a pair that many times. What follows from them alone, whatever the score,
    is worked out once.
    """

    pairs: Floats
    """draws × n."""
    people: Floats
    """draws × p."""
    total: Floats
    """draws × 1."""
    ranked: Floats
    """Weight times centred mid-rank of the future volume (draws × n)."""
    spread: Floats
    """Weighted sum of squares of those ranks (draws)."""

    @classmethod
    def of(cls, outcomes: PairOutcomes, pairs: Floats, people: Floats) -> Weights:
        """Prepare weights of pairs (draws × n) and of the people as egos (draws × p)."""
        order, total = outcomes.by_volume.order, pairs.sum(axis=1, keepdims=True)
        ordered = pairs.take(order, axis=1)
        rank = outcomes.by_volume.mid_ranks(ordered) - total / 2
        ranked = np.empty_like(pairs)
        ranked[:, order] = ordered * rank
        return cls(pairs, people, total, ranked, np.einsum("dn,dn,dn->d", ordered, rank, rank))


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredScore:
    """A score of the pairs at one cut-off, prepared for being measured under many weights."""

    ranking: Ranking
    labels: Floats
    """Which pairs exchanged something and which are heavy, in the score's order (n × 2)."""
    egos: Ints
    """The people whose own ties have an order to get right, and their NDCG."""
    ndcg: Floats

    @classmethod
    def of(cls, outcomes: PairOutcomes, score: ArrayLike) -> MeasuredScore:
        """Prepare one score (n, higher is stronger)."""
        scores = np.asarray(score, dtype=np.float64)
        egos, ndcg = ndcg_by_ego(
            np.concatenate([outcomes.first, outcomes.second]),
            np.tile(outcomes.volume, 2),
            np.tile(scores, 2),
        )
        ranking = Ranking.of(scores)
        labels = np.stack([outcomes.exchanged, outcomes.heavy], axis=1)[ranking.order]
        return cls(ranking, labels.astype(np.float64), egos, ndcg)

    def measures(self, given: Weights) -> Mapping[str, Floats]:
        """Return each of `MEASURES` (draws) under weights.

        The areas under the curve are those of the rank sum (Mann and Whitney 1947), ties half, and
        the rank correlation is Spearman's with mid-ranks: under whole weights those of the rows
        repeated. The egos are averaged by the weights of the people. NaN where a draw leaves
        nothing to measure: one outcome only, one score, no ego.
        """
        ordered = given.pairs.take(self.ranking.order, axis=1)
        rank = self.ranking.mid_ranks(ordered) - given.total / 2
        weighted = ordered * rank
        ones = ordered @ self.labels
        # Among themselves the ones have the mean rank ones/2, which leaves ones above noughts.
        noughts = given.total - ones
        above = weighted @ self.labels + ones * noughts / 2
        areas = _ratio(above, ones * noughts)
        spread = np.einsum("dn,dn->d", weighted, rank) * given.spread
        together = np.einsum("dn,dn->d", rank, given.ranked.take(self.ranking.order, axis=1))
        egos = given.people.take(self.egos, axis=1)
        return {
            "auc_any": areas[:, 0],
            "auc_heavy": areas[:, 1],
            "spearman": _ratio(together, np.sqrt(spread)),
            "ego_ndcg": _ratio(egos @ self.ndcg, egos.sum(axis=1)),
        }


def ndcg_by_ego(
    ego: Ints, gain: Floats, score: Floats, smallest: int = SMALLEST_EGO
) -> tuple[Ints, Floats]:
    """Return the people (ascending) that have `smallest` rows or more and any gain, and their NDCG.

    Gains (n, ≥ 0) are discounted by log2(1 + place) and set against those of the best order; rows
    of equal score share the mean of the gains they would get in any order (Järvelin and Kekäläinen,
    ACM TOIS 20, 2002; ties: McSherry and Najork, ECIR 2008).
    """
    people, row, size = np.unique(ego, return_inverse=True, return_counts=True)
    first = np.cumsum(size) - size
    by_score, by_gain = np.lexsort((-score, row)), np.lexsort((-gain, row))
    owner = np.repeat(np.arange(len(people)), size)
    discount = 1.0 / np.log2(np.arange(len(ego)) - first[owner] + 2.0)
    ranked, ordered = gain[by_score], score[by_score]
    begins = np.ones(len(ego), dtype=bool)
    begins[1:] = (owner[1:] != owner[:-1]) | (ordered[1:] != ordered[:-1])
    tied = np.cumsum(begins) - 1
    shared = np.bincount(tied, ranked) / np.bincount(tied)
    found = np.bincount(owner, shared[tied] * discount, len(people))
    best = np.bincount(owner, gain[by_gain] * discount, len(people))
    kept = np.flatnonzero((size >= smallest) & (best > 0))
    return people[kept], found[kept] / best[kept]


def _ratio(part: Floats, whole: Floats) -> Floats:
    found = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=found, where=whole > 0)
    return found
