"""A backtest's report on the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import click

from api.commands.tables import show_table
from engine.domain.clock import format_time
from engine.policy.backtest_report import BacktestReport, Shift
from engine.policy.differing import Change

SAID = {
    Change.NEWLY_BLOCKED: "newly blocked",
    Change.NEWLY_HELD: "newly held for review",
    Change.NEWLY_ALLOWED: "newly allowed",
    Change.NEWLY_RELEASED: "no longer held for review",
    Change.OTHER_OUTPUTS: "same effect, other outputs",
    Change.UNCHANGED: "unchanged",
    Change.NOT_EVALUABLE: "not evaluable",
}
"""Each change in words."""
_CHANGES = (
    Change.NEWLY_BLOCKED,
    Change.NEWLY_HELD,
    Change.NEWLY_ALLOWED,
    Change.NEWLY_RELEASED,
)
_HASH_SHOWN = 12


def show(report: BacktestReport) -> None:
    """Print what changes, by which rules and reasons, a few examples, and what it cannot say."""
    ref = report.candidate
    click.echo(
        f"{ref.pack} version {ref.version} ({ref.hash[:_HASH_SHOWN]}) on {report.decisions:,}"
        f" decisions of {report.decision}, {_window(report)}"
    )
    _show_changes(report)
    _show_shifts("rule", "fires", report.rules)
    _show_shifts("reason", "is given", report.reasons)
    if report.gaps:
        show_table(
            ("fact that records lack", "missing", "other type", "so not evaluable"),
            [
                (gap.fact, _n(gap.missing), _n(gap.mistyped), _n(gap.not_evaluable))
                for gap in report.gaps
            ],
        )
    if report.packs:
        show_table(
            ("decided by", "hash", "decisions", "from", "to"),
            [
                (
                    f"{pack.ref.pack}@{pack.ref.version}",
                    pack.ref.hash[:_HASH_SHOWN],
                    _n(pack.decisions),
                    format_time(pack.first_at),
                    format_time(pack.last_at),
                )
                for pack in report.packs
            ],
        )
    _show_examples(report)
    for note in report.notes:
        click.echo(f"note: {note}")


def _show_changes(report: BacktestReport) -> None:
    whole = report.decisions or 1
    show_table(
        ("change", "decisions", "share"),
        [
            (said, _n(report.changes[change]), f"{report.changes[change] / whole:.2%}")
            for change, said in SAID.items()
        ],
    )


def _show_shifts(kind: str, verb: str, shifts: Iterable[Shift]) -> None:
    """Print the lines that anything happens on."""
    moved = [
        shift
        for shift in shifts
        if shift.newly_fires
        or shift.no_longer_fires
        or shift.not_evaluable
        or any(shift.changes.values())
    ]
    if not moved:
        click.echo(f"no {kind} {verb} otherwise than recorded")
        return
    show_table(
        (
            kind,
            "recorded",
            verb,
            "newly",
            "no longer",
            "not evaluable",
            *(SAID[change] for change in _CHANGES),
        ),
        [
            (
                shift.name if shift.in_candidate else f"{shift.name} (gone)",
                _n(shift.recorded),
                _n(shift.fires),
                _n(shift.newly_fires),
                _n(shift.no_longer_fires),
                _n(shift.not_evaluable),
                *(_n(shift.changes[change.value]) for change in _CHANGES),
            )
            for shift in moved
        ],
    )


def _show_examples(report: BacktestReport) -> None:
    if not report.examples:
        return
    show_table(
        ("example", "at", "change", "recorded", "now", "newly fires", "no longer", "not evaluable"),
        [
            (
                example.decision_id,
                format_time(example.occurred_at),
                SAID[example.change],
                example.before.value,
                "?" if example.now is None else example.now.value,
                ", ".join(example.newly_fires),
                ", ".join(example.no_longer_fires),
                ", ".join(example.not_evaluable),
            )
            for example in report.examples
        ],
    )


def _window(report: BacktestReport) -> str:
    since = "the first" if report.since is None else format_time(report.since)
    until = "the last" if report.until is None else f"before {format_time(report.until)}"
    return f"from {since} to {until}"


def _n(number: int) -> str:
    return f"{number:,}"
