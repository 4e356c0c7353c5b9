"""The ties benchmark: who of those who ever exchanged will again, and how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pyarrow import csv

from engine.domain.errors import InvalidInput, NotEnoughData
from engine.domain.pair_state import Floats, Ints, Layout
from models.tie_rows import TieRows
from models.ties import TieModel
from training.benchmark.report import BenchmarkReport
from training.benchmark.tie_bootstrap import gains, measured
from training.benchmark.tie_calibration import calibration
from training.benchmark.tie_measures import MeasuredScore, PairOutcomes
from training.benchmark.tie_slices import LONG_RUN, PairPast, slice_aucs, slices
from training.evaluate import log_loss
from training.fit_ties import learning_rows
from training.frames.tie_events import PairsAt, TieEvents

MODEL, COUNT, VOLUME = "strength", "count", "volume"
"""What the pairs are ordered by: the model, and the two baselines."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs:
    """The pairs (n) at one cut-off (microseconds): scores, baselines, and what followed.

    `count` is how many exchanges they had had, `past` what else the log said of them by then.
    """

    cutoff: int
    first: NDArray[np.generic]
    second: NDArray[np.generic]
    strength: Floats
    p_exchange: Floats
    count: Floats
    past: PairPast
    future_volume: Floats

    @property
    def scores(self) -> dict[str, Floats]:
        """What the pairs may be ordered by, by name."""
        return {MODEL: self.strength, COUNT: self.count, VOLUME: self.past.volume}


@dataclass(frozen=True, slots=True, eq=False)
class TieBenchmark:
    """What the model and its baselines reach, averaged over the cut-offs, and every score.

    `remarks` say in words what was left out.
    """

    metrics: dict[str, float]
    baselines: dict[str, float]
    scored: tuple[ScoredPairs, ...]
    remarks: tuple[str, ...] = ()

    def report(self) -> BenchmarkReport:
        """Return the numbers for `training.benchmark.report.emit`."""
        return BenchmarkReport("ties", self.metrics, self.baselines)


def benchmark_ties(
    sender: ArrayLike,
    recipient: ArrayLike,
    weight: ArrayLike,
    kind: ArrayLike,
    occurred_at_us: ArrayLike,
    cutoffs_us: Sequence[int],
    horizon_us: int,
    seed: int,
) -> TieBenchmark:
    """Judge the ties model on a log of contacts, beside counting them and their long-run volume.

    At each cut-off T all unordered pairs with an exchange before T are scored; the label is what
    they exchange within [T, T + horizon). The model at T learns only from windows that had ended
    by T.

    Parameters
    ----------
    sender, recipient, weight, kind, occurred_at_us
        n events: ids of one type, weights > 0, free-text kinds, microseconds from any origin.
        Equal rows are separate events.
    cutoffs_us
        Instants at which to judge, in the same microseconds.
    horizon_us
        Microseconds that a window lasts.
    seed
        Of every random choice.

    Returns
    -------
    TieBenchmark
        `auc_any` of any exchange, `auc_heavy` of the top tenth of future volume, `spearman` with
        future volume, `ego_ndcg` of future volume within each person's own ties (three or more),
        all of `strength`; of each the `_gain` over counting and `_gain_over_volume` over volume
        halved every 180 days, with the 95 % interval `_low` and `_high` of a paired bootstrap over
        people. `log_loss` and `calibration_error` of `p_exchange`, pooled, the latter beside
        `…_if_perfect`. `auc_any_slice_…` within slices of the pairs, `pairs_slice_…` their sizes.

    Raises
    ------
    InvalidInput
        If there is no cut-off or the horizon is not positive.
    NotEnoughData
        If before a cut-off no window has passed, or too few pairs were seen in any.
    """
    if not cutoffs_us or horizon_us <= 0:
        raise InvalidInput("one cut-off at least and a positive horizon are needed")
    events = TieEvents(sender, recipient, weight, kind, occurred_at_us)
    scored = tuple(_scored(events, cutoff, horizon_us, seed) for cutoff in cutoffs_us)
    metrics, baselines = compared(scored, seed)
    chance = np.concatenate([s.p_exchange for s in scored])
    exchanged = np.concatenate([(s.future_volume > 0).astype(np.float64) for s in scored])
    judged = calibration(exchanged, chance, seed)
    metrics |= {
        "log_loss": log_loss(exchanged, chance),
        "calibration_error": judged.error,
        "calibration_error_if_perfect": judged.if_perfect,
        "calibration_error_if_perfect_high": judged.if_perfect_high,
        "calibration_ratio": judged.ratio,
        "pairs": float(len(exchanged)),
        "exchanged": float(exchanged.sum()),
        "cutoffs": float(len(scored)),
    }
    sliced, beside, remarks = _sliced(scored, horizon_us)
    return TieBenchmark(metrics | sliced, baselines | beside, scored, remarks)


