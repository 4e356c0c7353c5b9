"""Friends of a person: a random one of a person's ties, drawn for many people at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulate.chance import Floats, Ints
from training.simulate.closeness import Ties


@dataclass(frozen=True, slots=True)
class Friends:
    """Each tie seen from both ends, grouped by person: person i owns rows first[i]…first[i+1]."""

    first: Ints
    tie: Ints
    friend: Ints
    running: Floats
    """Running sum of the weights by which a friend is drawn."""

    @classmethod
    def of(cls, ties: Ties, people: int, weight: Floats) -> Friends:
        """Group the ties by person; `weight` (one a tie) says how likely a tie is drawn."""
        person = np.r_[ties.a, ties.b]
        order = np.argsort(person, kind="stable")
        first = np.searchsorted(person[order], np.arange(people + 1))
        return cls(
            first=first,
            tie=np.r_[np.arange(len(ties)), np.arange(len(ties))][order],
            friend=np.r_[ties.b, ties.a][order],
            running=np.r_[0.0, np.cumsum(np.r_[weight, weight][order])],
        )

    def draw(self, rng: np.random.Generator, person: Ints) -> tuple[Ints, Ints]:
        """Return a friend and the tie for each person; the person and −1 where there is none."""
        low, high = self.first[person], self.first[person + 1]
        base, top = self.running[low], self.running[high]
        place = base + rng.random(len(person)) * (top - base)
        row = np.clip(np.searchsorted(self.running, place, side="right") - 1, low, high - 1)
        lonely = high <= low
        row = np.where(lonely, 0, row)
        if len(self.tie) == 0:
            return person, np.full(len(person), -1)
        return np.where(lonely, person, self.friend[row]), np.where(lonely, -1, self.tie[row])
