"""What the commands say of one kept version, to people and to machines."""

from __future__ import annotations

from api.commands.backtest_tables import SAID
from engine.domain.clock import format_time
from engine.domain.pack_life import StoredVersion
from engine.policy.differing import Change
from engine.policy.evidence import backtest_found

_TOTALS = (
    Change.NEWLY_BLOCKED,
    Change.NEWLY_HELD,
    Change.NEWLY_ALLOWED,
    Change.NOT_EVALUABLE,
)


def told_window(version: StoredVersion) -> str:
    """Return from when until when a version is effective."""
    ends = "" if version.effective_until is None else format_time(version.effective_until)
    return f"{format_time(version.effective_from)} – {ends}".rstrip()


def told_backtest(version: StoredVersion) -> str:
    """Return the totals of the backtest that is kept with a version, in one line."""
    if version.backtest is None:
        return "backtest: none"
    found = backtest_found(version.backtest)
    totals = ", ".join(f"{SAID[change]} {found.changes[change]:,}" for change in _TOTALS)
    window = f" from {found.since} to {found.until}" if found.since and found.until else ""
    return f"backtest: {found.decisions:,} decisions replayed{window}: {totals}"


def version_row(version: StoredVersion) -> dict[str, object]:
    """Return a version as plain values for JSON, without its text and reports."""
    approver = version.approver
    return {
        "pack": version.ref.pack,
        "version": version.ref.version,
        "decides": version.decides,
        "state": version.state.value,
        "hash": version.ref.hash,
        "effective_from": format_time(version.effective_from),
        "effective_until": _time(version.effective_until),
        "author": {"key": version.author.id, "name": version.author.name},
        "published_at": format_time(version.published_at),
        "backtested": version.backtest is not None,
        "shadowed": version.shadowed,
        "approver": None if approver is None else {"key": approver.id, "name": approver.name},
        "enforced_at": _time(version.enforced_at),
    }


def _time(at: int | None) -> str | None:
    return None if at is None else format_time(at)
