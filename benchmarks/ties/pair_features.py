"""Seconds and memory from an exported log to the features of its pairs, by length of the log."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.ties.generated_log import CUTOFF, make
from benchmarks.ties.processes import fresh, resident_gb
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats
from engine.domain.structure import unknown
from models.features.log_people import People
from models.features.pair import pair_features, pair_matrix
from models.features.pair_log import pair_events
from models.features.pair_parts import PairPart, pair_parts
from training.log import ExportedLog

BASELINE = "count"
"""`SELECT sender, recipient, count(*) … GROUP BY ALL` over the same files."""
_STEPS = (0.1, 0.3, 1.0)
_HELD = "held"
_WRITTEN = "written"


def measure(events: int, out_of_core: int, seed: int) -> dict[str, float]:
    """Take logs of a tenth, three tenths and all of `events` to features as of one instant.

    Parameters
    ----------
    events
        Of the longest log whose features are held as one matrix; 10,000 at least.
    out_of_core
        Of one more log, whose features are written to Parquet part by part; none if 0.
    seed
        Of the logs.

    Returns
    -------
    dict of str to float
        By length of the log: `seconds_…`, `cpu_time_…` (seconds, all threads), `peak_gb_…`
        (resident, of a process of its own) and `pairs_…`. Then `exponent`, to which power of the
        length the seconds grow. The same of the baseline under `count_…`, measured right before:
        a machine that others use slows both.
    """
    found: dict[str, float] = {}
    plan = [(int(events * step), _HELD) for step in _STEPS]
    plan += [(out_of_core, _WRITTEN)] if out_of_core else []
    for length, way in plan:
        with TemporaryDirectory(prefix="lishang-pairs-") as folder, fresh() as processes:
            processes.submit(make, Path(folder), length, seed).result()
            for how, prefix in ((BASELINE, f"{BASELINE}_"), (way, "")):
                spent = processes.submit(_ask, Path(folder), how).result()
                found |= {f"{prefix}{name}_{length}": value for name, value in spent.items()}
    lengths = np.log([length for length, way in plan if way == _HELD])
    for prefix in ("", f"{BASELINE}_"):
        seconds = [found[f"{prefix}seconds_{length}"] for length, way in plan if way == _HELD]
        found[f"{prefix}exponent"] = float(np.polyfit(lengths, np.log(seconds), 1)[0])
    return found


def _ask(folder: Path, how: str) -> dict[str, float]:
    begun, used = time.perf_counter(), sum(os.times()[:2])
    log = ExportedLog(folder)
    if how == BASELINE:
        pairs = _counted(log)
    elif how == _HELD:
        pairs = len(np.concatenate([features for _, features in _features(log)]))
    else:
        pairs = _write(log, folder / "features.parquet")
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_time": sum(os.times()[:2]) - used,
        "peak_gb": resident_gb("VmHWM"),
        "pairs": float(pairs),
    }


def _counted(log: ExportedLog) -> int:
    ends = ibis.union(
        *(log.table(name).select("sender", "recipient") for name in ("gifts", "interactions"))
    )
    grouped = ends.group_by("sender", "recipient").aggregate(events=ends.count())
    return int(grouped.to_pyarrow().num_rows)


def _features(log: ExportedLog) -> Iterator[tuple[PairPart, Floats]]:
    gifts, interactions = log.table("gifts"), log.table("interactions")
    people = People.of(gifts, interactions)
    for part in pair_parts(pair_events(gifts, interactions, CUTOFF), people):
        around = unknown(len(part.first))
        yield part, pair_matrix(DEFAULT_LAYOUT, part.out, part.back, around, CUTOFF)


def _write(log: ExportedLog, path: Path) -> int:
    names = pair_features().names
    ends = [(name, pa.int64()) for name in ("first", "second")]
    schema = pa.schema([*ends, *((name, pa.float64()) for name in names)])
    written = 0
    with pq.ParquetWriter(path, schema) as writer:
        for part, features in _features(log):
            columns = [part.first, part.second, *features.T]
            writer.write_table(pa.table([pa.array(column) for column in columns], schema))
            written += len(features)
    return written


@click.command()
@click.option("--events", default=10_000_000, show_default=True, type=click.IntRange(min=10_000))
@click.option(
    "--out-of-core",
    default=0,
    show_default=True,
    type=click.IntRange(min=0),
    help="Also a log of so many events that nothing holds whole (100,000,000 take 10 GB of disk).",
)
@click.option("--seed", default=1, show_default=True, help="Of the logs.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(events: int, out_of_core: int, seed: int, out: Path | None) -> None:
    """Measure the features of the pairs of logs up to so many events, and print the figures."""
    from training.benchmark.report import BenchmarkReport, emit  # noqa: PLC0415  # slow to load

    found = measure(events, out_of_core, seed)
    metrics = {name: value for name, value in found.items() if not name.startswith(BASELINE)}
    baselines = {name: found[name] for name in found if name not in metrics}
    libraries = ("numpy", "duckdb", "ibis-framework", "pyarrow")
    emit(
        BenchmarkReport(f"features of pairs from {events:,} events", metrics, baselines, libraries),
        out,
    )


if __name__ == "__main__":
    main()
