"""`lishang rules publish|shadow|enforce|rollback|diff|history`: from a file to what decides."""

from __future__ import annotations

from pathlib import Path

import click
import orjson

from api.commands.context import Context
from api.commands.pack_diff_text import lines_of
from api.commands.shipping import actor, key_option, named_version, shipping
from api.commands.tables import show_table
from api.commands.version_words import told_backtest, told_window, version_row
from engine.domain.clock import format_time, now
from engine.domain.errors import InvalidInput
from engine.domain.pack_life import Change, PackEvent, PackState
from engine.domain.verdicts import PackRef
from engine.ledger.keys import Scope
from engine.policy.folder import text_of
from engine.policy.pack_diff import diff as compare

_FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people or for machines.",
)
_HASH_SHOWN = 12


@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@key_option
@click.pass_obj
def publish(context: Context, files: tuple[Path, ...], key: str | None) -> None:
    """Keep packs as drafts, after lint and their examples and cases; all of them or none.

    Asks for a key that carries policy:write.
    """
    author = actor(context, key, Scope.POLICY_WRITE)
    texts = {str(path): text_of(path) for path in files}
    for version in shipping(context).publish(texts, author, now()):
        kept = "published" if version.state is PackState.DRAFT else version.state.value
        click.echo(f"{version}: {kept}, hash {version.ref.hash}")


@click.command()
@click.argument("version", metavar="PACK@VERSION")
@click.option("--without-history", is_flag=True, help="Though its backtest replayed nothing.")
@key_option
@click.pass_obj
def shadow(context: Context, version: str, without_history: bool, key: str | None) -> None:
    """Evaluate a version beside what decides, without a say; needs a backtest's report.

    Asks for a key that carries policy:write.
    """
    author = actor(context, key, Scope.POLICY_WRITE)
    named = named_version(version)
    change = shipping(context).shadow(*named, author, now(), without_history)
    _say(change, "is in shadow")


@click.command()
@click.argument("version", metavar="PACK@VERSION")
@key_option
@click.pass_obj
def enforce(context: Context, version: str, key: str | None) -> None:
    """Let a version decide that has been in shadow; running servers follow within 2 seconds.

    Asks for a key that carries policy:approve and is not the author's.
    """
    approver = actor(context, key, Scope.POLICY_APPROVE)
    change = shipping(context).enforce(*named_version(version), approver, now())
    _say(change, "is enforced")
    if change.version is not None:
        click.echo(told_backtest(change.version))


@click.command()
@click.argument("pack")
@click.option("--to", metavar="VERSION", type=click.IntRange(1), help="Which decides from now on.")
@key_option
@click.pass_obj
def rollback(context: Context, pack: str, to: int | None, key: str | None) -> None:
    """Undo the newest enforcement of PACK, or let a named version decide that did before.

    Asks for a key that carries policy:approve and is not the author's.
    """
    approver = actor(context, key, Scope.POLICY_APPROVE)
    _say(shipping(context).rollback(pack, approver, now(), to), "is enforced again")


@click.command()
@click.argument("before")
@click.argument("after")
@_FORMAT
@click.pass_obj
def diff(context: Context, before: str, after: str, form: str) -> None:
    """Show what differs from BEFORE to AFTER, each a file or PACK@VERSION."""
    found = compare(_text(context, before), before, _text(context, after), after)
    if form == "json":
        click.echo(orjson.dumps(found.as_json(), option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(lines_of(found)))


@click.command()
@click.argument("pack", required=False)
@_FORMAT
@click.pass_obj
def history(context: Context, pack: str | None, form: str) -> None:
    """Show the versions of PACK, or of every pack, and what was done to them."""
    job = shipping(context)
    versions, events = job.versions(pack), job.events(pack)
    if form == "json":
        told = {
            "versions": [version_row(v) for v in versions],
            "events": [_event(e) for e in events],
        }
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return
    show_table(
        ("version", "state", "in effect", "author", "approver", "hash"),
        [
            (
                f"{version.ref.pack}@{version.ref.version}",
                version.state.value,
                told_window(version),
                version.author.name,
                version.approver.name if version.approver else "–",
                version.ref.hash[:_HASH_SHOWN],
            )
            for version in versions
        ],
    )
    show_table(
        ("revision", "time", "version", "what", "by"),
        [
            (
                str(event.revision),
                format_time(event.occurred_at)[:19] + "Z",
                f"{event.pack}@{event.version}",
                event.action.value,
                event.actor.name,
            )
            for event in events
        ],
    )


def _text(context: Context, named: str) -> str:
    """Return the text of a file or of a kept version."""
    path = Path(named)
    if path.is_file():
        return text_of(path)
    if "@" not in named:
        raise InvalidInput(f"{named!r} is no file", "name a file, or a version as gift_send@2")
    return shipping(context).find(*named_version(named)).text


def _say(change: Change, what: str) -> None:
    if change.version is not None:
        click.echo(f"{change.version} {what}")
        if change.decides_from is not None:
            click.echo(f"it decides from {format_time(change.decides_from)}")
        if change.decides_until is not None:
            then = "" if change.successor is None else f", then {_named(change.successor)}"
            click.echo(f"it decides until {format_time(change.decides_until)}{then}")
    for ref in change.retired:
        click.echo(f"{_named(ref)} is retired")
    for ref in change.shadows_ended:
        click.echo(f"the shadow of {_named(ref)} has ended")


def _named(ref: PackRef) -> str:
    return f"{ref.pack} version {ref.version}"


def _event(event: PackEvent) -> dict[str, object]:
    return {
        "revision": event.revision,
        "at": format_time(event.occurred_at),
        "pack": event.pack,
        "version": event.version,
        "action": event.action.value,
        "by": {"key": event.actor.id, "name": event.actor.name},
    }
