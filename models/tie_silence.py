"""What to expect of a pair that never exchanged anything: only what surrounds it can tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from engine.domain.pair_state import Floats
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from models.linear import LinearScore
from models.tie_lines import AMOUNT_PENALTY, RATE_INVERSE_PENALTY
from models.tie_matrix import TieMatrix

_FEWEST_EXCHANGED = 10
"""Silent pairs that came to exchange something, below which nothing is learned of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Silence:
    """Two lines over the features around a pair: log odds of an exchange, read from
    rates, and log(1 + amount), read from the features as they are."""

    columns: tuple[int, ...]
    odds: LinearScore
    amount: LinearScore

    @classmethod
    def fit(
        cls, features: FeatureSet[PairView], matrix: TieMatrix, amount: Floats
    ) -> Silence | None:
        """Fit on pairs (n) without events and what they exchanged afterwards (n).

        None where so few of them did that nothing can be learned: nothing is expected of any.
        """
        exchanged = (amount > 0).astype(np.float64)
        if not _FEWEST_EXCHANGED <= exchanged.sum() < len(exchanged):
            return None
        columns = features.around
        signs = [features.monotone[column] for column in columns]
        rates, logs = matrix.log_rates[:, columns], matrix.logs[:, columns]
        return cls(
            columns,
            LinearScore.fit_odds(rates, exchanged, RATE_INVERSE_PENALTY, signs),
            LinearScore.fit_mean(logs, np.log1p(amount), AMOUNT_PENALTY, signs),
        )

    def chance(self, matrix: TieMatrix) -> Floats:
        """Return the probability (n) of any exchange within the horizon."""
        return np.asarray(expit(self.odds.predict(matrix.log_rates[:, self.columns])))

    def expected(self, matrix: TieMatrix) -> Floats:
        """Return the expected log(1 + amount) (n), at least 0."""
        return np.maximum(self.amount.predict(matrix.logs[:, self.columns]), 0.0)

    def contributions(self, matrix: TieMatrix) -> Floats:
        """Return what each feature of the whole set adds to the log odds (n × features)."""
        whole = np.zeros_like(matrix.raw)
        whole[:, self.columns] = self.odds.contributions(matrix.log_rates[:, self.columns])
        return whole

    def save(self, folder: Path) -> None:
        """Write the lines into `folder`."""
        self.odds.save(folder / "silent_odds.json")
        self.amount.save(folder / "silent_amount.json")

    @classmethod
    def load(cls, folder: Path, features: FeatureSet[PairView]) -> Silence | None:
        """Return what is stored in `folder`; None if nothing had been learned.

        Raises
        ------
        ModelError
            If a file is unreadable or of other columns.
        """
        if not (folder / "silent_odds.json").exists():
            return None
        columns = features.around
        return cls(
            columns,
            LinearScore.load(folder / "silent_odds.json", len(columns)),
            LinearScore.load(folder / "silent_amount.json", len(columns)),
        )
