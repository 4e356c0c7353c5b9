"""A regularised linear model on the logarithms of non-negative features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from sklearn.linear_model import LogisticRegression, Ridge

from engine.domain.errors import ModelError, NotEnoughData
from engine.domain.pair_state import Floats

_FARTHEST = 4.0
"""Standard deviations beyond which a feature says no more: a line does not bend by itself."""


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float


@dataclass(frozen=True, slots=True, eq=False)
class LinearScore:
    """intercept + Σ weight · clip((log(1 + x) − centre) / scale) over the features x ≥ 0."""

    centre: Floats
    scale: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit_odds(cls, features: Floats, outcomes: Floats, inverse_penalty: float) -> LinearScore:
        """Fit the log odds of `outcomes` (n, 0 or 1) on `features` (n × k).

        Raises
        ------
        NotEnoughData
            If the outcomes are all alike.
        """
        if len(outcomes) == 0 or outcomes.min() == outcomes.max():
            raise NotEnoughData("the outcomes to learn from are all alike", "use a longer log")
        centre, scale = _standard(features)
        fitted = LogisticRegression(C=inverse_penalty, max_iter=2_000)
        fitted.fit(_scaled(features, centre, scale), outcomes)
        return cls(centre, scale, np.array(fitted.coef_[0]), float(fitted.intercept_[0]))

    @classmethod
    def fit_mean(cls, features: Floats, target: Floats, penalty: float) -> LinearScore:
        """Fit the mean of `target` (n) on `features` (n × k)."""
        centre, scale = _standard(features)
        fitted = Ridge(alpha=penalty).fit(_scaled(features, centre, scale), target)
        return cls(centre, scale, np.array(fitted.coef_), float(fitted.intercept_))

    def predict(self, features: Floats) -> Floats:
        """Return the score (n) of `features` (n × k)."""
        scaled = _scaled(features, self.centre, self.scale)
        # Summed row by row in one order, so that a pair scores the same alone and in bulk.
        return np.asarray(self.intercept + (scaled * self.weights).sum(axis=1))

    def contributions(self, features: Floats) -> Floats:
        """Return what each feature adds to the score against an average row (n × k)."""
        return _scaled(features, self.centre, self.scale) * self.weights

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


def _standard(features: Floats) -> tuple[Floats, Floats]:
    logs = np.log1p(features)
    spread = logs.std(axis=0)
    return logs.mean(axis=0), np.where(spread > 1e-9, spread, 1.0)


def _scaled(features: Floats, centre: Floats, scale: Floats) -> Floats:
    return np.clip((np.log1p(features) - centre) / scale, -_FARTHEST, _FARTHEST)
