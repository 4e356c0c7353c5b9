"""From a score to a probability that holds: isotonic or Platt scaling on held-out rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, ValidationError
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from engine.domain.errors import ModelError, NotEnoughData
from engine.domain.pair_state import Floats

Method = Literal["isotonic", "platt"]

_SHARPEST = 1e-6
"""No finite sample supports a probability of exactly nought or one."""


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method
    at: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Calibrator:
    """A monotone map from scores to probabilities.

    For `isotonic`, `at` and `values` are the knots of a piecewise linear map (clipped outside);
    for `platt`, they are the slope and the intercept of a logistic map.
    """

    method: Method
    at: Floats
    values: Floats

    @classmethod
    def fit(cls, scores: ArrayLike, outcomes: ArrayLike, method: Method = "isotonic") -> Calibrator:
        """Fit on held-out scores (n) and what came of them (n, 0 or 1).

        Isotonic needs some hundreds of rows and keeps the order up to ties; Platt (a logistic
        regression on the score, Platt 1999) has two parameters and suits fewer.

        Raises
        ------
        NotEnoughData
            If the outcomes are all alike.
        """
        score = np.asarray(scores, dtype=np.float64)
        outcome = np.asarray(outcomes, dtype=np.float64)
        if len(outcome) == 0 or outcome.min() == outcome.max():
            raise NotEnoughData(
                "nothing to calibrate on: the held-out outcomes are all alike",
                "use a longer log or a longer horizon",
            )
        if method == "platt":
            fitted = LogisticRegression(C=1e6).fit(score[:, None], outcome)
            slope = np.maximum(np.asarray(fitted.coef_, dtype=np.float64)[0], 0.0)
            return cls(method, slope, np.asarray(fitted.intercept_, dtype=np.float64))
        steps = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(score, outcome)
        return cls(
            method,
            np.asarray(steps.X_thresholds_, dtype=np.float64),
            np.asarray(steps.y_thresholds_, dtype=np.float64),
        )

    @classmethod
    def identity(cls) -> Calibrator:
        """Return the map of log odds to the probabilities that they already are."""
        return cls("platt", np.ones(1), np.zeros(1))

    def predict(self, scores: ArrayLike) -> Floats:
        """Return the probabilities for `scores` (any shape), within (0, 1)."""
        score = np.asarray(scores, dtype=np.float64)
        if self.method == "platt":
            probability = expit(self.at[0] * score + self.values[0])
        else:
            probability = np.interp(score, self.at, self.values)
        return np.clip(np.asarray(probability, dtype=np.float64), _SHARPEST, 1.0 - _SHARPEST)

    def save(self, path: Path) -> None:
        """Write the map to `path` as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = {"method": self.method, "at": self.at.tolist(), "values": self.values.tolist()}
        path.write_text(json.dumps(stored) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Calibrator:
        """Return the map stored at `path`.

        Raises
        ------
        ModelError
            If the file is absent or unreadable.
        """
        try:
            stored = _Stored.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelError(f"cannot read the calibration at {path}", "train again") from error
        return cls(stored.method, np.array(stored.at), np.array(stored.values))
