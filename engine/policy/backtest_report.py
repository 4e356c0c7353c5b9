"""What a backtest found: how many decisions a candidate changes, and which rules do it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from engine.domain.clock import format_time
from engine.domain.verdicts import Effect, FactValue, PackRef
from engine.policy.differing import Change

NOTES = (
    "Static replay: every decision is taken again on the facts as they were recorded. Counters, "
    "stock and habits would have developed otherwise under the candidate: a gift that it blocks "
    "would not have counted towards the next ones, one that it allows would have.",
    "The candidate's effective dates are not applied: it replays every decision of the window.",
)
INCOMPLETE_NOTE = (
    "Some records lack facts that the candidate reads. Such a decision is counted wherever the "
    "answer is the same whatever those facts are, and is not evaluable otherwise."
)


@dataclass(frozen=True, slots=True)
class Shift:
    """What becomes of one rule or one reason; every number counts decisions.

    For a reason, read `fires` as `is given`.
    """

    name: str
    in_candidate: bool
    recorded: int
    """Fired as recorded."""
    fires: int
    """Surely fires under the candidate."""
    newly_fires: int
    no_longer_fires: int
    not_evaluable: int
    """Whether it fires depends on facts that the record lacks."""
    changes: Mapping[str, int]
    """Of each change of effect, how many rest on it: on its firing where the answer became
    stricter, on its no longer firing where it became milder."""
    examples: tuple[str, ...]
    """Decisions in which it newly fires or no longer does."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A fact that the candidate reads and that some records lack."""

    fact: str
    missing: int
    mistyped: int
    """Recorded with another type than the fact has now."""
    not_evaluable: int
    """Decisions lacking it that could not be evaluated."""


@dataclass(frozen=True, slots=True)
class RecordedPack:
    """A version that decided within the window; times in microseconds."""

    ref: PackRef
    decisions: int
    first_at: int
    last_at: int


@dataclass(frozen=True, slots=True)
class Example:
    """One changed decision, for operators: it holds facts about people."""

    change: Change
    decision_id: str
    occurred_at: int
    before: Effect
    now: Effect | None
    newly_fires: tuple[str, ...]
    no_longer_fires: tuple[str, ...]
    not_evaluable: tuple[str, ...]
    facts: Mapping[str, FactValue]
    """Those that the candidate reads, as recorded."""


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """The recorded decisions of a window beside a candidate's; times in microseconds."""

    candidate: PackRef
    decision: str
    since: int | None
    until: int | None
    decisions: int
    changes: Mapping[Change, int]
    """Every decision once."""
    effects: Mapping[tuple[Effect, Effect | None], int]
    """By recorded effect and the candidate's; None where it is not evaluable."""
    rules: tuple[Shift, ...]
    reasons: tuple[Shift, ...]
    gaps: tuple[Gap, ...]
    packs: tuple[RecordedPack, ...]
    """Which versions had decided, the earliest first."""
    examples: tuple[Example, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the numbers cannot say."""
        return (*NOTES, INCOMPLETE_NOTE) if self.gaps else NOTES

    def as_json(self) -> dict[str, object]:
        """Return the report as plain values for JSON, times as RFC 3339 texts."""
        return {
            "candidate": asdict(self.candidate),
            "decision": self.decision,
            "since": _time(self.since),
            "until": _time(self.until),
            "decisions": self.decisions,
            "changes": {change.value: self.changes[change] for change in Change},
            "effects": [
                {"recorded": before.value, "candidate": now and now.value, "decisions": count}
                for (before, now), count in self.effects.items()
            ],
            "rules": [_shift("rule", shift) for shift in self.rules],
            "reasons": [_shift("reason", shift) for shift in self.reasons],
            "gaps": [asdict(gap) for gap in self.gaps],
            "packs": [
                {
                    **asdict(pack.ref),
                    "decisions": pack.decisions,
                    "first_at": _time(pack.first_at),
                    "last_at": _time(pack.last_at),
                }
                for pack in self.packs
            ],
            "examples": [_example(example) for example in self.examples],
            "notes": list(self.notes),
        }


def _shift(kind: str, shift: Shift) -> dict[str, object]:
    said = asdict(shift)
    return {kind: said.pop("name"), **said, "examples": list(shift.examples)}


def _example(example: Example) -> dict[str, object]:
    return {
        "change": example.change.value,
        "decision_id": example.decision_id,
        "occurred_at": _time(example.occurred_at),
        "recorded": example.before.value,
        "candidate": example.now and example.now.value,
        "newly_fires": list(example.newly_fires),
        "no_longer_fires": list(example.no_longer_fires),
        "not_evaluable": list(example.not_evaluable),
        "facts": dict(example.facts),
    }


def _time(at: int | None) -> str | None:
    return None if at is None else format_time(at)
