"""The `lishang` command: its subcommands by name, loaded when used, and one form of failure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any, Final, cast

import click

from engine.domain.errors import LishangError


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand is found (`module:attribute`) and what it does, in one line."""

    target: str
    summary: str


COMMANDS: Final[dict[str, Subcommand]] = {
    "migrate": Subcommand("api.commands.migrate:migrate", "Bring the database to this schema."),
    "settings": Subcommand("api.commands.settings:settings", "Show every setting."),
    "keys": Subcommand("api.commands.keys:keys", "Make, list, end and renew keys."),
    "serve": Subcommand("api.commands.serve:serve", "Answer HTTP requests."),
    "import": Subcommand("api.commands.importing:import_command", "Bring files into the ledger."),
    "simulate": Subcommand("api.commands.simulate:simulate", "Generate a town."),
    "train": Subcommand("api.commands.train:train", "Fit, judge and register models."),
    "frames": Subcommand("api.commands.frames:frames", "Write what models are trained on."),
    "models": Subcommand("api.commands.models:models", "List, promote and roll back models."),
    "benchmark": Subcommand("api.commands.benchmark:benchmark", "Judge models on files."),
    "rebuild": Subcommand("api.commands.rebuild:rebuild", "Compute stored state anew."),
    "refresh": Subcommand("api.commands.refresh:refresh", "Compute anew what batches keep fresh."),
    "export": Subcommand("api.commands.export:export", "Take scores out as files; is logged."),
    "rules": Subcommand("api.commands.rules:rules", "Write, prove, ship and explain rules."),
    "ledger": Subcommand("api.commands.ledger:ledger", "Prove it, back it up, bring it back."),
    "webhooks": Subcommand("api.commands.webhooks:webhooks", "Say where events go."),
    "decisions": Subcommand("api.commands.decisions:decisions", "Replay and prune decisions."),
    "demo": Subcommand("api.commands.demo:demo", "Load a town, train, serve, show what to try."),
}
"""Every subcommand. The summary stands here so that `--help` loads none of them."""


class Refused(click.ClickException):
    """A failure of ours, shown as a message and a hint; ends the command with status 2."""

    exit_code = 2

    def __init__(self, error: LishangError) -> None:
        super().__init__(error.message)
        self.hint = error.hint

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message and the hint to standard error."""
        click.echo(f"error: {self.message}", file=file, err=True)
        if self.hint:
            click.echo(f"hint: {self.hint}", file=file, err=True)


class LazyGroup(click.Group):
    """A group that imports a subcommand only when it is called.

    Parameters
    ----------
    subcommands
        By name, in the order in which `--help` lists them.
    """

    def __init__(self, *args: Any, subcommands: Mapping[str, Subcommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._subcommands = subcommands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands, in their order."""
        return list(self._subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a subcommand; None if there is none of that name."""
        found = self._subcommands.get(cmd_name)
        if found is None:
            return None
        module, _, attribute = found.target.partition(":")
        return cast(click.Command, getattr(import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(n, command.summary) for n, command in self._subcommands.items()])


class Main(LazyGroup):
    """The command itself: a failure of ours becomes a message and a hint, no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand."""
        try:
            return super().invoke(ctx)
        except LishangError as error:
            raise Refused(error) from error


@click.group(
    cls=Main, subcommands=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Gifting decisions: may it be sent, what to give, which offer suits whom."""
    # Loaded here for the same reason as the subcommands: `--help` never comes this far.
    context = import_module("api.commands.context").Context(os.environ)
    ctx.obj = context
    ctx.call_on_close(context.close)


if __name__ == "__main__":
    main()
