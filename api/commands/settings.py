"""`lishang settings`: every setting, where it comes from and what it means."""

from __future__ import annotations

import click

from api.commands.context import Context
from api.commands.tables import show_table


@click.command()
@click.pass_obj
def settings(context: Context) -> None:
    """Show every setting with its variable, default, present value and meaning."""
    show_table(
        ("variable", "setting", "default", "value", "meaning"),
        [(s.variable, s.name, s.default, s.value, s.meaning) for s in context.settings.describe()],
    )
