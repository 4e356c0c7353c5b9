"""`lishang export`: what the models say of everybody, as a file; whoever takes it is on record."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
import structlog

from api import logging
from api.commands.context import Context
from api.commands.shipping import actor, key_option
from api.settings import Settings
from api.shelf import LOADERS
from engine.domain.clock import format_time, now
from engine.domain.errors import ModelError
from engine.domain.pack_life import Actor
from engine.domain.ports import TieScorer
from engine.ledger.database import Database
from engine.ledger.keys import Scope
from engine.relating import export_ties
from training.registry import ModelRegistry


@click.group()
def export() -> None:
    """Take scores out of the service as files."""


@export.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@key_option
@click.pass_obj
def ties(context: Context, file: Path, key: str | None) -> None:
    """Write every tie that may be scored, from both ends, to the new Parquet file FILE.

    Asks for a key that carries ties:export. Who exports what, when and by which model is logged
    before anything is read, how many ties it was when FILE is there.
    """
    who = actor(context, key, Scope.TIES_EXPORT)
    export_and_log(context.database(), _champion(context.settings), file, who)


def export_and_log(database: Database, scorer: TieScorer, file: Path, who: Actor) -> None:
    """Write the ties to `file`, with a line in the log before anything is read and one after.

    Raises
    ------
    InvalidInput
        If there is such a file already, or it cannot be written.
    LedgerUnavailable
        If the database cannot be reached.
    """
    at = now()
    # Whatever lines a server is told to keep back: these are for the record.
    logging.configure("info")
    log = structlog.get_logger("export").bind(
        key=who.id,
        name=who.name,
        model=scorer.ref.name,
        version=scorer.ref.version,
        as_of=format_time(at),
        file=str(file.absolute()),
    )
    log.info("ties export begun")
    written = export_ties(database, scorer, file, at, f"{who.id} {who.name}")
    log.info("ties exported", ties=written)
    click.echo(f"{written:,} ties as of {format_time(at)} are in {file}")


def _champion(settings: Settings) -> TieScorer:
    """Return the tie model that servers answer with.

    Raises
    ------
    ModelError
        If there is none, or it cannot be loaded.
    """
    registry = ModelRegistry(settings.mlflow_tracking_uri, settings.home)
    version = registry.champion("ties")
    if version is None:
        raise ModelError("no tie model is in service", "train one: lishang train ties")
    folder = registry.fetch("ties", version, settings.home / "models")
    return cast(TieScorer, LOADERS["ties"](folder, version))
