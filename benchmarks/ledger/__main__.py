"""Measure the gift ledger beside the least that does the same: `python -m benchmarks.ledger`."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks.ledger.ledgers import POSTGRESQL, SQLITE

GROWTH = (10_000, 100_000, 1_000_000, 10_000_000)


def _numbers(_context: click.Context, _option: click.Parameter, given: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.replace("_", "")) for part in given.split(",") if part)
    except ValueError as error:
        raise click.BadParameter("whole numbers with commas between them") from error


@click.command()
@click.option(
    "--databases",
    default=f"{SQLITE},{POSTGRESQL}",
    show_default=True,
    help="Which ones, with commas between them; empty for none.",
)
@click.option("--postgres-url", help="A PostgreSQL server; by default one of our own is started.")
@click.option("--clients", default="1,16,64", show_default=True, callback=_numbers)
@click.option("--seconds", default=3.0, show_default=True, help="Of each load in each round.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option("--workers", default=2, show_default=True)
@click.option("--people", default=20_000, show_default=True, help="Who may send, each eight times.")
@click.option(
    "--batch", default=1_000, show_default=True, help="Checks in a check:batch; 0 for none."
)
@click.option(
    "--sizes",
    default=",".join(map(str, GROWTH)),
    show_default=True,
    callback=_numbers,
    help="Gifts recorded while checks are timed; empty for none.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where files lie meanwhile (12 GB for ten million gifts); by default a temporary one.",
)
@click.option(
    "--out",
    default=Path("benchmarks/results/ledger.json"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Write the figures here.",
)
def main(
    databases: str,
    postgres_url: str | None,
    clients: tuple[int, ...],
    seconds: float,
    rounds: int,
    workers: int,
    people: int,
    batch: int,
    sizes: tuple[int, ...],
    folder: Path | None,
    out: Path,
) -> None:
    """Measure sends, checks and batches, and how a check grows; print and write the figures."""
    kinds = [kind for kind in databases.split(",") if kind]
    if unknown := set(kinds) - {SQLITE, POSTGRESQL}:
        raise click.BadParameter(f"unknown database {', '.join(unknown)}")
    from benchmarks.ledger.measuring import Plan, measure  # noqa: PLC0415  # slow to load

    plan = Plan(kinds, postgres_url, clients, seconds, rounds, workers, people, batch, sizes)
    measure(plan, folder, out)


if __name__ == "__main__":
    main()
