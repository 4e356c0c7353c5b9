"""What the policy needs of other floors, by what it does rather than by what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from engine.domain.errors import PolicyError
from engine.domain.verdicts import PackRef, Verdict
from engine.domain.versions import InService, Newest, RecordedRow


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

    def newest(self) -> Newest:
        """Return the newest change; it differs after every change of what is in service."""

    def in_service(self) -> InService:
        """Return what is in service, as of one instant of the store."""


class DecisionLog(Protocol):
    """The recorded decisions."""

    def recorded(
        self, decision: str, since: int | None, until: int | None
    ) -> Iterator[Sequence[RecordedRow]]:
        """Yield the decisions of one kind from `since` to before `until` (microseconds), oldest
        first, in parts."""

    def count(self, decision: str, since: int | None, until: int | None) -> int:
        """Return how many they are."""
