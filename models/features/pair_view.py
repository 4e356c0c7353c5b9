"""Two directed states and the structure around them, looked at from one instant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.active_days import Words, aged, day_of, together
from engine.domain.clock import DAY
from engine.domain.decay import remaining
from engine.domain.pair_state import EXCHANGES, Floats, Ints, Kind, Layout
from engine.domain.structure import MAX_AGE, Structure

NEVER_DAYS = 3_650.0
"""The age in days given to what never happened, and the cap of all ages."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What one side of n pairs gave the other, as of the instant it is looked at.

    `sums` are decayed by kind and half-life (n × kinds × lives), `decayed` the exchanges among them
    (n × lives), `volume` the same undecayed (n), `last` the time of the last one (n, microseconds,
    0 if never); `days` the bitmap of active days. `state` is what all this was read from.
    """

    state: Floats
    sums: Floats
    decayed: Floats
    volume: Floats
    last: Floats
    days: Floats

    @classmethod
    def of(cls, layout: Layout, state: Floats, at: Ints) -> Given:
        """Look at stored states (n × width) as of `at` (n, microseconds)."""
        newest = state[:, layout.state_at]
        left = remaining((at - newest)[:, None], layout.lives)
        shape = (len(state), len(Kind), len(layout.half_lives_days))
        sums = state[:, layout.sums].reshape(shape) * left[:, None, :]
        passed = np.maximum(day_of(at) - day_of(newest.astype(np.int64)), 0)
        return cls(
            state,
            sums,
            sums[:, EXCHANGES].sum(axis=1),
            state[:, layout.volumes][:, EXCHANGES].sum(axis=1),
            state[:, layout.last_at][:, EXCHANGES].max(axis=1),
            aged(state[:, layout.days], passed),
        )


@dataclass(frozen=True, slots=True, eq=False)
class PairView:
    """Both sides of n pairs and the structure (n × `Structure`) around them, seen from `at`."""

    layout: Layout
    out: Given
    back: Given
    structure: Floats
    at: Ints
    days: Words
    """The days on which either gave anything (engine.domain.active_days)."""

    @classmethod
    def of(
        cls, layout: Layout, out: Floats, back: Floats, structure: Floats, at: int | Ints
    ) -> PairView:
        """Look at stored states (n × width each) and structure as of `at` (microseconds, one or n).

        The structure is taken as it was: what others did since is unknown, not nothing. One older
        than `MAX_AGE` counts as unknown itself: all zeros.
        """
        when = np.broadcast_to(np.asarray(at, dtype=np.int64), (len(out),))
        one, other = Given.of(layout, out, when), Given.of(layout, back, when)
        fresh = when - structure[:, Structure.AS_OF] <= MAX_AGE
        around = np.where(fresh[:, None], structure, 0.0)
        return cls(layout, one, other, around, when, together(one.days, other.days))

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.at)

    def decayed(self, half_life: int) -> Floats:
        """Return the decayed exchanges (n) of both at one half-life."""
        return self.out.decayed[:, half_life] + self.back.decayed[:, half_life]

    def total(self, part: slice) -> Floats:
        """Return a part of both states added up (n × its columns)."""
        return self.out.state[:, part] + self.back.state[:, part]

    def events(self) -> Floats:
        """Return how many exchanges (n) there were, both directions."""
        return np.asarray(self.total(self.layout.counts)[:, EXCHANGES].sum(axis=1))

    def volume(self) -> Floats:
        """Return the undecayed exchanges (n) of both."""
        return self.out.volume + self.back.volume

    def age(self) -> Floats:
        """Return the days (n) since either's last exchange."""
        return self.days_since(np.maximum(self.out.last, self.back.last))

    def active_span(self) -> Floats:
        """Return the days (n) from the first event to the last exchange; 0 without one."""
        last = np.maximum(self.out.last, self.back.last)
        return np.where(last > 0, np.maximum(last - self.first(), 0.0) / DAY, 0.0)

    def first(self) -> Floats:
        """Return the time of the pair's first event (n, microseconds, 0 if never)."""
        column = self.layout.first_at
        one, other = self.out.state[:, column], self.back.state[:, column]
        return np.where((one > 0) & (other > 0), np.minimum(one, other), np.maximum(one, other))

    def days_since(self, moment: Floats) -> Floats:
        """Return the days from `moment` (n, microseconds, 0 for never) up to `at`."""
        days = np.clip((self.at - moment) / DAY, 0.0, NEVER_DAYS)
        return np.where(moment > 0, days, NEVER_DAYS)

    def around(self, column: Structure) -> Floats:
        """Return one column (n) of the structure."""
        return self.structure[:, column]

    def asymmetry(self) -> Floats:
        """Return what first gave less what they were given, over both (n, −1…1; 0 of nothing)."""
        one, other = self.out.decayed[:, -1], self.back.decayed[:, -1]
        return share(one - other, one + other)

    def observations(self) -> Floats:
        """Return the effective number (n) of exchanges: what the longest half-life has left of all
        of them, in exchanges of the pair's mean weight."""
        return share(self.decayed(-1) * self.events(), self.volume())


def share(part: Floats, whole: Floats) -> Floats:
    """Return part/whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
