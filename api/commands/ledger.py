"""`lishang ledger`: prove it, back it up while it is served, bring it back."""

from __future__ import annotations

from pathlib import Path

import click

from api.commands.context import Context
from api.commands.tables import show_table
from engine.domain.clock import format_time, now
from engine.ledger.audit import Audit
from engine.ledger.audit import audit as prove
from engine.ledger.backup import backup as write_backup
from engine.ledger.backup_restore import restore as bring_back

_UNCLEAN = 1
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def ledger() -> None:
    """Prove the whole ledger, back it up, bring it back."""


@ledger.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option(
    "--most",
    default=20,
    show_default=True,
    type=click.IntRange(0),
    help="Faults of each check to show.",
)
@click.pass_obj
def audit(context: Context, as_json: bool, most: int) -> None:
    """Prove balances, counters, stock, states, terms, vouchers and the outbox, in one snapshot.

    Ends with 0 if all is as it must be, 1 if anything is not, 2 if it could not be done.
    """
    with context.database().reading(snapshot=True) as unit:
        found = prove(unit, now(), most)
    if as_json:
        click.echo(found.as_json())
    else:
        _show(found)
    click.get_current_context().exit(0 if found.clean else _UNCLEAN)


@ledger.command()
@click.argument("file", type=_FILE)
@click.pass_obj
def backup(context: Context, file: Path) -> None:
    """Write the whole ledger to FILE, which must not exist; it can be served meanwhile."""
    manifest = write_backup(context.database(), file, now())
    click.echo(f"{manifest.rows:,} rows of {len(manifest.tables)} tables are in {file}")
    click.echo(
        "it holds hashes of keys and the secrets of webhooks: only its owner can read it", err=True
    )


@ledger.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Give up what is in the ledger now.")
@click.pass_obj
def restore(context: Context, file: Path, replace: bool) -> None:
    """Make the ledger what FILE says, all of it or nothing; it can be served meanwhile.

    FILE may come from the other kind of database.
    """
    manifest = bring_back(context.database(), file, replace)
    click.echo(f"{manifest.rows:,} rows of {manifest.taken_at} are back")


def _show(found: Audit) -> None:
    show_table(("figure", "value"), [(name, f"{value:,}") for name, value in found.figures.items()])
    show_table(("check", "faults"), [(name, f"{n:,}") for name, n in found.counts.items()])
    if found.first:
        show_table(
            ("of", "check", "fault"),
            [(fault.of, fault.check, fault.fault) for fault in found.first],
        )
    state = "clean" if found.clean else f"NOT CLEAN: {sum(found.counts.values()):,} faults"
    click.echo(f"the ledger as of {format_time(found.at)} is {state}")
