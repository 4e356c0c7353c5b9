"""The town benchmark: does strength find closeness, as far as anyone could who knows the town?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.domain.clock import SECOND, now
from engine.domain.pair_state import Floats, Ints
from engine.ledger.database import Database
from engine.ledger.export import export_log
from engine.ledger.migration import migrate
from models.ties import TieModel
from training.benchmark.report import BenchmarkReport
from training.benchmark.tie_slices import LONG_RUN, PairPast
from training.benchmark.town_evidence import evidence
from training.benchmark.town_oracle import oracle_closeness
from training.benchmark.town_truth import TownTruth
from training.evaluate import spearman
from training.fit_ties import fit_ties
from training.frames.ties import TieFrame, tie_frame
from training.importing import FILE_KINDS, ImportOptions, import_files
from training.log import ExportedLog
from training.simulate import write_town
from training.simulate.assumptions import Assumptions
from training.simulate.timeline import Span

START = date(2026, 1, 1)


@dataclass(frozen=True, slots=True)
class Town:
    """Which town: the arguments of `training.simulate.write_town`."""

    people: int = 2_000
    days: int = 120
    seed: int = 1


def benchmark_town_ties(
    town: Town, seed: int, progress: Callable[[str], None] | None = None
) -> BenchmarkReport:
    """Train the ties model on a generated town's log and compare strength with latent closeness.

    The town is written, imported into a ledger of its own, exported and learned from as by `lishang
    train ties`; pairs are scored as of the log's end.

    Parameters
    ----------
    town
        Which one.
    seed
        Of the fit.
    progress
        Told each stage as it begins.

    Returns
    -------
    BenchmarkReport
        Over the pairs that are friends both ways at the log's end: `spearman_closeness` of strength
        with closeness at that instant, `oracle_spearman_closeness` of what
        `training.benchmark.town_oracle` knows, `closeness_ratio` of the two; `…_silent` over the
        pairs that exchanged nothing, of whom only whom they both know tells anything. Baselines:
        exchanges counted, their volume halved every 180 days, an `outsider` (an oracle that does
        not know circles) and the pairs' `true_rate` of messages, which no log tells.
    """
    tell = progress or (lambda _: None)
    with tempfile.TemporaryDirectory(prefix="lishang-town-") as scratch:
        folder = Path(scratch)
        tell("generating the town")
        write_town(folder / "town", town.people, town.days, town.seed, START)
        truth = TownTruth.read(folder / "town", Span(START, town.days))
        tell("importing and exporting its log")
        log = exported(folder)
        tell("training")
        fitted = fit_ties(log, seed)
        # Through its stored form, as it is served.
        fitted.model.save(folder / "model")
        tell("comparing")
        return _compared(truth, log, TieModel.load(folder / "model"), fitted.cutoff)


def exported(folder: Path) -> ExportedLog:
    """Import the town's files into a new ledger and export the log that training reads."""
    database = Database(f"sqlite:///{folder / 'lishang.db'}")
    migrate(database)
    files = {kind: folder / "town" / f"{kind}.csv" for kind in FILE_KINDS}
    import_files(database, files, ImportOptions())
    export_log(database, folder / "log", now())
    database.close()
    return ExportedLog(folder / "log")


def _compared(truth: TownTruth, log: ExportedLog, model: TieModel, at: int) -> BenchmarkReport:
    """Compare what orders the friendships with their closeness at `at` (microseconds)."""
    friends = np.flatnonzero(truth.two_way_at_the_end())
    frame = tie_frame(log, at, 1, layout=LONG_RUN)
    row, known = _rows(frame, truth)
    count = np.where(known, frame.count[row], 0.0)
    volume = np.where(known, PairPast.of(frame.rows).volume[row], 0.0)
    strength = _strength(model, log, truth, at)
    given = Assumptions()
    seen = evidence(truth, given)
    oracle = oracle_closeness(truth, given, seen)
    outsider = oracle_closeness(truth, given, seen, knows_circles=False)
    closeness = truth.closeness_at(at // SECOND)

    def found(score: Floats, among: Ints = friends) -> float:
        return spearman(score[among], closeness[among])

    silent = friends[count[friends] == 0]
    metrics = {
        "spearman_closeness": found(strength),
        "oracle_spearman_closeness": found(oracle),
        "closeness_ratio": found(strength) / found(oracle),
        "spearman_closeness_silent": found(strength, silent),
        "oracle_spearman_closeness_silent": found(oracle, silent),
        "friendships": float(len(friends)),
        "friendships_silent": float(len(silent)),
    }
    baselines = {
        "count_spearman_closeness": found(count),
        "volume_spearman_closeness": found(volume),
        "outsider_spearman_closeness": found(outsider),
        "true_rate_spearman_closeness": found(truth.messages_per_day),
    }
    return BenchmarkReport("town ties", metrics, baselines)


def _strength(model: TieModel, log: ExportedLog, truth: TownTruth, at: int) -> Floats:
    """Return the strength of every pair of the town (m) as of `at`; 0 of strangers."""
    frame = tie_frame(log, at, 1, layout=model.layout)
    row, known = _rows(frame, truth)
    rows = frame.rows
    found = model.predict(rows.out, rows.back, rows.structure, rows.at).strength
    return np.where(known, found[row], 0.0)


def _ends(frame: TieFrame) -> tuple[Ints, Ints]:
    """Return the two people of a frame's pairs as indices, from ids such as p000001."""
    first, second = (
        np.array([int(person[1:]) - 1 for person in ends.tolist()], dtype=np.int64)
        for ends in (frame.first, frame.second)
    )
    return first, second


def _rows(frame: TieFrame, truth: TownTruth) -> tuple[Ints, NDArray[np.bool_]]:
    """Return each of the town's pairs' row in a frame, and whether it has one."""
    people = len(truth.born)
    first, second = _ends(frame)
    keys = first * people + second
    order = np.argsort(keys)
    wanted = truth.a * people + truth.b
    row = order[np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)]
    return row, keys[row] == wanted
