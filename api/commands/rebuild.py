"""`lishang rebuild`: compute stored state anew from the log."""

from __future__ import annotations

import click

from api.commands.context import Context
from engine.ledger.ties import rebuild_ties


@click.group()
def rebuild() -> None:
    """Compute stored state anew from the log."""


@rebuild.command()
@click.pass_obj
def ties(context: Context) -> None:
    """Compute every tie's state anew, in one transaction."""
    with context.database().writing() as unit:
        pairs = rebuild_ties(unit)
    click.echo(f"{pairs:,} directed pairs rebuilt")
