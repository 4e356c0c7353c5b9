"""`lishang migrate`: bring the database to the schema of this code."""

from __future__ import annotations

import click

from api.commands.context import Context
from engine.ledger.migration import migrate as upgrade


@click.command()
@click.pass_obj
def migrate(context: Context) -> None:
    """Bring the database to the schema of this code; a current one is left as it is."""
    click.echo(f"the database is at revision {upgrade(context.unchecked_database())}")
