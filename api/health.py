"""Readiness as a list of named checks: what is required, what is merely missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.domain.errors import LishangError
from engine.ledger.database import Database
from engine.ledger.migration import require_current


@dataclass(frozen=True, slots=True)
class Check:
    """One thing the service needs.

    `probe` returns what it found in a few words or raises a `LishangError`. Without what is
    `required` nothing is answered (fail closed); without the rest it is answered with less.
    """

    name: str
    required: bool
    probe: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    name: str
    required: bool
    ok: bool
    message: str


def examine(checks: Iterable[Check]) -> list[Finding]:
    """Run the checks, each whatever the others found."""
    return [_examine(check) for check in checks]


def status_of(findings: Iterable[Finding]) -> str:
    """Return `ready`, `degraded` (something optional is missing) or `unready`."""
    missed = [finding for finding in findings if not finding.ok]
    if any(finding.required for finding in missed):
        return "unready"
    return "degraded" if missed else "ready"


def database_check(database: Database) -> Check:
    """Return the check that the ledger can be reached and has the schema of this code."""

    def probe() -> str:
        require_current(database)
        return "reachable, schema current"

    return Check("database", required=True, probe=probe)


def _examine(check: Check) -> Finding:
    try:
        return Finding(check.name, check.required, ok=True, message=check.probe())
    except LishangError as error:
        return Finding(check.name, check.required, ok=False, message=str(error))
