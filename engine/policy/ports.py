"""What the policy asks of the floors around it, named as protocols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.domain.verdicts import DecisionRecord


class DecisionLog(Protocol):
    """Keeps decisions so that each can be replayed."""

    def record(self, records: Sequence[DecisionRecord]) -> None:
        """Keep `records` in the transaction of what they decided."""
        ...
