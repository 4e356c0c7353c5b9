"""What the policy needs of other floors, by what it does rather than by what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.domain.errors import PolicyError
from engine.domain.verdicts import PackRef, Verdict


class ShadowWitness(Protocol):
    """Is told what packs in shadow would have said."""

    def evaluated(
        self, shadow: PackRef, enforced: Sequence[Verdict], shadowed: Sequence[Verdict]
    ) -> None:
        """Take the enforced verdicts and those of the pack `shadow` on the same facts, in order."""

    def failed(self, shadow: PackRef, error: PolicyError) -> None:
        """Take note that the pack `shadow` gave no verdict."""


class PackStore(Protocol):
    """The versions of packs that are kept, and which of them are in service."""

    def revision(self) -> int:
        """Return a number that grows with every change of what is in service."""

    def in_service(self) -> InService:
        """Return what is in service, as of one instant of the store."""


@dataclass(frozen=True, slots=True)
class StoredText:
    """The text of one stored version."""

    ref: PackRef
    text: str


@dataclass(frozen=True, slots=True)
class InService:
    """Which versions decide and which run in shadow, the enforced ones newest first."""

    revision: int
    enforced: tuple[StoredText, ...]
    shadows: tuple[StoredText, ...]


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """What backtests read of a recorded decision."""

    decision_id: str
    occurred_at: int
    """Microseconds."""
    effect: str
    fired: str
    """JSON, as recorded: equal texts mean equal lists of fired rules."""
    facts: bytes
    """JSON object by fact name."""


class DecisionLog(Protocol):
    """The recorded decisions."""

    def recorded(
        self, decision: str, since: int | None, until: int | None
    ) -> Iterator[Sequence[RecordedDecision]]:
        """Yield the decisions of one kind from `since` to before `until` (microseconds), oldest
        first, in parts."""

    def count(self, decision: str, since: int | None, until: int | None) -> int:
        """Return how many they are."""
