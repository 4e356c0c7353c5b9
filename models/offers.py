"""Predicts the response to an offer: a LightGBM classifier, calibrated on later showings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from engine.domain.errors import NotEnoughData
from engine.domain.pair_state import Floats
from engine.domain.ports import ModelRef, OfferContext, OfferScore
from models.boosting import contributions, load_booster, predict, save_booster, train_booster
from models.calibration import Calibrator, Method
from models.features.offer import (
    OFFER_FEATURES,
    OFFER_MONOTONE,
    OfferFacts,
    facts_of,
    offer_features,
)
from models.manifest import Manifest, read_manifest, write_manifest
from models.offer_reasons import offer_reasons

NAME = "offers"
"""The model's name in the registry."""

OFFER_PARAMS: dict[str, float | int | str | bool] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "monotone_constraints": ",".join(str(direction) for direction in OFFER_MONOTONE),
}
ROUNDS = 120

_BOOSTER = "response.txt"
_CALIBRATION = "calibration.json"
_MANY_RESPONSES = 200
"""Isotonic steps need so many; with fewer, Platt's two parameters."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseCurve:
    """The fitted parts: the classifier, and the map from its score to a probability."""

    booster: lgb.Booster
    calibrator: Calibrator

    def probability(self, features: Floats) -> Floats:
        """Return the calibrated probability (n) for features (n × `len(OFFER_FEATURES)`)."""
        return self.calibrator.predict(_log_odds(self.booster, features))


@dataclass(frozen=True, slots=True, eq=False)
class OfferModel:
    """Scores and explains offers; implements `OfferScorer`."""

    curve: ResponseCurve
    manifest: Manifest
    version: str = ""

    @property
    def ref(self) -> ModelRef:
        """Which model this is."""
        return ModelRef(NAME, self.version)

    def score(self, contexts: Sequence[OfferContext]) -> list[OfferScore]:
        """Return the calibrated probability and its reasons for each person and offer."""
        if not contexts:
            return []
        facts = facts_of(contexts)
        probability = self.curve.probability(offer_features(facts))
        return [
            OfferScore(float(p), reasons)
            for p, reasons in zip(probability, self.explain(facts), strict=True)
        ]

    def explain(self, facts: OfferFacts) -> list[tuple[str, ...]]:
        """Return the reason codes for each entry of `facts`, the weightiest first."""
        shares = contributions(self.curve.booster, offer_features(facts))
        return offer_reasons(facts, shares[:, :-1])

    def save(self, folder: Path) -> None:
        """Write the model and its manifest into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_booster(self.curve.booster, folder / _BOOSTER)
        self.curve.calibrator.save(folder / _CALIBRATION)
        write_manifest(folder, self.manifest)

    @classmethod
    def load(cls, folder: Path, version: str) -> OfferModel:
        """Return the model stored in `folder`.

        Raises
        ------
        ModelError
            If a part is absent or unreadable.
        ManifestMismatch
            If it was fitted on other features than this code computes.
        """
        manifest = read_manifest(folder, NAME, OFFER_FEATURES)
        booster = load_booster(folder / _BOOSTER, OFFER_FEATURES)
        curve = ResponseCurve(booster, Calibrator.load(folder / _CALIBRATION))
        return cls(curve, manifest, version)


def fit_response(
    features: Floats, redeemed: NDArray[np.bool_], later: NDArray[np.bool_], seed: int
) -> ResponseCurve:
    """Fit the classifier on the earlier rows and calibrate it on the later.

    Parameters
    ----------
    features
        n × `len(OFFER_FEATURES)`.
    redeemed, later
        n truths each.
    seed
        Of every random choice.

    Raises
    ------
    NotEnoughData
        If the earlier or the later outcomes are all alike.
    """
    taught = redeemed[~later]
    if len(taught) == 0 or taught.all() or not taught.any():
        raise NotEnoughData("the responses to learn from are all alike", "import more offer events")
    booster = train_booster(
        OFFER_PARAMS,
        features[~later],
        taught.astype(np.float64),
        names=OFFER_FEATURES,
        seed=seed,
        rounds=ROUNDS,
    )
    outcome = redeemed[later]
    method: Method = "isotonic" if outcome.sum() >= _MANY_RESPONSES else "platt"
    scores = _log_odds(booster, features[later])
    return ResponseCurve(booster, Calibrator.fit(scores, outcome, method))


def _log_odds(booster: lgb.Booster, features: Floats) -> Floats:
    return np.asarray(logit(np.clip(predict(booster, features), 1e-9, 1 - 1e-9)))
