"""`lishang decisions`: take recorded decisions again, and let go of old ones."""

from __future__ import annotations

import click

from api.commands.context import Context
from api.commands.tables import show_table
from engine.domain.clock import format_time, parse_time
from engine.domain.verdicts import ConditionTrace, FactValue, Verdict
from engine.replaying import Replayed, Replaying

_DIFFERENT = 1


@click.group()
def decisions() -> None:
    """Replay recorded decisions, and prune old ones."""


@decisions.command()
@click.argument("decision")
@click.option("--explain", is_flag=True, help="Show every comparison of every rule.")
@click.pass_obj
def replay(context: Context, decision: str, explain: bool) -> None:
    """Take DECISION again by the version that took it, on the facts as recorded.

    Ends with 0 if the verdict is identical, 1 if it differs, 2 if it cannot be replayed.
    """
    replayed = _job(context).replay(decision)
    _show(replayed)
    if explain:
        _explain(replayed)
    click.get_current_context().exit(_DIFFERENT if replayed.differences else 0)


@decisions.command()
@click.option(
    "--before", required=True, metavar="TIME", help="Decisions at this instant and later stay."
)
@click.option("--dry-run", is_flag=True, help="Count only.")
@click.pass_obj
def prune(context: Context, before: str, dry_run: bool) -> None:
    """Delete old decisions that no gift points to; others can be written meanwhile."""
    instant = parse_time(before)
    pruned = _job(context).prune(instant, dry_run)
    deleted = "would be deleted" if dry_run else "deleted"
    click.echo(
        f"{pruned.deleted:,} decisions before {format_time(instant)} {deleted},"
        f" {pruned.kept:,} kept because gifts point to them"
    )


def _job(context: Context) -> Replaying:
    return Replaying(context.database(), context.settings.rules)


def _show(replayed: Replayed) -> None:
    record = replayed.record
    click.echo(f"{record.decision_id}: {record.purpose} at {format_time(record.occurred_at)}")
    _show_verdict("recorded", record.verdict)
    if not replayed.differences:
        click.echo("replayed: identical")
        return
    _show_verdict("replayed", replayed.again)
    for difference in replayed.differences:
        click.echo(f"differs in {difference}")


def _show_verdict(label: str, verdict: Verdict) -> None:
    fired = ", ".join(rule.rule for rule in verdict.fired) or "none"
    click.echo(
        f"{label}: {verdict.effect} by {verdict.pack.pack} version {verdict.pack.version}"
        f" ({verdict.pack.hash}); rules fired: {fired};"
        f" reasons: {', '.join(verdict.reasons) or 'none'}"
    )
    for name, value in verdict.outputs.items():
        click.echo(f"  sets {name}: {_said(value)}")


def _explain(replayed: Replayed) -> None:
    fired = {rule.rule for rule in replayed.again.fired}
    show_table(
        ("rule", "fires", "fact", "value", "asked", "holds"),
        [
            (
                trace.rule,
                "yes" if trace.rule in fired else "no",
                condition.attribute,
                _said(condition.value),
                _asked(condition),
                "yes" if condition.holds else "no",
            )
            for trace in replayed.traces
            for condition in trace.conditions
        ],
    )


def _asked(condition: ConditionTrace) -> str:
    threshold = condition.threshold
    said = (
        f"[{', '.join(map(_said, threshold))}]"
        if isinstance(threshold, tuple)
        else _said(threshold)
    )
    source = f" ({condition.source})" if condition.source else ""
    return f"{condition.operator} {said}{source}"


def _said(value: FactValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
