"""How far chances are from what happened, and how far a perfect model's would be by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from training.evaluate import calibration_error, equal_mass_groups

DRAWS = 1_000
_HIGH = 95.0
_BLOCK = 1_000_000
"""Drawn outcomes held at a time."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The calibration error of a model, beside those of one of its size that is never wrong.

    `if_perfect` is the mean of the latter and `if_perfect_high` what one in twenty exceeds.
    """

    error: float
    if_perfect: float
    if_perfect_high: float

    @property
    def ratio(self) -> float:
        """The error against what chance alone would show on average; near 1 if it is calibrated."""
        return self.error / self.if_perfect if self.if_perfect > 0 else float("nan")


def calibration(
    outcomes: ArrayLike, probabilities: ArrayLike, seed: int, draws: int = DRAWS
) -> Calibration:
    """Set the calibration error of n outcomes (0 or 1) beside that of a perfectly calibrated model.

    The latter is simulated: outcomes are drawn, independently, from the very probabilities that
    are judged, and the error (`training.evaluate.calibration_error`, the same groups) of each draw
    is taken. With pairs that are looked at several times the true chance error is larger, since
    their outcomes hang together; this is the stricter yardstick.
    """
    probability = np.asarray(probabilities, dtype=np.float64)
    if len(probability) == 0:
        return Calibration(*[float("nan")] * 3)
    group = equal_mass_groups(probability)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    chance = probability[order]
    expected = np.add.reduceat(chance, starts)
    rng = np.random.default_rng(seed)
    found = np.empty(draws)
    block = max(1, _BLOCK // len(chance))
    for begin in range(0, draws, block):
        size = min(block, draws - begin)
        drawn = rng.random((size, len(chance)), dtype=np.float32) < chance
        observed = np.add.reduceat(drawn, starts, axis=1, dtype=np.int64)
        gaps = np.abs(observed - expected).sum(axis=1)
        found[begin : begin + size] = gaps / len(chance)
    return Calibration(
        calibration_error(outcomes, probability),
        float(found.mean()),
        float(np.percentile(found, _HIGH)),
    )
