"""A fitted tie model is judged on a horizon it never saw, and refuses logs that say too little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import DAY, SECOND
from engine.domain.errors import NotEnoughData
from engine.domain.pair_state import DEFAULT_LAYOUT
from models.ties import TieModel
from training.fit_ties import fit_ties
from training.frames.ties import tie_frame
from training.log import ExportedLog

START = 1_700_000_000_000_000
Row = dict[str, object]
LogWriter = Callable[..., ExportedLog]


def _town(days: int, pairs: int = 250, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """Return gifts and messages of pairs that give and write at steady rates of their own."""
    rng = np.random.default_rng(seed)
    rate = rng.lognormal(-2.3, 1.3, pairs)
    gifts: list[Row] = []
    messages: list[Row] = []
    for pair in range(pairs):
        for at in START + rng.integers(0, days * DAY, rng.poisson(rate[pair] * days)):
            ends = [f"p{pair % 50}", f"q{pair // 5}"]
            rng.shuffle(ends)
            row: Row = {"sender": ends[0], "recipient": ends[1], "occurred_at": int(at)}
            if rng.random() < 0.2:
                taken = {"state": "accepted", "outcome_at": int(at) + 3_600 * SECOND}
                gifts.append(row | taken if rng.random() < 0.8 else row | {"state": "expired"})
            else:
                messages.append(row)
    return gifts, messages


def test_fit_ties_on_a_town_beats_chance_and_says_where_it_ends(
    write_log: LogWriter, tmp_path: Path
) -> None:
    gifts, messages = _town(40)
    log = write_log(gifts=gifts, interactions=messages)
    fitted = fit_ties(log, seed=1)
    first, last = log.span()
    assert fitted.cutoff == last + 1
    assert fitted.params["horizon_us"] == (last + 1 - first) // 4
    assert fitted.metrics["auc"] > 0.7
    assert fitted.metrics["spearman"] > 0.5
    assert fitted.metrics["log_loss"] < 0.6
    assert fitted.metrics["calibration_error"] < 0.12

    fitted.model.save(tmp_path / "model")
    model = TieModel.load(tmp_path / "model", version="1")
    assert model.manifest.cutoff == fitted.cutoff
    assert model.manifest.metrics == fitted.metrics
    rows = tie_frame(log, last + 1, DAY).rows
    busy = rows.out[:, DEFAULT_LAYOUT.counts].sum(1) + rows.back[:, DEFAULT_LAYOUT.counts].sum(1)
    strength = model.predict(rows.out, rows.back, last + 1).strength
    assert strength[busy >= np.quantile(busy, 0.9)].min() > np.median(strength)


def test_fit_ties_metrics_come_from_a_model_blind_to_the_last_horizon(
    write_log: LogWriter,
) -> None:
    gifts, messages = _town(30)
    horizon = 7 * DAY
    plain = write_log("plain", gifts=gifts, interactions=messages)
    end = plain.span()[1] + 1
    edge = end - horizon
    # The same pairs and the same outcomes, but with amounts that a blind model cannot know.
    louder = [r | {"weight": 40.0} if r["occurred_at"] >= edge else r for r in messages]
    loud = write_log("loud", gifts=gifts, interactions=louder)
    one, other = fit_ties(plain, 1, horizon), fit_ties(loud, 1, horizon)
    for name in ("auc", "auc_p_exchange", "log_loss", "calibration_error"):
        assert one.metrics[name] == other.metrics[name]
    assert one.params["usual"] != other.params["usual"]  # the returned one has seen it all


def test_fit_ties_on_too_short_a_log_is_refused(write_log: LogWriter) -> None:
    gifts, messages = _town(30)
    log = write_log(gifts=gifts, interactions=messages)
    with pytest.raises(NotEnoughData, match="three horizons"):
        fit_ties(log, 1, horizon_us=11 * DAY)
    with pytest.raises(NotEnoughData):
        fit_ties(write_log("empty"), 1)
    with pytest.raises(NotEnoughData):
        fit_ties(write_log("tiny", interactions=messages[:8]), 1)
