"""Pairs a second scored in bulk from stored states: `python -m benchmarks.ties.scoring`.

Counted is everything from the stored bytes of a pair (two states, a structure) to its strength and
its chance as numbers in arrays; beside it the export, which reads the bytes from the ledger, makes
an object of each score and writes a file.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import pyarrow.parquet as pq

from benchmarks.ties.trained_town import champion, make_town
from engine.domain.clock import now
from engine.domain.errors import InvalidInput
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats
from engine.domain.structure import WIDTH
from engine.ledger.database import Database
from engine.ledger.ego import read_everybody
from engine.relating import export_ties
from models.ties import TieModel

PART = 4_000
"""Pairs scored at a time: their features stay in a processor's cache."""
THREADS = 2
_AGREE = 1e-9


@dataclass(frozen=True, slots=True)
class Stored:
    """Pairs as the ledger has them: the bytes of the states there and back and of the structure."""

    out: list[bytes]
    back: list[bytes]
    structure: list[bytes]


def stored_pairs(home: Path, at: int, pairs: int) -> Stored:
    """Return so many pairs: those of the town, again and again, each with bytes of its own."""
    database = Database(f"sqlite:///{home / 'lishang.db'}")
    columns: tuple[list[bytes], ...] = ([], [], [])
    with database.reading(snapshot=True) as unit:
        for ties in read_everybody(unit, at):
            for column, rows in zip(columns, (ties.out, ties.back, ties.structure), strict=True):
                column += [row.tobytes() for row in rows]
    database.close()
    order = np.random.default_rng(0).integers(len(columns[0]), size=pairs)
    return Stored(*([bytes(bytearray(column[n])) for n in order] for column in columns))


def score(model: TieModel, stored: Stored, at: int, part: slice) -> Floats:
    """Return strength and chance (2 × n) of a part of the stored pairs."""
    width = DEFAULT_LAYOUT.width
    found = model.predict(
        np.frombuffer(b"".join(stored.out[part]), dtype="<f8").reshape(-1, width),
        np.frombuffer(b"".join(stored.back[part]), dtype="<f8").reshape(-1, width),
        np.frombuffer(b"".join(stored.structure[part]), dtype="<f8").reshape(-1, WIDTH),
        at,
    )
    return np.stack([found.strength, found.p_exchange])


def measure(people: int, pairs: int, rounds: int, seed: int) -> tuple[dict[str, float], ...]:
    """Score `pairs` in turn with compiled trees on one and two threads and with LightGBM's own.

    Returns
    -------
    tuple of dict of str to float
        Figures and baselines: medians of the rounds, in pairs a second.

    Raises
    ------
    InvalidInput
        If the ways do not score alike.
    """
    at = now()
    with TemporaryDirectory(prefix="lishang-scoring-") as folder:
        home = Path(folder)
        make_town(home, people, seed)
        stored = stored_pairs(home, at, pairs)
        compiled, bare = champion(home), champion(home, compiled=False)
        parts = [slice(begin, begin + PART) for begin in range(0, pairs, PART)]
        whole = {
            "pairs_per_second": lambda: [score(compiled, stored, at, part) for part in parts],
            "two_threads_pairs_per_second": lambda: _on_threads(compiled, stored, at, parts),
            "booster_pairs_per_second": lambda: [score(bare, stored, at, part) for part in parts],
        }
        found = _rates(whole, pairs, rounds)
        exported = _export_rate(home, compiled, at)
    baselines = {"booster_pairs_per_second": found.pop("booster_pairs_per_second")}
    return found | {"exported_ties_per_second": exported, "pairs": float(pairs)}, baselines


def _on_threads(
    model: TieModel, stored: Stored, at: int, parts: list[slice[int, int, None]]
) -> list[Floats]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda part: score(model, stored, at, part), parts))


def _rates(
    ways: dict[str, Callable[[], list[Floats]]], pairs: int, rounds: int
) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    scores: dict[str, Floats] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.perf_counter()
            found = way()
            took[name].append(time.perf_counter() - begun)
            scores[name] = np.concatenate(found, axis=1)
    first, *others = scores.values()
    if any(not np.allclose(first, other, rtol=_AGREE, atol=_AGREE) for other in others):
        raise InvalidInput("compiled trees and LightGBM's own do not score alike")
    return {name: pairs / statistics.median(seconds) for name, seconds in took.items()}


def _export_rate(home: Path, model: TieModel, at: int) -> float:
    database, path = Database(f"sqlite:///{home / 'lishang.db'}"), home / "ties.parquet"
    begun = time.perf_counter()
    written = export_ties(database, model, path, at, "benchmark")
    took = time.perf_counter() - begun
    database.close()
    if pq.read_metadata(path).num_rows != written or not written:
        raise InvalidInput("the export is not what was scored")
    return written / took


@click.command()
@click.option("--people", default=1_000, show_default=True, help="Of the town trained on.")
@click.option("--pairs", default=400_000, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=1, show_default=True, help="Of the town and the fit.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(people: int, pairs: int, rounds: int, seed: int, out: Path | None) -> None:
    """Measure how many pairs a second are scored in bulk, and print the figures."""
    from training.benchmark.report import BenchmarkReport, emit  # noqa: PLC0415  # slow to load

    metrics, baselines = measure(people, pairs, rounds, seed)
    libraries = ("numpy", "lightgbm", "lleaves")
    emit(BenchmarkReport(f"{pairs:,} pairs scored in bulk", metrics, baselines, libraries), out)


if __name__ == "__main__":
    main()
