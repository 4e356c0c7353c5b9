"""Who is acquainted with whom at an instant: friends both ways, and whoever exchanged anything."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.pair_state import Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Who is acquainted with whom at an instant; people are the numbers 0…people−1.

    Parameters
    ----------
    people
        How many there are.
    friend_one, friend_other, since
        The two-way friendships (f) of the instant, each once, and since when (microseconds).
    tie_one, tie_other, recent, volume
        The unordered pairs (t, each once) that had exchanged anything, and what: both directions,
        decayed to the instant at the layout's shortest half-life, and undecayed.
    at
        The instant (microseconds).
    """

    people: int
    friend_one: Ints
    friend_other: Ints
    since: Ints
    tie_one: Ints
    tie_other: Ints
    recent: Floats
    volume: Floats
    at: int

    def pairs(self) -> tuple[Ints, Ints]:
        """Return every pair (n) of friends or of people who exchanged anything, each once."""
        friends = pair_key(self.friend_one, self.friend_other, self.people)
        tied = pair_key(self.tie_one, self.tie_other, self.people)
        return pair_ends(np.union1d(friends, tied), self.people)


def pair_key(one: Ints, other: Ints, people: int) -> Ints:
    """Return one number for each unordered pair (n) of the numbers 0…people−1."""
    return np.minimum(one, other) * np.int64(people) + np.maximum(one, other)


def pair_ends(key: Ints, people: int) -> tuple[Ints, Ints]:
    """Return both ends (n each), the lesser first, of the pairs that `pair_key` numbered."""
    return key // max(people, 1), key % max(people, 1)
