"""`lishang train`: fit, judge and register the models."""

from __future__ import annotations

import click

from api.commands.context import Context
from api.commands.tables import show_table
from engine.domain.clock import now
from engine.domain.errors import NotEnoughData
from engine.ledger.database import Database
from training.registry import ModelRegistry
from training.train import FITS, Trained
from training.train import train as run


@click.command()
@click.argument("models", nargs=-1, type=click.Choice([*FITS, "all"]))
@click.option("--seed", type=int, default=1, show_default=True, help="Of the fits.")
@click.option("--promote", is_flag=True, help="Make the new versions champions.")
@click.pass_obj
def train(context: Context, models: tuple[str, ...], seed: int, promote: bool) -> None:
    """Train MODELS (ties, gifts, offers; all if none is named) on the ledger's log.

    A new version becomes the challenger, and the champion where there is none yet.
    """
    wanted = list(FITS) if not models or "all" in models else list(dict.fromkeys(models))
    registry = ModelRegistry(context.settings.mlflow_tracking_uri, context.settings.home)
    trained = train_and_show(context.database(), registry, wanted, seed, promote)
    refused = [one for one in trained if one.refused is not None]
    if len(refused) == len(trained) and refused[0].refused is not None:
        raise refused[0].refused


def train_and_show(
    database: Database, registry: ModelRegistry, models: list[str], seed: int, promote: bool
) -> list[Trained]:
    """Train `models`, printing each report as it is there."""
    trained = []
    for one in run(database, registry, models, seed, promote, before=now()):
        trained.append(one)
        _show(one)
    return trained


def _show(trained: Trained) -> None:
    if trained.version is None:
        why: NotEnoughData | str = trained.refused or ""
        click.echo(f"{trained.model}: not trained: {why}", err=True)
        return
    aliases = ", ".join(trained.version.aliases)
    click.echo(f"{trained.model}: version {trained.version.version} ({aliases})")
    rows = [(name, f"{value:.4f}") for name, value in sorted(trained.metrics.items())]
    show_table(("metric", "value"), rows)
