"""The measures are those of scikit-learn and SciPy, and whole weights are rows repeated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.benchmark.tie_measures import MEASURES, MeasuredScore, PairOutcomes, Weights
from training.evaluate import auc, ndcg_at_k, spearman

PEOPLE = 8
_PAIRS = [(a, b) for a in range(PEOPLE) for b in range(a + 1, PEOPLE)]


def _measured(
    ends: np.ndarray, volume: np.ndarray, score: np.ndarray, weights: np.ndarray
) -> dict[str, float]:
    outcomes = PairOutcomes.of(*ends.T, volume)
    given = Weights.of(outcomes, weights[None].astype(float), np.ones((1, PEOPLE)))
    found = MeasuredScore.of(outcomes, score).measures(given)
    assert tuple(found) == MEASURES
    return {name: float(values[0]) for name, values in found.items()}


def _expected(ends: np.ndarray, volume: np.ndarray, score: np.ndarray) -> dict[str, float]:
    least = np.sort(volume)[-max(1, round(0.1 * len(volume)))]
    return {
        "auc_any": auc(volume > 0, score),
        "auc_heavy": auc((volume > 0) & (volume >= least), score),
        "spearman": spearman(score, volume),
        "ego_ndcg": ndcg_at_k(ends.T.ravel(), np.tile(volume, 2), np.tile(score, 2), smallest=3),
    }


# Few distinct values, so that ties of every kind come up.
ROWS = st.lists(
    st.tuples(st.sampled_from(_PAIRS), st.integers(0, 4), st.integers(0, 5), st.integers(0, 3)),
    min_size=2,
    max_size=40,
    unique_by=lambda row: row[0],
)


@given(ROWS)
def test_measures_with_weights_of_one_are_those_of_the_libraries(
    rows: list[tuple[tuple[int, int], int, int, int]],
) -> None:
    ends = np.array([row[0] for row in rows])
    volume, score = (np.array([float(row[i]) for row in rows]) for i in (1, 2))
    found = _measured(ends, volume, score, np.ones(len(rows)))
    assert found == pytest.approx(_expected(ends, volume, score), nan_ok=True, abs=1e-12)


@given(ROWS)
def test_measures_with_whole_weights_are_those_of_the_rows_repeated(
    rows: list[tuple[tuple[int, int], int, int, int]],
) -> None:
    ends = np.array([row[0] for row in rows])
    volume, score, times = (np.array([float(row[i]) for row in rows]) for i in (1, 2, 3))
    found = _measured(ends, volume, score, times)
    heavy = PairOutcomes.of(*ends.T, volume).heavy
    repeated = np.repeat(np.arange(len(rows)), times.astype(int))
    assert found["auc_any"] == pytest.approx(
        auc(volume[repeated] > 0, score[repeated]), nan_ok=True, abs=1e-12
    )
    assert found["auc_heavy"] == pytest.approx(
        auc(heavy[repeated], score[repeated]), nan_ok=True, abs=1e-12
    )
    assert found["spearman"] == pytest.approx(
        spearman(score[repeated], volume[repeated]), nan_ok=True, abs=1e-12
    )


def test_measures_average_the_egos_by_the_weights_of_the_people() -> None:
    # 0 has its three ties in the right order, 4 has them reversed; nobody else has three.
    ends = np.array([(0, 1), (0, 2), (0, 3), (4, 5), (4, 6), (4, 7)])
    volume = np.array([3.0, 2.0, 1.0, 3.0, 2.0, 1.0])
    score = np.array([3.0, 2.0, 1.0, 1.0, 2.0, 3.0])
    outcomes = PairOutcomes.of(*ends.T, volume)
    people = np.array([[1, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 3, 0, 0, 0], [0] * 8], dtype=float)
    given = Weights.of(outcomes, np.ones((3, 6)), people)
    found = MeasuredScore.of(outcomes, score).measures(given)["ego_ndcg"]
    place = 1 / np.log2([2, 3, 4])
    reversed_ = (1 * place[0] + 2 * place[1] + 3 * place[2]) / (place @ [3, 2, 1])
    assert found[:2] == pytest.approx([1.0, (1 + 3 * reversed_) / 4])
    assert math.isnan(found[2])


def test_measures_of_no_pairs_or_one_outcome_have_no_value() -> None:
    nothing = PairOutcomes.of([], [], [])
    given = Weights.of(nothing, np.ones((2, 0)), np.ones((2, 4)))
    for values in MeasuredScore.of(nothing, []).measures(given).values():
        assert np.isnan(values).tolist() == [True, True]
    silent = _measured(np.array([(0, 1), (0, 2), (0, 3)]), np.zeros(3), np.arange(3.0), np.ones(3))
    assert all(math.isnan(value) for value in silent.values())
