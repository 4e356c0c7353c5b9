"""`lishang rules show`: one kept version, what was found about it and who let it decide."""

from __future__ import annotations

import click
import orjson

from api.commands.context import Context
from api.commands.shipping import named_version, shipping
from api.commands.version_words import told_backtest, told_window, version_row
from engine.domain.clock import format_time
from engine.domain.pack_life import StoredVersion
from engine.policy.evidence import checks_found


@click.command()
@click.argument("version", metavar="PACK@VERSION")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people or for machines; JSON holds the whole reports.",
)
@click.pass_obj
def show(context: Context, version: str, form: str) -> None:
    """Show the state of a version, who wrote and approved it, its checks and its backtest."""
    found = shipping(context).find(*named_version(version))
    if form == "json":
        told = {
            **version_row(found),
            "checks": orjson.Fragment(found.checks),
            "backtest": None if found.backtest is None else orjson.Fragment(found.backtest),
        }
        click.echo(orjson.dumps(told))
    else:
        click.echo("\n".join(_lines(found)))


def _lines(version: StoredVersion) -> list[str]:
    shadow = "it is or has been in shadow" if version.shadowed else "it has not been in shadow"
    approved = "approved by nobody yet"
    if version.approver is not None and version.enforced_at is not None:
        approved = f"approved by {version.approver.name} at {format_time(version.enforced_at)}"
    return [
        f"{version}: {version.state.value}; {shadow}",
        f"decides {version.decides}, in effect {told_window(version)}",
        f"hash {version.ref.hash}",
        f"published by {version.author.name} at {format_time(version.published_at)}",
        approved,
        _checks(version),
        told_backtest(version),
    ]


def _checks(version: StoredVersion) -> str:
    found = checks_found(version.checks)
    if found is None:
        return "checks: none kept"
    return (
        f"checks: {found.findings} findings of lint, none an error; {found.examples} examples and "
        f"{found.cases} cases passed"
    )
