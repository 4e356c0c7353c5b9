"""What is kept of packs and decisions, as the ledger hands it to the policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from engine.domain.verdicts import PackRef


@dataclass(frozen=True, slots=True)
class StoredText:
    """The text of one stored version."""

    ref: PackRef
    decides: str
    text: str


class Newest(NamedTuple):
    """The newest change of the store: two stores, or one restored from a copy, hardly share it."""

    revision: int
    """0 before the first change."""
    pack: str
    version: int
    occurred_at: int
    """Microseconds."""


@dataclass(frozen=True, slots=True)
class InService:
    """Which versions decide and which run in shadow, the enforced ones newest first."""

    newest: Newest
    enforced: tuple[StoredText, ...]
    shadows: tuple[StoredText, ...]


class RecordedDecision(NamedTuple):
    """What backtests read of a recorded decision."""

    decision_id: str
    occurred_at: int
    """Microseconds."""
    effect: str
    fired: str
    """JSON, as recorded: equal texts mean equal lists of fired rules."""
    facts: bytes
    """JSON object by fact name."""
    pack: str
    pack_version: int
    pack_hash: str


RecordedRow: TypeAlias = tuple[str, int, str, str, bytes, str, int, str]
"""The fields of a `RecordedDecision` in their order: a million of them need no names."""
