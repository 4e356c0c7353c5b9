"""The linear members of the tie model: whether by sums, whether by rates, and how much."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from engine.domain.pair_state import Floats
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from models.linear import LinearScore
from models.tie_matrix import TieMatrix

ODDS_INVERSE_PENALTY = 0.02
AMOUNT_PENALTY = 150.0
"""Both, as the weights in `models.tie_blend`, chosen on Copenhagen windows that had ended by day
14, before the first cut-off that is reported."""
RATE_INVERSE_PENALTY = 0.1
"""Weaker than that of the order: a probability that shrinks to the mean of the windows it was
learned from is wrong wherever the mean has moved."""


@dataclass(frozen=True, slots=True, eq=False)
class LineScores:
    """What the lines say of n rows: log odds by sums, log odds by rates, log(1 + amount)."""

    odds: Floats
    rate_odds: Floats
    amount: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TieLines:
    """Three fitted lines over one set of features, which keep to the directions it declares."""

    odds: LinearScore
    rate_odds: LinearScore
    amount: LinearScore

    @classmethod
    def fit(cls, features: FeatureSet[PairView], matrix: TieMatrix, amount: Floats) -> TieLines:
        """Fit on a matrix (n rows) and the amounts exchanged afterwards (n).

        Raises
        ------
        NotEnoughData
            If all pairs exchanged something, or none did.
        """
        exchanged, signs = (amount > 0).astype(np.float64), features.monotone
        return cls(
            LinearScore.fit_odds(matrix.logs, exchanged, ODDS_INVERSE_PENALTY, signs),
            LinearScore.fit_odds(matrix.log_rates, exchanged, RATE_INVERSE_PENALTY, signs),
            LinearScore.fit_mean(matrix.logs, np.log1p(amount), AMOUNT_PENALTY, signs),
        )

    def scores(self, matrix: TieMatrix) -> LineScores:
        """Return what the lines say of the rows of `matrix`."""
        return LineScores(
            self.odds.predict(matrix.logs),
            self.rate_odds.predict(matrix.log_rates),
            self.amount.predict(matrix.logs),
        )

    def save(self, folder: Path) -> None:
        """Write the lines into `folder`."""
        for field in fields(self):
            getattr(self, field.name).save(folder / f"line_{field.name}.json")

    @classmethod
    def load(cls, folder: Path, features: FeatureSet[PairView]) -> TieLines:
        """Return the lines stored in `folder`.

        Raises
        ------
        ModelError
            If a file is absent, unreadable or of other columns.
        """
        paths = (folder / f"line_{field.name}.json" for field in fields(cls))
        return cls(*(LinearScore.load(path, len(features)) for path in paths))
