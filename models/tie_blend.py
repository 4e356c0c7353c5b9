"""The members of the tie model: a line and trees, each for whether and for how much."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.metrics import log_loss, roc_auc_score

from engine.domain.pair_state import Floats, Ints
from models.boosting import (
    Validation,
    contributions,
    load_booster,
    predict,
    save_booster,
    train_booster,
)
from models.features.pair import PairView
from models.features.registry import FeatureSet
from models.linear import LinearScore

ROUNDS = 150
"""Trees grown when nothing is held out to stop by."""
MOST_ROUNDS = 600

_ODDS_INVERSE_PENALTY = 0.01
_AMOUNT_PENALTY = 300.0
_MANY_ROWS = 20_000
_EDGE = 1e-6
FOLDS = 5
"""Groups of pairs for scoring rows by members fitted on other pairs."""
_TREE_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_HISTORY_SHARES = (0.0, 0.15, 0.3, 0.5, 0.75)


@dataclass(frozen=True, slots=True, eq=False)
class MemberScores:
    """What each member says of n rows: log odds of an exchange, and log(1 + amount)."""

    line_odds: Floats
    tree_odds: Floats
    line_amount: Floats
    tree_amount: Floats

    def odds(self, trees: float) -> Floats:
        """Return the blended log odds with the share `trees` (0…1) of the trees."""
        return (1.0 - trees) * self.line_odds + trees * self.tree_odds

    def amount(self, trees: float) -> Floats:
        """Return the blended log(1 + amount) with the share `trees` (0…1) of the trees."""
        return (1.0 - trees) * self.line_amount + trees * self.tree_amount


@dataclass(frozen=True, slots=True, eq=False)
class TieMembers:
    """The four fitted members over one set of features."""

    line_odds: LinearScore
    line_amount: LinearScore
    tree_odds: lgb.Booster
    tree_amount: lgb.Booster

    @classmethod
    def fit(
        cls,
        features: FeatureSet[PairView],
        matrix: Floats,
        amount: Floats,
        seed: int,
        held_out: tuple[Floats, Floats] | None = None,
    ) -> TieMembers:
        """Fit on a matrix (n × features) and the amounts exchanged afterwards (n).

        The trees keep to the directions the features declare, and model the amount as a Poisson
        mean; the lines model the odds and log(1 + amount). `held_out` is a later matrix with its
        amounts, by which the trees stop growing.

        Raises
        ------
        NotEnoughData
            If all pairs exchanged something, or none did.
        """
        exchanged = (amount > 0).astype(np.float64)
        line_odds = LinearScore.fit_odds(matrix, exchanged, _ODDS_INVERSE_PENALTY)
        line_amount = LinearScore.fit_mean(matrix, np.log1p(amount), _AMOUNT_PENALTY)
        shared: dict[str, float | int | str | bool] = {
            "learning_rate": 0.05,
            "num_leaves": 6 if len(matrix) < _MANY_ROWS else 24,
            "min_data_in_leaf": 40,
            "lambda_l2": 5.0,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "monotone_constraints": ",".join(str(sign) for sign in features.monotone),
        }

        def grown(objective: str, label: Floats, later: Floats | None) -> lgb.Booster:
            return train_booster(
                {**shared, "objective": objective},
                matrix,
                label,
                names=features.names,
                seed=seed,
                rounds=ROUNDS if held_out is None else MOST_ROUNDS,
                valid=None if held_out is None or later is None else Validation(held_out[0], later),
            )

        later_amount = None if held_out is None else held_out[1]
        later_exchanged = None if later_amount is None else (later_amount > 0).astype(np.float64)
        return cls(
            line_odds,
            line_amount,
            grown("binary", exchanged, later_exchanged),
            grown("poisson", amount, later_amount),
        )

    def scores(self, matrix: Floats) -> MemberScores:
        """Return what the members say of the rows of `matrix` (n × features)."""
        chance = np.clip(predict(self.tree_odds, matrix), _EDGE, 1.0 - _EDGE)
        return MemberScores(
            self.line_odds.predict(matrix),
            np.asarray(logit(chance)),
            self.line_amount.predict(matrix),
            np.log1p(predict(self.tree_amount, matrix)),
        )

    def odds_contributions(self, matrix: Floats, trees: float) -> Floats:
        """Return what each feature adds to the blended log odds (n × features)."""
        lines = self.line_odds.contributions(matrix)
        shap = contributions(self.tree_odds, matrix)[:, :-1]
        return np.asarray((1.0 - trees) * lines + trees * shap)

    def save(self, folder: Path) -> None:
        """Write the members into `folder`."""
        self.line_odds.save(folder / "line_odds.json")
        self.line_amount.save(folder / "line_amount.json")
        save_booster(self.tree_odds, folder / "tree_odds.txt")
        save_booster(self.tree_amount, folder / "tree_amount.txt")

    @classmethod
    def load(cls, folder: Path, features: FeatureSet[PairView]) -> TieMembers:
        """Return the members stored in `folder`.

        Raises
        ------
        ModelError
            If a file is absent, unreadable or of other columns.
        """
        return cls(
            LinearScore.load(folder / "line_odds.json", len(features)),
            LinearScore.load(folder / "line_amount.json", len(features)),
            load_booster(folder / "tree_odds.txt", features.names),
            load_booster(folder / "tree_amount.txt", features.names),
        )


def cross_fitted(
    features: FeatureSet[PairView], matrix: Floats, amount: Floats, pair: Ints, seed: int
) -> MemberScores:
    """Return scores of every row (n) by members that were fitted on the rows of other pairs."""
    pairs = np.unique(pair)
    fold_of = np.random.default_rng(seed).permutation(len(pairs)) % FOLDS
    fold = fold_of[np.searchsorted(pairs, pair)]
    whole = MemberScores(*(np.empty(len(matrix)) for _ in range(4)))
    for number in range(FOLDS):
        own = fold == number
        found = TieMembers.fit(features, matrix[~own], amount[~own], seed).scores(matrix[own])
        whole.line_odds[own] = found.line_odds
        whole.tree_odds[own] = found.tree_odds
        whole.line_amount[own] = found.line_amount
        whole.tree_amount[own] = found.tree_amount
    return whole


@dataclass(frozen=True, slots=True)
class Blend:
    """How the members are weighed: chosen on rows that they were not fitted on."""

    odds_trees: float
    amount_trees: float
    history: float
    """The share of plain long-run volume in the strength."""
    usual: float
    """The mean log(1 + amount) of pairs that exchanged anything."""

    def expected(self, scores: MemberScores, volume: Floats) -> Floats:
        """Return the log of an intensity (n), at least 0, that `Scale` makes a strength of.

        Two estimates of log(1 + amount) over the horizon are averaged: the amount itself, and the
        chance of any exchange times what an exchanging pair usually exchanges. Beside them stands
        `volume`, log(1 + all that the pair ever exchanged): a noisy model must not lose to it.
        """
        direct = scores.amount(self.amount_trees)
        hurdle = expit(scores.odds(self.odds_trees)) * self.usual
        modelled = 0.5 * direct + 0.5 * hurdle
        blended = (1.0 - self.history) * modelled + self.history * volume
        return np.asarray(np.maximum(blended, 0.0))

    @classmethod
    def choose(cls, scores: MemberScores, amount: Floats, volume: Floats) -> Blend:
        """Choose the weights on rows (n) that the members were not fitted on.

        The share of trees is the one of least log loss for the odds and of least squared error for
        log(1 + amount); the share of history is the one whose rank correlation with the amount
        and area under the curve of any exchange are highest together.

        Parameters
        ----------
        scores
            What the members say of the rows.
        amount
            What was exchanged within the horizon.
        volume
            As `expected` takes it.
        """
        exchanged = (amount > 0).astype(np.float64)
        logs = np.log1p(amount)
        usual = float(logs[amount > 0].mean()) if exchanged.any() else 0.0

        def odds_loss(trees: float) -> float:
            return float(log_loss(exchanged, expit(scores.odds(trees)), labels=[0.0, 1.0]))

        def amount_loss(trees: float) -> float:
            return float(np.square(scores.amount(trees) - logs).mean())

        odds_trees = min(_TREE_SHARES, key=odds_loss)
        amount_trees = min(_TREE_SHARES, key=amount_loss)

        def ordered(history: float) -> float:
            expected = cls(odds_trees, amount_trees, history, usual).expected(scores, volume)
            if np.ptp(expected) == 0.0 or np.ptp(logs) == 0.0 or exchanged.all():
                return 0.0
            rank = float(spearmanr(expected, logs).statistic)
            return rank + float(roc_auc_score(exchanged, expected))

        return cls(odds_trees, amount_trees, max(_HISTORY_SHARES, key=ordered), usual)
