"""The life of a pack's version: its states, what is done to it, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.domain.verdicts import PackRef


class PackState(StrEnum):
    """Where a version stands on its way."""

    DRAFT = "draft"
    """Kept; decides nothing."""
    SHADOW = "shadow"
    """Evaluated beside what decides; has no say."""
    ENFORCED = "enforced"
    """Decides while its effective dates hold and no version with a later start does."""
    RETIRED = "retired"
    """Decided once."""


class Action(StrEnum):
    """What is done to a version; each leaves an event."""

    SEEDED = "seeded"
    PUBLISHED = "published"
    BACKTESTED = "backtested"
    SHADOWED = "shadowed"
    SHADOWED_WITHOUT_HISTORY = "shadowed without history"
    """Though its backtest had no decision to replay."""
    SHADOW_ENDED = "shadow ended"
    ENFORCED = "enforced"
    ROLLED_BACK = "rolled back"
    """Taken out of service because it was not wanted."""
    ROLLED_BACK_TO = "rolled back to"
    RETIRED = "retired"
    """Taken out of service because another version decides instead of it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the id and the name of an API key."""

    id: str
    name: str


SEED = Actor("seed", "seed")
"""The author of what came from the rules folder: nobody's key."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version as it is kept; times in microseconds."""

    ref: PackRef
    decides: str
    text: str
    """YAML, as it was published."""
    state: PackState
    effective_from: int
    effective_until: int | None
    author: Actor
    published_at: int
    checks: str
    """JSON: what lint and tests found when it was published."""
    backtest: str | None = None
    """JSON: the latest report."""
    shadowed: bool = False
    """Whether it is or has been in shadow."""
    approver: Actor | None = None
    enforced_at: int | None = None
    """When it was last put in service; None if it never was."""

    def holds_at(self, at: int) -> bool:
        """Whether its effective dates hold at the instant `at` (microseconds)."""
        return self.effective_from <= at and (
            self.effective_until is None or at < self.effective_until
        )

    def __str__(self) -> str:
        return f"{self.ref.pack} version {self.ref.version}"


@dataclass(frozen=True, slots=True)
class PackEvent:
    """Something that was done to a version; revisions count from 1 without gaps."""

    revision: int
    pack: str
    version: int
    action: Action
    actor: Actor
    occurred_at: int


@dataclass(frozen=True, slots=True)
class Seeding:
    """What became of the packs of the rules folder."""

    seeded: tuple[PackRef, ...] = ()
    """Kept and enforced just now."""
    unpublished: tuple[PackRef, ...] = ()
    """Not kept, though their decisions have versions: they decide nothing until published."""
    fault: str | None = None
    """Why the folder could not be read; without meaning for what the store holds already."""


@dataclass(frozen=True, slots=True)
class Change:
    """What enforcing, rolling back or putting into shadow changed."""

    version: StoredVersion | None
    """As it is now; None where a rollback only took a version away."""
    retired: tuple[PackRef, ...] = ()
    shadows_ended: tuple[PackRef, ...] = ()
    decides_from: int | None = None
    """The first instant (microseconds) at which the version decides."""
    decides_until: int | None = None
    """When it stops for the first time, as far as is known now; None if it does not."""
    successor: PackRef | None = None
    """What decides from then on, being enforced already; None where it ends by itself."""
