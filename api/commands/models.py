"""`lishang models`: see the registered models and choose the champions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from api.commands.context import Context
from api.commands.tables import show_table
from api.shelf import LOADERS
from engine.domain.clock import format_time
from training.registry import ModelRegistry, ModelVersion


@click.group()
def models() -> None:
    """List, promote and roll back models; running servers follow within 5 seconds."""


@models.command("list")
@click.pass_obj
def list_models(context: Context) -> None:
    """List every registered version with its role and measures."""
    show_table(
        ("model", "version", "role", "registered", "measures"),
        [
            (
                version.model,
                version.version,
                ", ".join(version.aliases),
                format_time(version.registered_at)[:16],
                " ".join(f"{name}={value:.3f}" for name, value in sorted(version.metrics.items())),
            )
            for version in _registry(context).list()
        ],
    )


@models.command()
@click.argument("model", type=click.Choice(list(LOADERS)))
@click.argument("version", required=False)
@click.pass_obj
def promote(context: Context, model: str, version: str | None) -> None:
    """Make VERSION of MODEL (the challenger if none is named) the champion.

    A version that this code cannot load is refused.
    """
    registry = _registry(context)
    chosen = version or registry.challenger(model)
    with tempfile.TemporaryDirectory() as scratch:
        LOADERS[model](registry.fetch(model, chosen, Path(scratch)), chosen)
    _say(registry.promote(model, chosen))


@models.command()
@click.argument("model", type=click.Choice(list(LOADERS)))
@click.pass_obj
def rollback(context: Context, model: str) -> None:
    """Make MODEL's champion before this one the champion again."""
    _say(_registry(context).rollback(model))


def _say(version: ModelVersion) -> None:
    click.echo(f"version {version.version} of {version.model} is the champion")


def _registry(context: Context) -> ModelRegistry:
    return ModelRegistry(context.settings.mlflow_tracking_uri, context.settings.home)
