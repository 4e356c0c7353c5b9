"""Reproducible chance: one random stream a stage, and draws from many distributions at once."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


def stream(seed: int, stage: str) -> np.random.Generator:
    """Return the random stream of one stage: a change in one stage leaves the others' draws."""
    entropy = np.random.SeedSequence([seed, crc32(stage.encode())])
    return np.random.Generator(np.random.PCG64(entropy))


def happens(rng: np.random.Generator, probability: Floats | float, size: int) -> Bools:
    """Return `size` independent coin tosses, true with `probability` (one, or one each)."""
    return rng.random(size) < probability


def log_normal(rng: np.random.Generator, sd: float, size: int) -> Floats:
    """Return `size` log-normal draws with median 1 and `sd` of the logarithm."""
    return np.exp(rng.normal(0.0, sd, size))


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + e^−logit)."""
    return 1.0 / (1.0 + np.exp(-logit))


def rank_within(group: Ints) -> Ints:
    """Return each entry's place (from 0) among the entries of its group.

    Parameters
    ----------
    group
        Group numbers, equal ones standing together.
    """
    if len(group) == 0:
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    lengths = np.diff(np.r_[starts, len(group)])
    return np.arange(len(group)) - np.repeat(starts, lengths)


@dataclass(frozen=True, slots=True)
class Urns:
    """Rows of weights to draw columns from.

    Each row's running sum is shifted by the row's number, so that all rows are one increasing
    sequence and a single binary search serves draws from any of them.
    """

    running: Floats
    columns: int

    @classmethod
    def of(cls, weights: Floats) -> Urns:
        """Build urns from weights (rows × columns, ≥ 0, each row with a positive sum)."""
        running = np.cumsum(weights, axis=1)
        running /= running[:, -1:]
        running += np.arange(len(weights))[:, None]
        return cls(running.ravel(), weights.shape[1])

    def draw(self, rng: np.random.Generator, rows: Ints) -> Ints:
        """Return one column for each entry of `rows`."""
        found = np.searchsorted(self.running, rows + rng.random(len(rows)), side="right")
        # Rounding may push a draw past its row's last step by one place.
        column: Ints = np.minimum(found - rows * self.columns, self.columns - 1)
        return column
