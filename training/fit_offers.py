"""Fits the response model on past showings and judges it on later ones."""

from __future__ import annotations

import numpy as np

from engine.domain.clock import now
from engine.domain.errors import NotEnoughData
from engine.domain.pair_state import Floats
from models.features.offer import OFFER_FEATURES, offer_features
from models.manifest import Manifest, features_hash, library_versions
from models.offers import NAME, OFFER_PARAMS, ROUNDS, OfferModel, ResponseCurve, fit_response
from training.evaluate import auc, calibration_error, log_loss
from training.fitted import Fitted
from training.frames.offers import OfferFrame, offer_frame
from training.log import ExportedLog

_TAUGHT = 0.8
"""The share of showings before the day from which the rest judges."""
_UNCALIBRATED = 0.75
"""Of the showings known by a day, the share that ended first teaches, the rest calibrates."""
_FEWEST = 200


def fit_offers(log: ExportedLog, seed: int) -> Fitted:
    """Fit and judge the response model.

    A showing can teach once its offer has ended. The figures are those of a model that knew what
    had ended by the judging period; the model handed on knows what had ended by the log's end.
    Withheld showings teach nothing: they are the baseline of `response_lift`.

    Raises
    ------
    NotEnoughData
        If there are too few showings of ended offers, or their outcomes are all alike.
    """
    frame = offer_frame(log, seed)
    shown = ~frame.held_out
    if shown.sum() < _FEWEST:
        raise NotEnoughData(
            f"{int(shown.sum())} showings of ended offers where {_FEWEST} are needed",
            "import more offer events",
        )
    features = offer_features(frame.facts)
    judging_from = int(np.quantile(frame.at[shown], _TAUGHT))
    judged = shown & (frame.at >= judging_from)
    metrics = _judge(_fit(frame, features, judging_from, seed), frame, features, judged)
    end = int(frame.ends_at.max())
    params = {**OFFER_PARAMS, "rounds": ROUNDS}
    manifest = Manifest(
        model=NAME,
        features=OFFER_FEATURES,
        features_hash=features_hash(NAME, OFFER_FEATURES),
        fitted_at=now(),
        cutoff=end + 1,
        horizon_us=int((frame.ends_at - frame.at).max()),
        seed=seed,
        params=params,
        metrics=metrics,
        libraries=library_versions("lightgbm", "numpy", "scipy", "scikit-learn"),
    )
    return Fitted(
        OfferModel(_fit(frame, features, end, seed), manifest), metrics, params, manifest.cutoff
    )


def _fit(frame: OfferFrame, features: Floats, until: int, seed: int) -> ResponseCurve:
    """Fit on the showings whose offers had ended by `until`, calibrating on the last of them."""
    known = ~frame.held_out & (frame.ends_at <= until)
    if not known.any():
        raise NotEnoughData("no offer ended before the showings that judge", "import a longer log")
    ends = frame.ends_at[known]
    later = ends > np.quantile(ends, _UNCALIBRATED, method="lower")
    return fit_response(features[known], frame.redeemed[known], later, seed)


def _judge(
    curve: ResponseCurve, frame: OfferFrame, features: Floats, judged: np.ndarray
) -> dict[str, float]:
    """Return the figures on the `judged` showings; the lift is over all ended offers."""
    outcome = frame.redeemed[judged]
    if outcome.all() or not outcome.any():
        raise NotEnoughData("the responses to judge by are all alike", "import a longer log")
    probability = curve.probability(features[judged])
    metrics = {
        "auc": auc(outcome, probability),
        "log_loss": log_loss(outcome, probability),
        "base_log_loss": log_loss(outcome, np.full(len(outcome), outcome.mean())),
        "calibration_error": calibration_error(outcome, probability),
        "base_rate": float(outcome.mean()),
        "showings": float(len(outcome)),
    }
    if frame.held_out.any():
        rate = float(frame.redeemed[frame.held_out].mean())
        metrics["held_out_rate"] = rate
        metrics["response_lift"] = float(frame.redeemed[~frame.held_out].mean()) - rate
    return metrics
