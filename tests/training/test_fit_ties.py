"""A fitted tie model is judged on a horizon it never saw, and refuses logs that say too little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import DAY, SECOND
from engine.domain.errors import NotEnoughData
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind
from engine.domain.structure import unknown
from models.tie_rows import TieRows
from models.ties import TieModel
from training.evaluate import auc, calibration_error, log_loss
from training.fit_ties import fit_ties, thinned
from training.frames.ties import tie_frame
from training.log import ExportedLog

START = 1_700_000_000_000_000
HORIZON = 7 * DAY
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


def _silent_friends() -> list[Row]:
    """Return two-way friendships of pairs that never write or give."""
    ends = [(f"q{number}", f"q{number + 1}") for number in range(40)]
    told = {"since": START - DAY, "until": None, "recorded_at": START - DAY}
    return [
        {"person": one, "friend": other, **told}
        for pair in ends
        for one, other in (pair, pair[::-1])
    ]


def test_fit_ties_judges_a_model_that_never_saw_the_last_horizon(
    write_log: LogWriter, tmp_path: Path
) -> None:
    gifts, messages = _town(30)
    edge = max(row["occurred_at"] for row in gifts + messages) + 1 - HORIZON
    # Ends the past exactly at the edge, so that its model is the one the whole log judges.
    messages.append({**messages[0], "occurred_at": edge - 1})
    friends = _silent_friends()
    log = write_log("whole", gifts=gifts, interactions=messages, friendships=friends)
    past = write_log(
        "past",
        friendships=friends,
        gifts=[row for row in gifts if row["occurred_at"] < edge],
        interactions=[row for row in messages if row["occurred_at"] < edge],
    )
    fitted, before = fit_ties(log, 1, HORIZON), fit_ties(past, 1, HORIZON)
    assert fitted.cutoff == log.span()[1] + 1 == edge + HORIZON
    assert before.cutoff == edge

    before.model.save(tmp_path / "before")
    judged = TieModel.load(tmp_path / "before")
    frame = tie_frame(log, edge, HORIZON)
    # Judged on those who had exchanged something: a silent pair is no tie to be right about.
    rows = frame.rows.take(np.arange(frame.known))
    assert fitted.metrics["pairs"] == frame.known < len(frame.rows)
    # To the bit: the same rows and seed give the same model.
    found = judged.predict(rows.out, rows.back, rows.structure, rows.at)
    assert fitted.metrics["auc"] == auc(rows.exchanged, found.strength)
    assert fitted.metrics["log_loss"] == log_loss(rows.exchanged, found.p_exchange)
    assert fitted.metrics["auc"] > 0.7

    # What a perfectly calibrated model of this size would show by chance alone, twice over.
    error = calibration_error(rows.exchanged, found.p_exchange)
    assert fitted.metrics["calibration_error"] == error
    rng = np.random.default_rng(0)
    drawn = rng.random((300, len(rows))) < found.p_exchange
    assert error <= 2 * np.mean([calibration_error(d, found.p_exchange) for d in drawn])

    fitted.model.save(tmp_path / "model")
    served = TieModel.load(tmp_path / "model", version="1")
    assert served.manifest.cutoff == fitted.cutoff
    assert served.manifest.metrics == fitted.metrics


def test_fit_ties_without_a_horizon_takes_an_eighth_of_a_short_log(
    write_log: LogWriter,
) -> None:
    gifts, messages = _town(20, pairs=80)
    log = write_log(gifts=gifts, interactions=messages)
    fitted = fit_ties(log, seed=1)
    first, last = log.span()
    assert fitted.params["horizon_us"] == (last + 1 - first) // 8


def test_fit_ties_on_too_short_a_log_is_refused(write_log: LogWriter) -> None:
    gifts, messages = _town(30)
    log = write_log(gifts=gifts, interactions=messages)
    with pytest.raises(NotEnoughData, match="three horizons"):
        fit_ties(log, 1, horizon_us=11 * DAY)
    with pytest.raises(NotEnoughData):
        fit_ties(write_log("empty"), 1)
    with pytest.raises(NotEnoughData):
        fit_ties(write_log("tiny", interactions=messages[:8]), 1)


def test_silent_friends_do_not_displace_the_pairs_that_teach() -> None:
    known, silent = 300, 60_000
    out = DEFAULT_LAYOUT.empty(known + silent)
    out[:known, DEFAULT_LAYOUT.counts.start + Kind.MESSAGE] = 1.0
    whole = known + silent
    rows = TieRows(
        out, DEFAULT_LAYOUT.empty(whole), unknown(whole), np.zeros(whole, dtype=np.int64),
        np.zeros(whole), np.arange(whole),
    )  # fmt: skip
    kept = thinned(rows, 1)
    assert np.count_nonzero(kept.known(DEFAULT_LAYOUT)) == known
    assert known < len(kept) < whole
