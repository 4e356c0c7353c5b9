"""What lint may say of packs: every code with its severity and meaning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from engine.domain.errors import PolicyError
from engine.domain.verdicts import FactValue


class Severity(StrEnum):
    """How much a finding matters: an error may not ship, a warning asks for a look."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """Return 0 for an error, 1 for a warning and 2 for a note."""
        return ("error", "warning", "note").index(self.value)


_PLACE = re.compile(r"(?P<file>.*?):(?P<line>\d+):(?P<column>\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that lint found.

    `where` is `file:line:column`. `witness` holds the facts that the rules in question read, with
    values on which the rules do what the message says; every other fact may be anything that is
    known.
    """

    code: str
    severity: Severity
    where: str
    rule: str | None
    message: str
    hint: str
    witness: Mapping[str, FactValue] | None = None

    @property
    def place(self) -> tuple[str, int, int]:
        """Return file, line and column, counted from 1."""
        found = _PLACE.fullmatch(self.where)
        return (
            (found["file"], int(found["line"]), int(found["column"]))
            if found
            else (self.where, 1, 1)
        )

    def as_json(self) -> dict[str, object]:
        """Return the finding as plain values, always with the same keys."""
        file, line, column = self.place
        return {
            "code": self.code,
            "severity": self.severity.value,
            "file": file,
            "line": line,
            "column": column,
            "rule": self.rule,
            "message": self.message,
            "hint": self.hint,
            "witness": None if self.witness is None else dict(self.witness),
        }


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

CODES: Mapping[str, Severity] = MappingProxyType(
    {
        # The file or a rule is not understood.
        "UNREADABLE": _E,
        "NOT_YAML": _E,
        "WRONG_SHAPE": _E,
        "OUT_OF_RANGE": _E,
        "UNKNOWN_DECISION": _E,
        "WRONG_WINDOW": _E,
        "DOUBLED_RULE": _E,
        "NOT_CEL": _E,
        "NOT_COMPILABLE": _E,
        "UNKNOWN_FACT": _E,
        "UNKNOWN_PARAM": _E,
        "UNKNOWN_VALUE": _E,
        "WRONG_TYPE": _E,
        "WRONG_OUTPUT": _E,
        "DOUBLED_OUTPUT": _E,
        "WRONG_EXAMPLE": _E,
        "NO_REASON": _E,
        "REFUSED": _E,
        # What durable_rules cannot be trusted with.
        "TOO_MANY_ALTERNATIVES": _E,
        "TOO_MANY_COMPARISONS": _E,
        "ENGINE_REFUSES": _E,
        # What is named and not there, or there and not named.
        "UNKNOWN_REASON": _E,
        "UNUSED_PARAM": _W,
        "UNUSED_REASON": _W,
        "UNCITED": _E,
        "UNVERIFIED": _N,
        # What the rules say, taken together.
        "NEVER_FIRES": _E,
        "NEVER_FIRES_NOW": _W,
        "ALWAYS_FIRES": _E,
        "ALWAYS_FIRES_NOW": _W,
        "SETS_ALWAYS": _N,
        "SUBSUMED": _W,
        "OVERRULED": _E,
        "OVERRULED_NOW": _W,
        "CONTRADICTS": _W,
        "OVERLAPPING_WINDOWS": _E,
        "NO_PACKS": _E,
        "UNDECIDED": _N,
    }
)
"""Every code that a finding can have; `docs/lint.md` says what each means and asks."""


def finding(
    code: str,
    where: str,
    message: str,
    hint: str,
    rule: str | None = None,
    witness: Mapping[str, FactValue] | None = None,
) -> Finding:
    """Return a finding with the severity of its code."""
    return Finding(code, CODES[code], where, rule, message, hint, witness)


def finding_of(error: PolicyError, code: str, where: str, rule: str | None = None) -> Finding:
    """Return a refusal as a finding; the place that its message begins with, if any, is its own.

    Parameters
    ----------
    error
        What was raised.
    code
        The code of the finding.
    where
        The place for a message that names none.
    rule
        The rule that was refused, where it is one.
    """
    place, _, message = error.message.partition(": ")
    if not message or _PLACE.fullmatch(place) is None:
        place, message = where, error.message
    return finding(code, place, message, error.hint, rule)
