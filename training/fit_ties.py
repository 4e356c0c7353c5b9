"""Fitting the ties model on the exported log, judged on a horizon that it never saw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import NotEnoughData
from engine.domain.pair_state import DEFAULT_LAYOUT, Layout
from models.tie_rows import TieRows
from models.ties import TieModel
from training.evaluate import auc, calibration_error, log_loss, spearman
from training.fitted import Fitted
from training.frames.ties import TieFrame, TieFrames
from training.log import ExportedLog

LONGEST_HORIZON = 30 * DAY
_HORIZONS_A_LOG = 8
"""A young log changes from horizon to horizon: with fewer of them in its span, what the latest
window calibrates is no longer true in the next."""
WINDOWS = 8
"""The most instants at which pairs are looked at for one fit."""
WINDOWS_A_HORIZON = 7
"""How many of them fall into one horizon."""

_SHORTEST_LOG = 4 * HOUR
_ENOUGH_HELD_OUT = 2_000
_MOST_ROWS = 48_000
"""Rows a fit learns from: all 130,000 moved the AUC by less than .001 on a town of 16,000
pairs, and below this number LightGBM needs no second thread to wait for."""


def fit_ties(log: ExportedLog, seed: int, horizon_us: int | None = None) -> Fitted:
    """Fit and judge the ties model.

    The log is split by time. The last horizon is the test: a model is fitted on windows that had
    ended before it and judged on it. That model's pattern is then fitted once more with the last
    horizon included, and this is the one returned; its metrics are those of the judged model,
    which was made in the same way one horizon earlier.

    Within a fit the latest window weighs, scales and calibrates what the earlier ones taught. A
    short or small log has no window to spare: its lines are fitted on all and stand for themselves.

    Parameters
    ----------
    log
        The exported log.
    seed
        Of every random choice.
    horizon_us
        Microseconds ahead of which exchanges are predicted; an eighth of the log's span, 30 days
        at most, when None.

    Raises
    ------
    NotEnoughData
        If the log is too short, or too few pairs come back to each other or fail to.
    """
    first, last = log.span()
    end = last + 1
    if end - first < _SHORTEST_LOG:
        raise NotEnoughData("the log spans less than four hours", "import a longer history")
    horizon = horizon_us or min(LONGEST_HORIZON, (end - first) // _HORIZONS_A_LOG)
    if end - first < 3 * horizon:
        raise NotEnoughData(
            f"the log spans {(end - first) / DAY:.1f} days, less than three horizons of "
            f"{horizon / DAY:.1f}",
            "choose a shorter horizon",
        )
    frames = TieFrames(log)
    test = frames.at(end - horizon, horizon)
    judged = _fitted(frames, first, end - horizon, horizon, seed)
    metrics = _metrics(judged, test)
    model = _fitted(frames, first, end, horizon, seed).with_metrics(metrics)
    params = {**model.manifest.params, "horizon_us": horizon, "seed": seed}
    return Fitted(model, metrics, params, end)


def _fitted(frames: TieFrames, first: int, end: int, horizon: int, seed: int) -> TieModel:
    def rows_at(cutoff: int) -> TieRows:
        return frames.at(cutoff, horizon, labelled_by=cutoff + horizon).rows

    train, held_out = learning_rows(rows_at, first, end, horizon, seed)
    return TieModel.fit(train, held_out, horizon, first, end, seed)


def learning_rows(
    rows_at: Callable[[int], TieRows],
    first: int,
    end: int,
    horizon: int,
    seed: int,
    layout: Layout = DEFAULT_LAYOUT,
) -> tuple[TieRows, TieRows | None]:
    """Return the rows to fit on and those to hold out, from windows that had ended by `end`.

    Parameters
    ----------
    rows_at
        Returns the rows of one cut-off, as was known when its horizon had ended.
    first, end, horizon
        When the log begins and ends and how long a window lasts, in microseconds.
    seed
        Of the draw where there are too many rows.
    layout
        Of the rows' states.

    Returns
    -------
    tuple
        The rows of up to `WINDOWS` cut-offs, and those of the last window; None of it is held out
        where the log is too short or its pairs are too few.

    Raises
    ------
    NotEnoughData
        If no window had ended.
    """
    step, earliest = max(horizon // WINDOWS_A_HORIZON, 1), first + horizon // 4
    if end - horizon < earliest:
        raise NotEnoughData(
            "no window of the horizon's length has passed", "choose a shorter horizon"
        )

    def some_at(start: int) -> TieRows:
        # Before they are joined: eight windows of a large log would not fit.
        return thinned(rows_at(start), seed, layout)

    later = some_at(end - horizon)
    known = np.count_nonzero(later.known(layout))
    if known >= _ENOUGH_HELD_OUT and end - 2 * horizon >= earliest:
        starts = range(end - 2 * horizon, earliest - 1, -step)[:WINDOWS]
        train = TieRows.joined([some_at(start) for start in starts])
        return thinned(train, seed, layout), later
    starts = range(end - horizon - step, earliest - 1, -step)[: WINDOWS - 1]
    train = TieRows.joined([later, *(some_at(start) for start in starts)])
    return thinned(train, seed, layout), None


def thinned(rows: TieRows, seed: int, layout: Layout = DEFAULT_LAYOUT) -> TieRows:
    """Return at most `_MOST_ROWS` rows with events and as many without, drawn at random.

    Each by themselves: friends who never exchanged anything may be many times as many as the pairs
    that teach.
    """
    known, chance = rows.known(layout), np.random.default_rng(seed)
    kept = [
        some if len(some) <= _MOST_ROWS else chance.choice(some, _MOST_ROWS, replace=False)
        for some in (np.flatnonzero(known), np.flatnonzero(~known))
    ]
    return rows.take(np.sort(np.concatenate(kept)))


def _metrics(model: TieModel, test: TieFrame) -> dict[str, float]:
    """Judge a model on the pairs of `test` that had exchanged anything."""
    rows = test.rows.take(np.arange(test.known))
    if len(rows) == 0 or rows.exchanged.min() == rows.exchanged.max():
        raise NotEnoughData(
            "in the log's last horizon all known pairs exchanged something, or none did",
            "use a longer log or another horizon",
        )
    found = model.predict(rows.out, rows.back, rows.structure, rows.at)
    count = test.count[: test.known]
    return {
        "auc": auc(rows.exchanged, found.strength),
        "auc_p_exchange": auc(rows.exchanged, found.p_exchange),
        "log_loss": log_loss(rows.exchanged, found.p_exchange),
        "calibration_error": calibration_error(rows.exchanged, found.p_exchange),
        "spearman": spearman(found.strength, rows.amount),
        "count_auc": auc(rows.exchanged, count),
        "count_spearman": spearman(count, rows.amount),
        "base_rate": float(rows.exchanged.mean()),
        "pairs": float(len(rows)),
    }
