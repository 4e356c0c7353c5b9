"""How fast a million interactions go in, ties included: `python -m benchmarks.import_rate`."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

import click
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv as pacsv

from engine.ledger.database import Database
from engine.ledger.migration import ensure
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
    with tempfile.TemporaryDirectory(prefix="lishang-import-") as folder:
        path = Path(folder) / "interactions.csv"
        write_interactions(path, rows, people, friends, seed)
        database = Database(url or f"sqlite:///{folder}/lishang.db")
        ensure(database)
        first, again = (
            import_files(database, {"interactions": path}, ImportOptions()) for _ in range(2)
        )
        database.close()
    metrics = {
        "rows": first.rows,
        "ties": first.ties,
        "seconds": first.seconds,
        "rows_per_second": first.rows / first.seconds,
        "file_rows_per_second": first.files[0].rows_per_second,
        "again_rows_per_second": again.rows / again.seconds,
    }
    for name, value in metrics.items():
        click.echo(f"{name:>22} {value:>14,.1f}")
    if out is not None:
        environment = {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cpus": os.cpu_count() or 0,
        }
        figures = {"metrics": metrics, "baselines": {}, "environment": environment}
        out.write_bytes(orjson.dumps(figures, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
