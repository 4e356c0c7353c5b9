"""What a fit hands on: the model, how well it did, and where its knowledge ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Savable(Protocol):
    """A model that can be written to a folder, its manifest included."""

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted and judged model, ready to be registered."""

    model: Savable
    metrics: dict[str, float]
    """Flat, under stable lower-case names."""
    params: dict[str, float | int | str | bool]
    cutoff: int
    """Nothing recorded at or after this instant (microseconds) was seen in fitting."""
