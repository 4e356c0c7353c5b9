"""Who are friends both ways at an instant, and since when, from directed friendships as told."""

from __future__ import annotations

import numpy as np

from engine.domain.acquaintances import pair_key
from engine.domain.pair_state import Ints


def friends_both_ways(
    people: int, person: Ints, friend: Ints, since: Ints, until: Ints, at: int
) -> tuple[Ints, Ints, Ints]:
    """Return the pairs (n, the lesser number first) that call each other friends at `at`.

    Parameters
    ----------
    people
        How many there are; `person` and `friend` are numbers in 0…people−1.
    person, friend, since, until
        The directed friendships as they were told, in any order, each from `since` on and before
        `until` (microseconds; any later time where it has no end).
    at
        The instant, in microseconds.

    Returns
    -------
    tuple
        Both ends, and since when without a gap: when the later of the two sides began.
    """
    told = (since <= at) & (until > since) & (person != friend)
    begun = _in_force(people, person[told], friend[told], since[told], until[told], at)
    return _both_ways(*begun, people)


def _in_force(
    people: int, person: Ints, friend: Ints, since: Ints, until: Ints, at: int
) -> tuple[Ints, Ints]:
    """Return the directed pairs (person · people + friend) that are friends at `at`, and since when
    without a gap. A friendship that is told again continues in a new row.
    """
    key = person * people + friend
    order = np.lexsort((since, key))
    key, since, until = key[order], since[order], until[order]
    first = np.ones(len(key), dtype=np.bool_)
    first[1:] = key[1:] != key[:-1]
    # The latest end so far of each pair: ends are ranked so that the pair's number goes before.
    ends, rank = np.unique(until, return_inverse=True)
    pair = np.cumsum(first) * len(ends)
    covered = ends[np.maximum.accumulate(pair + rank) - pair] if len(key) else until
    begins = first.copy()
    begins[1:] |= since[1:] > covered[:-1]
    begun = since[np.maximum.accumulate(np.where(begins, np.arange(len(key)), 0))]
    last = np.ones(len(key), dtype=np.bool_)
    last[:-1] = first[1:]
    last &= covered > at
    return key[last], begun[last]


def _both_ways(key: Ints, begun: Ints, people: int) -> tuple[Ints, Ints, Ints]:
    """Return the two ends of the pairs whose both directions are given, and the later beginning."""
    people = max(people, 1)
    pair = pair_key(key // people, key % people, people)
    order = np.argsort(pair, kind="stable")
    pair, begun = pair[order], begun[order]
    twice = np.flatnonzero(pair[1:] == pair[:-1])
    both = pair[twice]
    return both // people, both % people, np.maximum(begun[twice], begun[twice + 1])
