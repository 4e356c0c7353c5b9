"""How fast a million interactions go in, ties included: `python -m benchmarks.import_rate`."""

from __future__ import annotations

import csv
import sqlite3
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from engine.ledger.database import Database
from engine.ledger.migration import ensure
from training.benchmark.report import BenchmarkReport, emit
from training.importing import ImportOptions, import_files


def write_interactions(path: Path, rows: int, people: int, friends: int, seed: int) -> None:
    """Write a log in which everybody writes to `friends` others, to the first the most."""
    draw = np.random.default_rng(seed)
    sender = draw.integers(0, people, rows)
    nearness = np.minimum(draw.geometric(0.3, rows), friends)
    recipient = (sender + nearness) % people
    table = pa.table(
        {
            "sender": np.char.add("p", sender.astype(str)),
            "recipient": np.char.add("p", recipient.astype(str)),
            "kind": np.where(draw.random(rows) < 0.8, "message", "call"),
            "weight": draw.integers(1, 5, rows),
            "occurred_at": 1_700_000_000 + np.sort(draw.integers(0, 90 * 86_400, rows)),
        }
    )
    pacsv.write_csv(table, path, pacsv.WriteOptions(quoting_style="none"))


def raw_rate(path: Path, folder: Path) -> float:
    """Return the rows a second of the plainest way in: csv and sqlite3, same durability.

    It checks nothing, knows no event twice and computes no tie: the ceiling, not a rival.
    """
    begun = time.perf_counter()
    connection = sqlite3.connect(folder / "raw.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE raw (event TEXT PRIMARY KEY, sender TEXT, recipient TEXT, kind TEXT,"
        " weight REAL, occurred_at INTEGER)"
    )
    connection.execute("CREATE INDEX raw_pair ON raw (sender, recipient)")
    with path.open(newline="") as file, connection:
        rows = csv.reader(file)
        next(rows)
        numbered = ((f"{n}", *row) for n, row in enumerate(rows))
        stored = connection.executemany("INSERT INTO raw VALUES (?,?,?,?,?,?)", numbered).rowcount
    connection.close()
    return stored / (time.perf_counter() - begun)


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--people", default=20_000, show_default=True)
@click.option("--friends", default=20, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--url", help="A database to fill; by default a SQLite file that is then deleted.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(
    rows: int, people: int, friends: int, seed: int, url: str | None, out: Path | None
) -> None:
    """Generate a log, import it twice and print the rates."""
    with tempfile.TemporaryDirectory(prefix="lishang-import-") as name:
        folder = Path(name)
        path = folder / "interactions.csv"
        write_interactions(path, rows, people, friends, seed)
        raw = raw_rate(path, folder)
        database = Database(url or f"sqlite:///{folder}/lishang.db")
        ensure(database)
        first, again = (
            import_files(database, {"interactions": path}, ImportOptions()) for _ in range(2)
        )
        database.close()
    rate = first.rows / first.seconds
    metrics = {
        "rows": first.rows,
        "ties": first.ties,
        "seconds": first.seconds,
        "rows_per_second": rate,
        "file_rows_per_second": first.files[0].rows_per_second,
        "again_rows_per_second": again.rows / again.seconds,
        "ratio_to_raw": rate / raw,
    }
    title = f"import into {'SQLite' if url is None else 'the database given'}"
    emit(BenchmarkReport(title, metrics, {"raw_rows_per_second": raw}), out)


if __name__ == "__main__":
    main()
