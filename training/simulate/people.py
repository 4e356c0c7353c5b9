"""The town's people: households, ages, zones, consents, and the traits nobody can observe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from training.simulate.assumptions import PeopleAssumptions
from training.simulate.chance import Bools, Floats, Ints, happens, log_normal, stream
from training.simulate.lifestyles import LIFESTYLES, POPULARITY
from training.simulate.timeline import DAY, Span, anniversary, day_number, offset_of, year_of

ZONES = ("Asia/Shanghai", "Asia/Urumqi", "Asia/Hong_Kong", "Asia/Singapore", "Asia/Tokyo")
"""Where people live; none of these changes its clock in the year."""

_YEAR = 365.2425


class Role(IntEnum):
    """A person's place in the household."""

    ADULT = 0
    CHILD = 1
    ELDER = 2


_HOUSEHOLDS = (
    (Role.ADULT,),
    (Role.ADULT, Role.ADULT),
    (Role.ADULT, Role.ADULT, Role.CHILD),
    (Role.ADULT, Role.ADULT, Role.CHILD, Role.CHILD),
    (Role.ADULT, Role.ADULT, Role.ELDER),
)


def ages(born: Ints, day: int) -> Ints:
    """Return the completed years between birth days and a day, all day numbers; 0 if reversed."""
    year = year_of(day)
    born_year = born.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    completed: Ints = np.maximum(0, year - born_year - (anniversary(born, year) > day))
    return completed


@dataclass(frozen=True, slots=True)
class Population:
    """n people, one entry each; numbers are indices, times are seconds."""

    household: Ints
    role: Ints
    born: Ints
    """Day number of the birth."""
    born_known: Bools
    zone: Ints
    """Index into `ZONES`, −1 where unknown (the default zone then holds)."""
    offset: Ints
    """Seconds ahead of UTC."""
    joined: Ints
    consents_offers: Bools
    consents_suggestions: Bools
    sociability: Floats
    generosity: Floats
    spending: Floats
    deals: Floats
    """Liking for a bargain, 0…1."""
    averse: Bools
    """Puts off buying when advertised to."""
    taste: Floats
    """Share of each lifestyle (n × lifestyles)."""

    def __len__(self) -> int:
        return len(self.household)

    def age_on(self, day: int) -> Ints:
        """Return everyone's age in completed years on a day number."""
        return ages(self.born, day)

    def known_to_be(self, age: int, day: int) -> Bools:
        """Tell who is known to be of `age` or over on a day: an unknown birth date does not do."""
        return self.born_known & (self.age_on(day) >= age)


def _households(
    rng: np.random.Generator, people: int, shares: tuple[float, ...]
) -> tuple[Ints, ...]:
    """Return household, role and age in years, cut to `people` and shuffled."""
    drawn = rng.choice(len(_HOUSEHOLDS), size=people, p=np.asarray(shares))
    sizes = np.array([len(roles) for roles in _HOUSEHOLDS])[drawn]
    household = np.repeat(np.arange(people), sizes)[:people]
    place = np.arange(people) - np.searchsorted(household, household)
    table = np.full((len(_HOUSEHOLDS), 4), int(Role.ADULT))
    for row, roles in enumerate(_HOUSEHOLDS):
        table[row, : len(roles)] = roles
    role = table[drawn[household], place]
    single = sizes[household] == 1
    head = np.where(rng.random(people) < 0.8, rng.normal(32, 7, people), rng.normal(52, 9, people))
    own = np.where(single, rng.normal(27, 6, people), head[household] + rng.normal(0, 2.5, people))
    adult = np.clip(own, 18, 75)
    eldest = np.clip(head, 24, 60)[household]
    child = np.clip(eldest - rng.normal(27, 4, people), 8, 22)
    elder = np.clip(eldest + rng.normal(27, 3, people), 48, 88)
    years = np.select([role == Role.CHILD, role == Role.ELDER], [child, elder], adult)
    order = rng.permutation(people)
    return household[order], role[order], (years[order] * _YEAR).astype(np.int64)


def _tastes(rng: np.random.Generator, people: int, given: PeopleAssumptions) -> Floats:
    kinds = len(LIFESTYLES)
    weight = np.asarray(POPULARITY) / np.sum(POPULARITY)
    everyone = np.arange(people)
    taste = rng.dirichlet(np.full(kinds, 0.5), people)
    taste *= 1.0 - given.main_taste - given.second_taste
    taste[everyone, rng.choice(kinds, people, p=weight)] += given.main_taste
    taste[everyone, rng.choice(kinds, people, p=weight)] += given.second_taste
    return taste


def settle(people: int, span: Span, seed: int, given: PeopleAssumptions) -> Population:
    """Draw the population.

    Parameters
    ----------
    people
        How many.
    span
        The town's days: they set who joins when, and how old everyone is.
    seed
        The town's seed.
    given
        The numbers behind the draw.
    """
    rng = stream(seed, "people")
    first = day_number(span.first_day)
    household, role, age_days = _households(rng, people, given.household_shares)
    born = first - age_days - rng.integers(0, 366, people)
    zone = rng.choice(len(ZONES), people, p=np.asarray(given.zone_shares))
    # A household lives in one place: that of its first member.
    _, firsts = np.unique(household, return_index=True)
    zone = zone[firsts][np.searchsorted(household[firsts], household)]
    zone[happens(rng, given.zone_unknown, people)] = -1
    offsets = np.array([offset_of(name, span.first_day) for name in (*ZONES, ZONES[0])])
    late = happens(rng, 1.0 - (1.0 - given.joining_per_day) ** span.days, people)
    earlier = span.begins - rng.integers(1, 5 * 365 * DAY, people)
    joined = np.where(late, span.begins + rng.integers(0, span.days * DAY, people), earlier)
    common = rng.normal(size=people) * np.sqrt(given.agreeableness_correlation)
    own = np.sqrt(1.0 - given.agreeableness_correlation)
    agreeable = [common + own * rng.normal(size=people) for _ in range(2)]
    old_enough = ages(born, first) >= 14
    consents = [
        (score > np.quantile(score, 1.0 - share)) & old_enough
        for score, share in zip(
            agreeable, (given.consents_offers, given.consents_suggestions), strict=True
        )
    ]
    return Population(
        household=household,
        role=role,
        born=born,
        born_known=~happens(rng, given.birth_date_unknown, people),
        zone=zone,
        offset=offsets[zone],
        joined=joined,
        consents_offers=consents[0],
        consents_suggestions=consents[1],
        sociability=log_normal(rng, given.sociability_sd, people),
        generosity=log_normal(rng, given.generosity_sd, people),
        spending=log_normal(rng, given.spending_sd, people),
        deals=rng.beta(2.0, 2.0, people),
        averse=happens(rng, given.averse_share, people),
        taste=_tastes(rng, people, given),
    )
