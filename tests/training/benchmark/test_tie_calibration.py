"""A model's calibration error is set beside that of a perfect one of its size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.benchmark.tie_calibration import calibration
from training.evaluate import calibration_error, equal_mass_groups


def test_calibration_of_perfect_chances_has_a_ratio_near_one() -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(40):
        chance = rng.beta(0.8, 1.5, 400)
        ratios.append(calibration(rng.random(400) < chance, chance, 1, 200).ratio)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.12)


def test_calibration_of_chances_shifted_shows_a_ratio_far_above_one() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.2, 0.6, 2_000)
    judged = calibration(rng.random(2_000) < chance + 0.15, chance, 1, 200)
    assert judged.ratio > 4
    assert judged.error > judged.if_perfect_high > judged.if_perfect


def test_calibration_simulates_the_very_error_it_judges_by() -> None:
    # Few distinct chances, so that groups of unequal size come about.
    chance = np.random.default_rng(0).choice([0.1, 0.35, 0.5, 0.9], 300, p=[0.6, 0.2, 0.1, 0.1])
    rng = np.random.default_rng(1)
    drawn = [calibration_error(rng.random(300) < chance, chance) for _ in range(2_000)]
    judged = calibration(np.zeros(300), chance, 1, 2_000)
    assert judged.error == calibration_error(np.zeros(300), chance)
    assert judged.if_perfect == pytest.approx(np.mean(drawn), rel=0.03)
    assert judged.if_perfect_high == pytest.approx(np.percentile(drawn, 95), rel=0.05)


def test_calibration_of_nothing_or_of_certainty_has_no_ratio() -> None:
    assert math.isnan(calibration([], [], 1).ratio)
    sure = calibration([0, 1, 1], [0.0, 1.0, 1.0], 1, 10)
    assert (sure.error, sure.if_perfect) == (0.0, 0.0)
    assert math.isnan(sure.ratio)


def test_equal_mass_groups_never_part_equal_chances_and_are_as_even_as_may_be() -> None:
    assert equal_mass_groups([0.5, 0.1, 0.5, 0.9], 2).tolist() == [1, 0, 1, 1]
    spread = np.random.default_rng(0).random(1_000)
    assert np.bincount(equal_mass_groups(spread)).tolist() == [100] * 10
