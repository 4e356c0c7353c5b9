"""A regularised linear model on the logarithms of non-negative features, bound to directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.optimize import lsq_linear, minimize
from scipy.special import expit, logit

from engine.domain.errors import ModelError, NotEnoughData
from engine.domain.pair_state import Floats

_FARTHEST = 4.0
"""Standard deviations beyond which a feature says no more: a line does not bend by itself."""
_MOST_STEPS = 5_000


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float


@dataclass(frozen=True, slots=True, eq=False)
class LinearScore:
    """intercept + Σ weight · clip((log − centre) / scale) over features given as log(1 + x).

    A weight is held at 0 where the data would have it against the feature's direction. scikit-learn
    bounds the weights of a linear model all or none, so SciPy minimises here: L-BFGS-B for the odds
    (Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1995), bounded least squares for the mean.
    """

    centre: Floats
    scale: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit_odds(
        cls, logs: Floats, outcomes: Floats, inverse_penalty: float, monotone: Sequence[int]
    ) -> LinearScore:
        """Fit the log odds of `outcomes` (n, 0 or 1) on `logs` (n × k).

        Parameters
        ----------
        logs, outcomes
            The rows.
        inverse_penalty
            C of Σ log loss + |weights|²/(2C), the weights those of standardised features.
        monotone
            The direction of each feature (k): 1, −1, or 0 for either.

        Raises
        ------
        NotEnoughData
            If the outcomes are all alike.
        """
        if len(outcomes) == 0 or outcomes.min() == outcomes.max():
            raise NotEnoughData("the outcomes to learn from are all alike", "use a longer log")
        centre, scale = _standard(logs)
        rows = _scaled(logs, centre, scale)

        def loss(point: Floats) -> tuple[float, Floats]:
            weights = point[1:]
            score = point[0] + rows @ weights
            slope = expit(score) - outcomes
            whole = np.logaddexp(0.0, score).sum() - outcomes @ score
            penalty = float(weights @ weights) / (2.0 * inverse_penalty)
            gradient = np.concatenate([[slope.sum()], slope @ rows + weights / inverse_penalty])
            return float(whole) + penalty, gradient

        share = outcomes.mean()
        lower, upper = _bounds(monotone)
        found = minimize(
            loss,
            np.concatenate([[logit(share)], np.zeros(rows.shape[1])]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None), *zip(lower, upper, strict=True)],
            options={"maxiter": _MOST_STEPS, "maxfun": 2 * _MOST_STEPS},
        )
        return cls(centre, scale, np.array(found.x[1:]), float(found.x[0]))

    @classmethod
    def fit_mean(
        cls, logs: Floats, target: Floats, penalty: float, monotone: Sequence[int]
    ) -> LinearScore:
        """Fit the mean of `target` (n) on `logs` (n × k) by Σ error² + penalty · |weights|²."""
        centre, scale = _standard(logs)
        rows = _scaled(logs, centre, scale)
        middle = rows.mean(axis=0)
        rows -= middle
        # The same least squares, of k rows instead of n.
        gram = rows.T @ rows + penalty * np.eye(rows.shape[1])
        root = np.linalg.cholesky(gram)
        short = np.linalg.solve(root, rows.T @ (target - target.mean()))
        weights = lsq_linear(root.T, short, bounds=_bounds(monotone), method="bvls").x
        return cls(centre, scale, weights, float(target.mean() - middle @ weights))

    def predict(self, logs: Floats) -> Floats:
        """Return the score (n) of `logs` (n × k)."""
        slope = self.weights / self.scale
        reach = _FARTHEST * self.scale
        near = np.clip(np.ascontiguousarray(logs), self.centre - reach, self.centre + reach)
        near -= self.centre
        near *= slope
        # Rows of C order are each summed by themselves, so that a pair scores the same alone and
        # in bulk; a product of matrices would not be.
        return np.asarray(self.intercept + near.sum(axis=1))

    def contributions(self, logs: Floats) -> Floats:
        """Return what each feature adds to the score against an average row (n × k)."""
        return np.asarray(_scaled(logs, self.centre, self.scale) * self.weights)

    def save(self, path: Path) -> None:
        """Write the model to `path` as JSON."""
        stored = _Stored(
            centre=tuple(self.centre.tolist()),
            scale=tuple(self.scale.tolist()),
            weights=tuple(self.weights.tolist()),
            intercept=self.intercept,
        )
        path.write_text(stored.model_dump_json() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, features: int) -> LinearScore:
        """Return the model stored at `path`, which must weigh `features` numbers.

        Raises
        ------
        ModelError
            If the file is absent, unreadable or of another width.
        """
        try:
            stored = _Stored.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelError(f"cannot read the model at {path}", "train again") from error
        if {len(stored.centre), len(stored.scale), len(stored.weights)} != {features}:
            raise ModelError(f"the model at {path} has other columns", "train again")
        return cls(
            np.array(stored.centre),
            np.array(stored.scale),
            np.array(stored.weights),
            stored.intercept,
        )


def _bounds(monotone: Sequence[int]) -> tuple[Floats, Floats]:
    """Return the least and the greatest weight (k each) that directions (k) allow."""
    signs = np.asarray(monotone)
    return np.where(signs > 0, 0.0, -np.inf), np.where(signs < 0, 0.0, np.inf)


def _standard(logs: Floats) -> tuple[Floats, Floats]:
    spread = logs.std(axis=0)
    return logs.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)


def _scaled(logs: Floats, centre: Floats, scale: Floats) -> Floats:
    return np.asarray(np.clip((logs - centre) / scale, -_FARTHEST, _FARTHEST))
