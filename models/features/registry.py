"""A feature defined once: its name, type, unit and meaning, and how it follows from pair states."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from engine.domain.errors import InvalidInput
from engine.domain.pair_state import Floats

View = TypeVar("View")
"""What a family of features is computed from."""

WHOLE_LOG = math.inf
"""The memory of a feature that forgets nothing."""
_WEEK = 7.0


@dataclass(frozen=True, slots=True)
class Feature(Generic[View]):
    """One number for each row; `compute` returns n of them from a view of n rows."""

    name: str
    unit: str
    meaning: str
    compute: Callable[[View], Floats]
    monotone: int = 0
    """1 where more of it can only mean a stronger tie, −1 where only a weaker one, else 0."""
    family: str = ""
    """What it tells of, together with others; an ablation leaves out whole families."""
    memory_days: float | None = None
    """The half-life of what it adds up, `WHOLE_LOG` without one; None if it adds nothing up."""
    around: bool = False
    """Whether it tells of what surrounds a pair, which is true as of an instant of its own."""
    outgrows: bool = False
    """Whether it is a duration, which in a young log cannot be what it will be in an old one."""
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
        self._durations = np.array([f.outgrows for f in self.features], dtype=np.bool_)
        memory = [math.nan if f.memory_days is None else f.memory_days for f in self.features]
        self._most_days = np.array(memory, dtype=np.float64) / math.log(2.0)
        self.around: tuple[int, ...] = tuple(i for i, f in enumerate(self.features) if f.around)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def monotone(self) -> tuple[int, ...]:
        """The direction of each feature, in order."""
        return tuple(feature.monotone for feature in self.features)

    def column(self, name: str) -> int:
        """Return the column of the feature called `name`."""
        return self.names.index(name)

    def without(self, families: Sequence[str]) -> FeatureSet[View]:
        """Return the features that belong to none of `families`."""
        return FeatureSet([f for f in self.features if f.family not in families])

    def compute(self, view: View, rows: int) -> Floats:
        """Return the matrix (rows × features, float64, C order) of a view of `rows` rows."""
        matrix = np.empty((rows, len(self.features)), dtype=np.float64)
        for column, feature in enumerate(self.features):
            matrix[:, column] = feature.compute(view)
        return matrix

    def weeks(self, span_days: Floats | float, columns: Sequence[int] | None = None) -> Floats:
        """Return how many weeks of events each feature can have gathered (… × features).

        A log that has been written for S days leaves a sum of half-life h at most
        h/ln 2 · (1 − 2^(−S/h)) days' worth of events, and S days' worth if nothing is forgotten;
        divided by it, sums of a young log and an old one are rates and can be compared. 1 for
        features that add nothing up, infinite for durations: nothing that a young log says of
        them can be told of an old one.

        Parameters
        ----------
        span_days
            How long the log had been written, in days (one number or n).
        columns
            Of which features; all of them when None.
        """
        span = np.asarray(span_days, dtype=np.float64)[..., None]
        most = self._most_days if columns is None else self._most_days[list(columns)]
        with np.errstate(invalid="ignore"):
            gathered = np.where(np.isinf(most), span, -most * np.expm1(-span / most))
        found = np.where(np.isnan(most), 1.0, gathered / _WEEK)
        durations = self._durations if columns is None else self._durations[list(columns)]
        return np.where(durations, math.inf, found)

    def as_markdown(self) -> str:
        """Return the features as a table for the documentation."""
        arrow = {1: "rises", -1: "falls", 0: "free"}
        rows = [
            f"| `{f.name}` | {f.family} | {f.dtype} | {f.unit} | {arrow[f.monotone]} |"
            f" {f.meaning} |"
            for f in self.features
        ]
        head = (
            "| feature | family | type | unit | strength | meaning |",
            "| --- | --- | --- | --- | --- | --- |",
        )
        return "\n".join((*head, *rows)) + "\n"
