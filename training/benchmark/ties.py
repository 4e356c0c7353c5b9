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
from engine.domain.pair_state import Floats, Ints
from models.tie_rows import TieRows
from models.ties import TieModel
from training.benchmark.report import BenchmarkReport
from training.evaluate import auc, calibration_error, log_loss, ndcg_at_k, spearman
from training.fit_ties import WINDOWS, WINDOWS_A_HORIZON
from training.frames.tie_events import PairsAt, TieEvents

SMALLEST_EGO = 3
"""A person with fewer ties has no order to get right."""

_HEAVY_SHARE = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPairs:
    """The pairs (n) at one cut-off (microseconds): scores, count so far, and what followed."""

    cutoff: int
    first: NDArray[np.generic]
    second: NDArray[np.generic]
    strength: Floats
    p_exchange: Floats
    count: Floats
    future_volume: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TieBenchmark:
    """What the model and counting reach, averaged over the cut-offs, and every score."""

    metrics: dict[str, float]
    baselines: dict[str, float]
    scored: tuple[ScoredPairs, ...]

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
    """Judge the ties model on a log of contacts, beside counting them.

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
        all of `strength`; `log_loss` and `calibration_error` of `p_exchange`, pooled.

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
    model = [_measures(s.future_volume, s.strength, s.first, s.second) for s in scored]
    count = [_measures(s.future_volume, s.count, s.first, s.second) for s in scored]
    metrics, counting = _averaged(model), _averaged(count)
    chance = np.concatenate([s.p_exchange for s in scored])
    exchanged = np.concatenate([(s.future_volume > 0).astype(np.float64) for s in scored])
    metrics |= {
        "auc_any_gain": metrics["auc_any"] - counting["auc_any"],
        "log_loss": log_loss(exchanged, chance),
        "calibration_error": calibration_error(exchanged, chance),
        "pairs": float(len(exchanged)),
        "exchanged": float(exchanged.sum()),
        "cutoffs": float(len(scored)),
    }
    return TieBenchmark(metrics, {f"count_{name}": n for name, n in counting.items()}, scored)


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
    model = _fitted(events, cutoff, horizon, seed)
    present: PairsAt = events.at(cutoff, horizon)
    rows = present.rows
    if len(rows) == 0:
        raise NotEnoughData(f"no pair exchanged anything before the cut-off {cutoff}")
    found = model.predict(rows.out, rows.back, rows.at)
    first, second = events.ends(rows.pair)
    return ScoredPairs(
        cutoff, first, second, found.strength, found.p_exchange, present.count, rows.amount
    )


def _fitted(events: TieEvents, cutoff: int, horizon: int, seed: int) -> TieModel:
    """Fit on the windows that had ended by `cutoff`; the newest first, a seventh apart."""
    earliest = events.first() + horizon // 4
    step = max(horizon // WINDOWS_A_HORIZON, 1)
    starts = range(cutoff - horizon, earliest - 1, -step)[:WINDOWS]
    parts = [events.at(start, horizon).rows for start in starts]
    if not parts:
        raise NotEnoughData(
            f"no window of the horizon's length had passed by the cut-off {cutoff}",
            "choose later cut-offs or a shorter horizon",
        )
    return TieModel.fit(TieRows.joined(parts), None, horizon, cutoff, seed)


def _measures(
    volume: Floats, score: Floats, first: NDArray[np.generic], second: NDArray[np.generic]
) -> dict[str, float]:
    """Return the four measures of one score at one cut-off."""
    heavy = np.sort(volume)[-max(1, round(_HEAVY_SHARE * len(volume)))]
    _, ego = np.unique(np.concatenate([first, second]), return_inverse=True)
    egos: Ints = ego.astype(np.int64)
    return {
        "auc_any": auc(volume > 0, score),
        "auc_heavy": auc(volume >= max(heavy, np.nextafter(0.0, 1.0)), score),
        "spearman": spearman(score, volume),
        "ego_ndcg": ndcg_at_k(egos, np.tile(volume, 2), np.tile(score, 2), smallest=SMALLEST_EGO),
    }


def _averaged(measured: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([one[name] for one in measured])) for name in measured[0]}
