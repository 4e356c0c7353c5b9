"""The boosted members of the tie model, where a later window can tell whether they help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import logit

from engine.domain.pair_state import Floats
from models.boosting import Validation, contributions, save_booster, train_booster
from models.compiled_trees import Trees
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from models.tie_matrix import TieMatrix

MOST_ROUNDS = 200
"""More trees of eight leaves gained nothing on the town and would score more slowly."""
_EDGE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TreeScores:
    """What the trees say of n rows: log odds of an exchange, log(1 + amount).

    None where it was not asked for.
    """

    odds: Floats | None
    amount: Floats | None


@dataclass(frozen=True, slots=True, eq=False)
class TieTrees:
    """Two boosters over the rates of one set of features, which keep to its directions."""

    odds: Trees
    amount: Trees

    @classmethod
    def fit(
        cls,
        features: FeatureSet[PairView],
        matrix: TieMatrix,
        amount: Floats,
        later: TieMatrix,
        later_amount: Floats,
        seed: int,
    ) -> TieTrees:
        """Fit on a matrix (n rows) and the amounts exchanged afterwards (n).

        They stop growing by a `later` matrix (m rows) and its amounts (m).
        """
        shared: dict[str, float | int | str | bool] = {
            "learning_rate": 0.1,
            "num_leaves": 8,
            "min_data_in_leaf": 40,
            "lambda_l2": 5.0,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "monotone_constraints": ",".join(str(sign) for sign in features.monotone),
        }

        def grown(objective: str, label: Floats, later_label: Floats) -> Trees:
            booster = train_booster(
                {**shared, "objective": objective},
                matrix.rates,
                label,
                names=features.names,
                seed=seed,
                rounds=MOST_ROUNDS,
                valid=Validation(later.rates, later_label),
            )
            return Trees(booster)

        exchanged, later_exchanged = amount > 0, later_amount > 0
        return cls(
            grown("binary", exchanged.astype(np.float64), later_exchanged.astype(np.float64)),
            grown("regression", np.log1p(amount), np.log1p(later_amount)),
        )

    def scores(self, matrix: TieMatrix, odds: bool = True, amount: bool = True) -> TreeScores:
        """Return what the trees say of the rows of `matrix`, as far as it is asked for."""
        chance = np.clip(self.odds.predict(matrix.rates), _EDGE, 1.0 - _EDGE) if odds else None
        return TreeScores(
            None if chance is None else np.asarray(logit(chance)),
            self.amount.predict(matrix.rates) if amount else None,
        )

    def odds_contributions(self, matrix: TieMatrix) -> Floats:
        """Return the SHAP values (n × features) of the log odds."""
        return contributions(self.odds.booster, matrix.rates)[:, :-1]

    def save(self, folder: Path) -> None:
        """Write the boosters into `folder`."""
        save_booster(self.odds.booster, folder / "tree_odds.txt")
        save_booster(self.amount.booster, folder / "tree_amount.txt")

    @classmethod
    def load(cls, folder: Path, features: FeatureSet[PairView]) -> TieTrees | None:
        """Return the boosters stored in `folder`, compiled if they are; None if there are none.

        Raises
        ------
        ModelError
            If a file is unreadable, of other columns, or one of the two is missing.
        """
        if not (folder / "tree_odds.txt").exists():
            return None
        return cls(
            Trees.load(folder / "tree_odds.txt", features.names),
            Trees.load(folder / "tree_amount.txt", features.names),
        )
