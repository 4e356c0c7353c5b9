"""How good predictions are: discrimination, calibration and ranking."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr
from sklearn import metrics

Integers = NDArray[np.int64]


def auc(outcomes: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: how often a one outranks a nought, ties half.

    Returns NaN when the outcomes (n, 0 or 1) are all alike.
    """
    outcome = np.asarray(outcomes)
    if len(outcome) == 0 or outcome.min() == outcome.max():
        return float("nan")
    return float(metrics.roc_auc_score(outcome, np.asarray(scores)))


def log_loss(outcomes: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean negative log likelihood (nats) of n outcomes (0 or 1)."""
    return float(metrics.log_loss(np.asarray(outcomes), np.asarray(probabilities), labels=[0, 1]))


def calibration_error(outcomes: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Return the expected calibration error with bins of equal mass.

    Rows are ordered by probability and cut into at most `bins` groups of as nearly as may be the
    same size; rows of one probability are never parted, since they cannot be told apart. The error
    is the mean over rows of |observed frequency − mean probability| of the row's group (Naeini,
    Cooper and Hauskrecht, AAAI 2015; equal mass: Nguyen and O'Connor, EMNLP 2015).
    """
    outcome = np.asarray(outcomes, dtype=np.float64)
    probability = np.asarray(probabilities, dtype=np.float64)
    if len(outcome) == 0:
        return float("nan")
    group = equal_mass_groups(probability, bins)
    observed = np.bincount(group, outcome, bins)
    expected = np.bincount(group, probability, bins)
    return float(np.abs(observed - expected).sum() / len(outcome))


def equal_mass_groups(probabilities: ArrayLike, bins: int = 10) -> Integers:
    """Return each row's group (n, 0…bins−1) by `calibration_error`'s rule; some may be empty."""
    probability = np.asarray(probabilities, dtype=np.float64)
    _, level, rows = np.unique(probability, return_inverse=True, return_counts=True)
    # The group of a level is that of the middle of its rows.
    middle = np.cumsum(rows) - rows / 2
    group = np.minimum((middle * bins / len(probability)).astype(np.int64), bins - 1)
    return np.asarray(group[level])


def spearman(one: ArrayLike, other: ArrayLike) -> float:
    """Return the rank correlation of two columns (n each); NaN when either is constant."""
    x, y = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if len(x) < 2 or np.ptp(x) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    return float(spearmanr(x, y).statistic)


def ndcg_at_k(
    queries: ArrayLike,
    gains: ArrayLike,
    scores: ArrayLike,
    k: int | None = None,
    smallest: int = 2,
) -> float:
    """Return the normalised discounted cumulative gain, averaged over queries.

    Gains are taken as they are and discounted by log2(1 + place); rows of equal score share the
    mean of the gains they would get in any order (Järvelin and Kekäläinen 2002; ties: McSherry and
    Najork 2008).

    Parameters
    ----------
    queries
        n numbers that say which query a row belongs to.
    gains
        n gains ≥ 0.
    scores
        n scores, higher is better.
    k
        Only the best `k` places count; all of them when None.
    smallest
        Queries of fewer rows are left out; so are queries without any gain. At least 2.

    Returns
    -------
    float
        0…1, or NaN when no query is left.
    """
    gain = np.asarray(gains, dtype=np.float64)
    score = np.asarray(scores, dtype=np.float64)
    found = [
        float(metrics.ndcg_score(gain[None, rows], score[None, rows], k=k))
        for rows in _queries(queries)
        if len(rows) >= max(smallest, 2) and gain[rows].any()
    ]
    return float(np.mean(found)) if found else float("nan")


def recall_at_k(queries: ArrayLike, relevant: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Return the share of a query's relevant rows among its best `k`, averaged over queries.

    Parameters
    ----------
    queries, relevant, scores
        n numbers each: the query, 0 or 1, and the score; equal scores keep the rows' order.
    k
        Places that count.

    Returns
    -------
    float
        0…1 over the queries with a relevant row, or NaN when there is none.
    """
    wanted = np.asarray(relevant, dtype=np.float64)
    score = np.asarray(scores, dtype=np.float64)
    found = []
    for rows in _queries(queries):
        total = wanted[rows].sum()
        if total > 0:
            best = rows[np.argsort(-score[rows], kind="stable")[:k]]
            found.append(float(wanted[best].sum() / total))
    return float(np.mean(found)) if found else float("nan")


def _queries(queries: ArrayLike) -> Iterator[Integers]:
    """Yield the row numbers of each query, in the rows' order."""
    _, query = np.unique(np.asarray(queries), return_inverse=True)
    order = np.argsort(query, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(query[order])) + 1)
