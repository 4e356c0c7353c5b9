"""LightGBM as this house uses it: seeded fits, predictions on plain arrays with one thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.errors import ModelError
from engine.domain.pair_state import Floats

Params = Mapping[str, float | int | str | bool]
"""LightGBM's own parameters by name."""

PATIENCE = 30
"""Rounds without a gain on the validation rows after which a fit stops."""

_MANY_ROWS = 50_000
"""Rows from which a second thread earns its waiting; it does not change the trees."""

_FIXED: dict[str, float | int | str | bool] = {
    "deterministic": True,
    "force_col_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class Validation:
    """Rows held out to tell when to stop; `group` holds the sizes of ranking queries."""

    features: Floats
    label: NDArray[np.float64] | NDArray[np.int64]
    weight: Floats | None = None
    group: NDArray[np.int64] | None = None


def train_booster(
    params: Params,
    features: Floats,
    label: ArrayLike,
    *,
    names: Sequence[str],
    seed: int,
    rounds: int,
    weight: ArrayLike | None = None,
    group: ArrayLike | None = None,
    valid: Validation | None = None,
) -> lgb.Booster:
    """Fit a booster; the same rows, parameters and seed give the same trees.

    Parameters
    ----------
    params
        Objective and other parameters of LightGBM.
    features
        n × len(names), float64.
    label, weight
        n numbers each.
    names
        The columns' names; they are kept in the model.
    seed
        Of every random choice in the fit.
    rounds
        The most trees to grow; with `valid` it stops after `PATIENCE` rounds without a gain.
    group
        Sizes of consecutive ranking queries, for a ranking objective.
    valid
        Held-out rows for early stopping.

    Raises
    ------
    ModelError
        If LightGBM refuses the parameters or the rows.
    """
    threads = 2 if len(features) >= _MANY_ROWS else 1
    settings = {**params, **_FIXED, "seed": seed, "num_threads": threads}
    train = lgb.Dataset(
        np.ascontiguousarray(features, dtype=np.float64),
        label=np.asarray(label),
        weight=None if weight is None else np.asarray(weight),
        group=None if group is None else np.asarray(group),
        feature_name=list(names),
        params=settings,
    )
    held_out = []
    callbacks: list[Callable[..., object]] = []
    if valid is not None:
        held_out.append(
            lgb.Dataset(
                np.ascontiguousarray(valid.features, dtype=np.float64),
                label=valid.label,
                weight=valid.weight,
                group=valid.group,
                reference=train,
                params=settings,
            )
        )
        callbacks.append(lgb.early_stopping(PATIENCE, verbose=False))
    try:
        return lgb.train(
            settings, train, num_boost_round=rounds, valid_sets=held_out, callbacks=callbacks
        )
    except lgb.basic.LightGBMError as error:
        raise ModelError(
            f"LightGBM cannot fit: {error}", "check the rows and parameters"
        ) from error


def predict(booster: lgb.Booster, rows: Floats) -> Floats:
    """Return the predictions (n) for `rows` (n × features).

    One thread always: two stall under load, and a process that predicted with two hangs the
    children it forks.
    """
    if len(rows) == 0:
        return np.zeros(0)
    block = np.ascontiguousarray(rows, dtype=np.float64)
    return np.asarray(booster.predict(block, num_threads=1), dtype=np.float64)


def contributions(booster: lgb.Booster, rows: Floats) -> Floats:
    """Return each feature's share of each raw score, the base value last (n × features + 1).

    SHAP values of trees: Lundberg et al., "Consistent individualized feature attribution for tree
    ensembles", 2018.
    """
    block = np.ascontiguousarray(rows, dtype=np.float64)
    return np.asarray(booster.predict(block, pred_contrib=True, num_threads=1), dtype=np.float64)


def save_booster(booster: lgb.Booster, path: Path) -> None:
    """Write `booster` to `path` in LightGBM's text format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(booster.model_to_string(), encoding="utf-8")


def load_booster(path: Path, names: Sequence[str]) -> lgb.Booster:
    """Return the booster stored at `path`.

    Raises
    ------
    ModelError
        If the file is absent, unreadable or was fitted on other columns than `names`.
    """
    booster = read_booster(path)
    if booster.feature_name() != list(names):
        raise ModelError(f"the model at {path} has other columns", "train the model again")
    return booster


def read_booster(path: Path) -> lgb.Booster:
    """Return the booster stored at `path`, whatever its columns.

    Raises
    ------
    ModelError
        If the file is absent or unreadable.
    """
    try:
        return lgb.Booster(model_str=path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, lgb.basic.LightGBMError) as error:
        raise ModelError(f"cannot read the model at {path}", "train the model again") from error
