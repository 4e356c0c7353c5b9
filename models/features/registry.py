"""A feature defined once: its name, type, unit and meaning, and how it follows from pair states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from engine.domain.errors import InvalidInput
from engine.domain.pair_state import Floats

View = TypeVar("View")
"""What a family of features is computed from."""


@dataclass(frozen=True, slots=True)
class Feature(Generic[View]):
    """One number for each row; `compute` returns n of them from a view of n rows."""

    name: str
    unit: str
    meaning: str
    compute: Callable[[View], Floats]
    monotone: int = 0
    """1 where more of it can only mean a stronger tie, −1 where only a weaker one, else 0."""
    dtype: str = "float64"


class FeatureSet(Generic[View]):
    """Features in a fixed order.

    Raises
    ------
    InvalidInput
        If two features have the same name.
    """

    def __init__(self, features: Sequence[Feature[View]]) -> None:
        self.features = tuple(features)
        self.names = tuple(feature.name for feature in self.features)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise InvalidInput(f"features defined twice: {', '.join(twice)}")

    def __len__(self) -> int:
        return len(self.features)

    @property
    def monotone(self) -> tuple[int, ...]:
        """The direction of each feature, in order."""
        return tuple(feature.monotone for feature in self.features)

    def column(self, name: str) -> int:
        """Return the column of the feature called `name`."""
        return self.names.index(name)

    def compute(self, view: View, rows: int) -> Floats:
        """Return the matrix (rows × features, float64, C order) of a view of `rows` rows."""
        matrix = np.empty((rows, len(self.features)), dtype=np.float64)
        for column, feature in enumerate(self.features):
            matrix[:, column] = feature.compute(view)
        return matrix

    def as_markdown(self) -> str:
        """Return the features as a table for the documentation."""
        arrow = {1: "rises", -1: "falls", 0: "free"}
        rows = [
            f"| `{f.name}` | {f.dtype} | {f.unit} | {arrow[f.monotone]} | {f.meaning} |"
            for f in self.features
        ]
        head = ("| feature | type | unit | strength | meaning |", "| --- | --- | --- | --- | --- |")
        return "\n".join((*head, *rows)) + "\n"
