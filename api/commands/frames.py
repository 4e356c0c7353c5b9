"""`lishang frames`: what models are trained on, as files for notebooks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from api.commands.context import Context
from engine.domain.clock import DAY, format_time, now, parse_time
from engine.domain.errors import InvalidInput
from engine.ledger.ego import read_unscorable
from engine.ledger.export import export_log
from training.frames.parquet import write_tie_frame
from training.frames.ties import TieFrames
from training.importing.values import LATEST
from training.log import ExportedLog


@click.group()
def frames() -> None:
    """Write what models are trained on."""


@frames.group()
def build() -> None:
    """Build a training frame from the ledger's log and write it as Parquet."""


@build.command()
@click.option("--cutoff", required=True, metavar="TIME", help="When the pairs are looked at.")
@click.option(
    "--horizon", type=float, required=True, metavar="DAYS", help="How far ahead the labels look."
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A new file."
)
@click.pass_obj
def ties(context: Context, cutoff: str, horizon: float, out: Path) -> None:
    """Write every pair acquainted at the cut-off: features as of then, and what followed.

    Left out are those who object to being scored or are known to be under 14. Each column says in
    its metadata what it means and in which unit it is. The file holds ids of people: its owner
    alone can read it.
    """
    at, horizon_us = parse_time(cutoff), _micros(horizon)
    if at + horizon_us > now():
        raise InvalidInput(
            "nobody knows yet what happens within the horizon", "choose an earlier cut-off"
        )
    with tempfile.TemporaryDirectory(prefix="lishang-frames-") as scratch:
        folder = Path(scratch) / "log"
        database = context.database()
        export_log(database, folder, now())
        with database.reading() as unit:
            unscorable = read_unscorable(unit, now())
        frame = TieFrames(ExportedLog(folder)).at(at, horizon_us).without(unscorable)
        rows = write_tie_frame(frame, out, at, horizon_us)
    click.echo(f"{rows:,} pairs as of {format_time(at)} are in {out}")


def _micros(days: float) -> int:
    if not 0.5 <= days * DAY <= LATEST:
        raise InvalidInput("the horizon should be positive, in days", "write --horizon 30")
    return round(days * DAY)
