"""The metrics agree with their definitions on cases that can be worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.evaluate import auc, calibration_error, log_loss, ndcg_at_k, recall_at_k, spearman


def test_auc_counts_pairs_in_order_and_ties_half() -> None:
    assert auc([0, 0, 1, 1], [1.0, 2.0, 2.0, 3.0]) == pytest.approx(3.5 / 4)
    assert math.isnan(auc([1, 1], [0.1, 0.2]))
    assert math.isnan(auc([], []))


def test_log_loss_is_the_mean_negative_log_likelihood() -> None:
    assert log_loss([1, 0], [0.5, 0.25]) == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2)
    assert log_loss([1, 1], [0.5, 0.5]) == pytest.approx(math.log(2))


def test_calibration_error_of_two_groups_is_the_mean_gap_over_rows() -> None:
    outcomes = [1, 0, 0, 0, 1, 1, 1, 0]
    probabilities = [0.2] * 4 + [0.6] * 4
    assert calibration_error(outcomes, probabilities, bins=2) == pytest.approx((0.05 + 0.15) / 2)


def test_calibration_error_never_parts_equal_probabilities() -> None:
    # Cut by rows, the order of the ties would decide: 1, 1, 0, 0 in two groups gives 0.5.
    assert calibration_error([1, 1, 0, 0], [0.5] * 4, bins=2) == 0.0
    assert calibration_error([0, 1, 0, 1], [0.5] * 4, bins=2) == 0.0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60))
def test_calibration_error_lies_between_the_overall_gap_and_one(
    rows: list[tuple[bool, float]],
) -> None:
    outcomes = np.array([float(outcome) for outcome, _ in rows])
    chances = np.array([chance for _, chance in rows])
    error = calibration_error(outcomes, chances)
    assert abs(outcomes.mean() - chances.mean()) - 1e-9 <= error <= 1.0 + 1e-9


def test_ndcg_averages_queries_and_leaves_out_the_small_and_the_empty() -> None:
    query = [0, 0, 0, 1, 1, 2, 2, 2]
    gain = [0, 2, 1, 5, 0, 0, 0, 0]
    score = [3, 2, 1, 1, 2, 1, 2, 3]
    first = (2 / math.log2(3) + 1 / math.log2(4)) / (2 + 1 / math.log2(3))
    second = 1 / math.log2(3)
    assert ndcg_at_k(query, gain, score) == pytest.approx((first + second) / 2)
    assert ndcg_at_k(query, gain, score, smallest=3) == pytest.approx(first)
    assert ndcg_at_k(query, gain, score, k=1, smallest=3) == 0.0
    assert math.isnan(ndcg_at_k([0, 1], [1, 1], [1, 1]))


def test_recall_is_the_share_found_of_what_is_relevant() -> None:
    query, relevant = [7, 7, 7, 8, 8, 9], [1, 0, 1, 1, 0, 0]
    score = [0.9, 0.8, 0.1, 0.1, 0.2, 1.0]
    assert recall_at_k(query, relevant, score, 1) == pytest.approx((0.5 + 0.0) / 2)
    assert recall_at_k(query, relevant, score, 3) == 1.0
    assert math.isnan(recall_at_k([1], [0], [0.5], 1))


def test_spearman_of_a_constant_is_undefined() -> None:
    assert spearman([1, 2, 3], [2, 4, 9]) == pytest.approx(1.0)
    assert math.isnan(spearman([1, 1, 1], [2, 4, 9]))
