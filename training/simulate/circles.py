"""Friend circles: who knows whom through family, class, work, a hobby or chance."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from training.simulate.assumptions import TieAssumptions
from training.simulate.chance import Floats, Ints, happens, stream
from training.simulate.people import Population, Role


class Circle(IntEnum):
    """How two people know each other; where several hold, the first in this order counts."""

    PARTNER = 0
    FAMILY = 1
    CLASS = 2
    WORK = 3
    HOBBY = 4
    ACQUAINTANCE = 5


def _pairs_within(members: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Return all pairs of people that share a circle; consecutive `members` fill `sizes`."""
    ends = np.minimum(np.cumsum(sizes), len(members))
    circle = np.searchsorted(ends, np.arange(len(members)), side="right")
    later = ends[np.minimum(circle, len(ends) - 1)] - np.arange(len(members)) - 1
    later = np.maximum(later, 0)
    first = np.repeat(np.arange(len(members)), later)
    starts = np.cumsum(later) - later
    second = first + 1 + np.arange(len(first)) - starts[first]
    return members[first], members[second]


def _sizes(rng: np.random.Generator, mean: float, people: int) -> Ints:
    """Return circle sizes (at least 3) that take in all `people`."""
    wanted = int(people / mean * 1.5) + 5
    drawn = np.maximum(3, np.rint(mean * np.exp(rng.normal(-0.06, 0.35, wanted))))
    sizes = drawn.astype(np.int64)
    short = people - int(sizes.sum())
    return np.r_[sizes, short] if short > 0 else sizes


def _meet(
    rng: np.random.Generator, members: Ints, mean: float, density: float, sociability: Floats
) -> tuple[Ints, Ints]:
    """Fill circles in the order of `members`; two who share one become friends by density."""
    one, other = _pairs_within(members, _sizes(rng, mean, len(members)))
    chance = np.minimum(density * sociability[one] * sociability[other], 0.95)
    kept = happens(rng, chance, len(one))
    return one[kept], other[kept]


def _family(people: Population, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return kin: everyone of a household, and the adults of related households."""
    order = np.lexsort((np.arange(len(people)), people.household))
    sizes = np.unique(people.household, return_counts=True)[1]
    at_home = _pairs_within(order, sizes)
    clan_of = rng.permutation(int(people.household.max()) + 1) // 4
    grown = np.flatnonzero(people.role != Role.CHILD)
    clan = clan_of[people.household[grown]]
    relatives = grown[np.lexsort((grown, clan))]
    in_clan = _pairs_within(relatives, np.unique(clan, return_counts=True)[1])
    return np.r_[at_home[0], in_clan[0]], np.r_[at_home[1], in_clan[1]]


def meet(people: Population, seed: int, given: TieAssumptions) -> tuple[Ints, Ints, Ints]:
    """Draw the pairs that know each other.

    Returns
    -------
    tuple
        Two people's indices (the first below the second) and their `Circle`, sorted by pair.
    """
    rng = stream(seed, "circles")
    n = len(people)
    social = people.sociability
    found: list[tuple[Circle, Ints, Ints]] = []
    kin = _family(people, rng)
    partners = (
        (people.household[kin[0]] == people.household[kin[1]])
        & (people.role[kin[0]] == Role.ADULT)
        & (people.role[kin[1]] == Role.ADULT)
    )
    found.append((Circle.PARTNER, kin[0][partners], kin[1][partners]))
    found.append((Circle.FAMILY, kin[0][~partners], kin[1][~partners]))
    by_age = np.argsort(people.born + rng.normal(0, 200, n), kind="stable")
    found.append((Circle.CLASS, *_meet(rng, by_age, given.class_size, given.class_density, social)))
    working = rng.permutation(np.flatnonzero(people.role == Role.ADULT))
    found.append((Circle.WORK, *_meet(rng, working, given.work_size, given.work_density, social)))
    keen = rng.permutation(n)[: int(n * given.hobby_share)]
    by_taste = keen[np.argsort(people.taste[keen].argmax(axis=1), kind="stable")]
    found.append(
        (Circle.HOBBY, *_meet(rng, by_taste, given.hobby_size, given.hobby_density, social))
    )
    weight = np.cumsum(social**2)
    ends = rng.random((2, int(n * given.acquaintances_each))) * weight[-1]
    loose = np.minimum(np.searchsorted(weight, ends, side="right"), n - 1)
    found.append((Circle.ACQUAINTANCE, loose[0], loose[1]))
    one = np.concatenate([pair[1] for pair in found])
    other = np.concatenate([pair[2] for pair in found])
    circle = np.concatenate([np.full(len(pair[1]), int(pair[0])) for pair in found])
    key = np.minimum(one, other) * n + np.maximum(one, other)
    key, first = np.unique(key, return_index=True)
    apart = key // n != key % n
    return key[apart] // n, key[apart] % n, circle[first][apart]