def write_scores(benchmark: TieBenchmark, path: Path, unit_us: int = 1) -> None:
    """Write every pair's scores as CSV: cutoff, a, b, strength, p_exchange, count, exchanged,
    future_volume; the cut-off in units of `unit_us` microseconds."""
    tables = []
    for scored in benchmark.scored:
        cutoff = scored.cutoff / unit_us
        shown = f"{cutoff:.0f}" if cutoff.is_integer() else repr(cutoff)
        columns = {
            "cutoff": pa.array([shown] * len(scored.first)),
            "a": pa.array(scored.first.astype(str)),
            "b": pa.array(scored.second.astype(str)),
            "strength": pa.array(scored.strength),
            "p_exchange": pa.array(scored.p_exchange),
            "count": pa.array(scored.count.astype(np.int64)),
            "exchanged": pa.array((scored.future_volume > 0).astype(np.int64)),
            "future_volume": pa.array(scored.future_volume),
        }
        tables.append(pa.table(columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    csv.write_csv(pa.concat_tables(tables), path, csv.WriteOptions(quoting_style="needed"))


def _scored(events: TieEvents, cutoff: int, horizon: int, seed: int) -> ScoredPairs:
    layout = Layout.scaled_to(cutoff - events.first())
    model = _fitted(events, cutoff, horizon, seed, layout)
    present: PairsAt = events.at(cutoff, horizon, layout)
    rows = present.rows
    if len(rows) == 0:
        raise NotEnoughData(f"no pair exchanged anything before the cut-off {cutoff}")
    found = model.predict(rows.out, rows.back, rows.structure, rows.at)
    first, second = events.ends(rows.pair)
    past = PairPast.of(events.at(cutoff, horizon, LONG_RUN).rows)
    return ScoredPairs(
        cutoff, first, second, found.strength, found.p_exchange, present.count, past, rows.amount
    )


def _fitted(events: TieEvents, cutoff: int, horizon: int, seed: int, layout: Layout) -> TieModel:
    """Fit on the windows that had ended by `cutoff`, as `lishang train ties` does."""

    def rows_at(start: int) -> TieRows:
        return events.at(start, horizon, layout).rows

    train, held_out = learning_rows(rows_at, events.first(), cutoff, horizon, seed, layout)
    return TieModel.fit(train, held_out, horizon, events.begins(), cutoff, seed, layout)


def _numbered(scored: Sequence[ScoredPairs]) -> tuple[list[tuple[Ints, Ints]], int]:
    """Return the two ends of each cut-off's pairs as numbers of people, and how many there are."""
    ends = [np.concatenate([one.first, one.second]) for one in scored]
    people, numbers = np.unique(np.concatenate(ends), return_inverse=True)
    parts = np.split(numbers, np.cumsum([len(part) for part in ends])[:-1])
    return [(part[: len(part) // 2], part[len(part) // 2 :]) for part in parts], len(people)


def compared(scored: Sequence[ScoredPairs], seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the measures of the model with its gains, and those of the baselines.

    Names are as `benchmark_ties` says; a baseline's begin with `count_` or `volume_`.
    """
    ends, people = _numbered(scored)
    outcomes = [
        PairOutcomes.of(*pair, one.future_volume) for pair, one in zip(ends, scored, strict=True)
    ]
    prepared = {
        name: [
            MeasuredScore.of(outcome, one.scores[name])
            for outcome, one in zip(outcomes, scored, strict=True)
        ]
        for name in (MODEL, COUNT, VOLUME)
    }
    metrics = measured(outcomes, prepared[MODEL], people)
    found = gains(outcomes, prepared, [(MODEL, COUNT), (MODEL, VOLUME)], people, seed)
    for (_, baseline), by_measure in found.items():
        over = "" if baseline == COUNT else f"_over_{baseline}"
        for measure, gain in by_measure.items():
            metrics |= {
                f"{measure}_gain{over}": gain.value,
                f"{measure}_gain{over}_low": gain.low,
                f"{measure}_gain{over}_high": gain.high,
            }
    baselines = {
        f"{name}_{measure}": value
        for name in (COUNT, VOLUME)
        for measure, value in measured(outcomes, prepared[name], people).items()
    }
    return metrics, baselines


def _sliced(
    scored: Sequence[ScoredPairs], horizon: int
) -> tuple[dict[str, float], dict[str, float], tuple[str, ...]]:
    """Return the model's numbers by slice, the baselines', and what slices were too small."""
    ends, _ = _numbered(scored)
    pairs, aucs = slice_aucs(
        [
            (slices(one.past, *pair, horizon), one.future_volume > 0, one.scores)
            for pair, one in zip(ends, scored, strict=True)
        ]
    )
    metrics: dict[str, float] = {}
    beside: dict[str, float] = {}
    for name, size in pairs.items():
        metrics[f"pairs_slice_{name}"] = float(size)
        if name in aucs:
            metrics[f"auc_any_slice_{name}"] = aucs[name][MODEL]
            beside |= {f"{by}_auc_any_slice_{name}": aucs[name][by] for by in (COUNT, VOLUME)}
    small = tuple(
        f"slice {name}: {pairs[name]} pairs, too few of either outcome for an AUC at any cut-off"
        for name in pairs
        if name not in aucs
    )
    return metrics, beside, small
