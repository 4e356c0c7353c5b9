"""What versions in shadow would have said: counted, and each kind of difference logged."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, TypeAlias

import structlog

from engine.domain.errors import PolicyError
from engine.domain.verdicts import Effect, PackRef, Verdict

LOG_SECONDS: Final = 60.0
"""How long one and the same difference is only counted after it was logged."""
MOST_DIFFERENCES: Final = 1_024
"""How many differences are told apart; the one not seen for longest is forgotten first."""

NEWLY: Final[Mapping[Effect, str]] = {
    Effect.DENY: "newly_blocked",
    Effect.REVIEW: "newly_held",
    Effect.ALLOW: "newly_allowed",
}
"""The kind of a difference by the effect that the shadow would have."""
OTHER_RULES: Final = "other_rules"
"""The kind where the effect is the same and the rules that fired, or what they set, are not."""

_Difference: TypeAlias = tuple[PackRef, Verdict, Verdict]


class ShadowMetrics(Protocol):
    """Where shadow evaluations are counted."""

    def shadow_evaluated(
        self, shadow: PackRef, verdicts: int, differences: Mapping[str, int]
    ) -> None:
        """Count so many verdicts of `shadow`, and by kind those that differ."""

    def shadow_failed(self, shadow: PackRef) -> None:
        """Count that `shadow` gave no verdict."""


@dataclass(slots=True)
class _Line:
    """When a difference was last logged, and how often it came since."""

    logged: float
    since: int


class ShadowCounts:
    """Takes note of what shadows say; never raises, safe to use from any number of threads.

    Parameters
    ----------
    clock
        Tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._metrics: ShadowMetrics | None = None
        self._lines: OrderedDict[_Difference, _Line] = OrderedDict()
        self._lock = threading.Lock()

    def count_in(self, metrics: ShadowMetrics) -> None:
        """Count in `metrics` from now on."""
        self._metrics = metrics

    def evaluated(
        self, shadow: PackRef, enforced: Sequence[Verdict], shadowed: Sequence[Verdict]
    ) -> None:
        """Take the enforced verdicts and those of the pack `shadow` on the same facts, in order."""
        differences: Counter[str] = Counter()
        for before, after in zip(enforced, shadowed, strict=False):
            kind = difference(before, after)
            if kind is not None:
                differences[kind] += 1
                self._tell(kind, (shadow, before, after))
        if self._metrics is not None:
            self._metrics.shadow_evaluated(shadow, len(shadowed), differences)

    def failed(self, shadow: PackRef, error: PolicyError) -> None:
        """Take note that the pack `shadow` gave no verdict."""
        structlog.get_logger("shadow").error(
            "shadow failed", pack=shadow.pack, version=shadow.version, why=str(error)
        )
        if self._metrics is not None:
            self._metrics.shadow_failed(shadow)

    def _tell(self, kind: str, found: _Difference) -> None:
        """Log a difference, unless it was lately; of people it says nothing."""
        now = self._clock()
        with self._lock:
            line = self._lines.get(found)
            if line is not None and now - line.logged < LOG_SECONDS:
                line.since += 1
                self._lines.move_to_end(found)
                return
            unlogged = 0 if line is None else line.since
            self._lines[found] = _Line(now, 0)
            self._lines.move_to_end(found)
            if len(self._lines) > MOST_DIFFERENCES:
                self._lines.popitem(last=False)
        shadow, before, after = found
        structlog.get_logger("shadow").info(
            "shadow differs",
            kind=kind,
            decision=before.decision,
            shadow=_named(shadow),
            enforced=_named(before.pack),
            effect=before.effect.value,
            rules=[fired.rule for fired in before.fired],
            shadow_effect=after.effect.value,
            shadow_rules=[fired.rule for fired in after.fired],
            times=1 + unlogged,
        )


def difference(enforced: Verdict, shadowed: Verdict) -> str | None:
    """Return of which kind the difference of two verdicts on the same facts is; None if none."""
    if enforced.effect is not shadowed.effect:
        return NEWLY[shadowed.effect]
    # The order in which a pack lists its rules is no difference.
    if enforced.fired != shadowed.fired and set(enforced.fired) != set(shadowed.fired):
        return OTHER_RULES
    return None


def _named(ref: PackRef) -> str:
    return f"{ref.pack}@{ref.version}"
