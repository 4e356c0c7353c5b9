"""`lishang rules`: write, prove, ship and explain rules."""

from __future__ import annotations

from typing import Final

import click

from api.cli import LazyGroup, Subcommand

RULES: Final[dict[str, Subcommand]] = {
    "facts": Subcommand("api.commands.rules_facts:facts", "List what rules may read and set."),
    "schema": Subcommand("api.commands.rules_facts:schema", "Print the JSON Schema of packs."),
    "lint": Subcommand("api.commands.rules_lint:lint", "Find what is wrong with packs."),
    "test": Subcommand("api.commands.rules_test:test", "Run examples and cases, show coverage."),
    "backtest": Subcommand("api.commands.rules_backtest:backtest", "Replay recorded decisions."),
    "publish": Subcommand("api.commands.rules_ship:publish", "Keep a pack as a new version."),
    "shadow": Subcommand("api.commands.rules_ship:shadow", "Evaluate a version beside."),
    "enforce": Subcommand("api.commands.rules_ship:enforce", "Let a version decide."),
    "rollback": Subcommand("api.commands.rules_ship:rollback", "Let an earlier version decide."),
    "diff": Subcommand("api.commands.rules_ship:diff", "Show what differs between versions."),
    "show": Subcommand("api.commands.rules_show:show", "Show a version and its reports."),
    "history": Subcommand("api.commands.rules_ship:history", "Show what became of a pack."),
}
"""Every subcommand of `rules`."""


@click.group(cls=LazyGroup, subcommands=RULES)
def rules() -> None:
    """Write, prove, ship and explain rules."""
