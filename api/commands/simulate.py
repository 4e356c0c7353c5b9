"""`lishang simulate`: write a generated town as import files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from api.commands.context import Context
from api.commands.importing import import_and_show
from training.importing.fields import FILE_KINDS
from training.importing.options import ImportOptions
from training.simulate import write_town


@click.command()
@click.option("--people", type=int, default=2_000, show_default=True, help="Up to 100,000.")
@click.option("--days", type=int, default=120, show_default=True, help="How long the log is.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same bytes.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%d"]),
    default="2026-01-01",
    show_default=True,
    help="The first day.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files (<home>/town).")
@click.option("--load", is_flag=True, help="Import the town into the ledger as well.")
@click.pass_obj
def simulate(
    context: Context,
    people: int,
    days: int,
    seed: int,
    start: datetime,
    out: Path | None,
    load: bool,
) -> None:
    """Generate a town: people, friendships, items, gifts, messages, tastes and offers.

    The files are in the import format; the latent truth is beside them in truth/. What the town
    assumes is in docs/town.md.
    """
    folder = out or context.settings.home / "town"
    first_day = start.replace(tzinfo=UTC).date()
    summary = write_town(
        folder, people, days, seed, first_day, lambda step: click.echo(step, err=True)
    )
    click.echo(f"{folder}: {summary}")
    if load:
        import_and_show(context.database(), town_files(folder), ImportOptions())


def town_files(folder: Path) -> dict[str, Path]:
    """Return a town's files by kind."""
    return {kind: folder / f"{kind}.csv" for kind in FILE_KINDS}
