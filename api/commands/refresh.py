"""`lishang refresh`: compute anew what batches keep fresh."""

from __future__ import annotations

import click

from api.commands.context import Context
from engine.domain.clock import format_time, now
from training.refresh import refresh_structure


@click.group()
def refresh() -> None:
    """Compute anew what batches keep fresh; run it every night."""


@refresh.command()
@click.pass_obj
def structure(context: Context) -> None:
    """Compute the structure around every pair, such as friends in common, as of now.

    The service goes on meanwhile. Structure older than 30 days counts as unknown.
    """
    at = now()
    pairs = refresh_structure(context.database(), at)
    click.echo(f"structure of {pairs:,} pairs computed as of {format_time(at)}")
