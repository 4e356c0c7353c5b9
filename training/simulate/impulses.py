"""Impulses to give: a friend's birthday, a festival, a whim, or a gift received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.domain.occasions import OCCASIONS
from training.simulate.assumptions import GivingAssumptions
from training.simulate.chance import Floats, Ints, happens, log_normal
from training.simulate.circles import Circle
from training.simulate.closeness import Ties
from training.simulate.friends import Friends
from training.simulate.people import Population, Role
from training.simulate.timeline import (
    DAY,
    HOUR,
    Span,
    anniversary,
    arrivals,
    expected_arrivals,
    in_rhythm,
    local_day_of,
    year_of,
)

NO_OCCASION = OCCASIONS.index("none")


@dataclass(frozen=True, slots=True)
class Impulses:
    """One entry a gift somebody means to give; `extra_fen` adds to what it may cost."""

    sender: Ints
    recipient: Ints
    tie: Ints
    occasion: Ints
    at: Ints
    extra_fen: Floats

    def __len__(self) -> int:
        return len(self.sender)

    def taken(self, chosen: Ints) -> Impulses:
        """Return the entries with the indices `chosen`."""
        return Impulses(*(getattr(self, name)[chosen] for name in Impulses.__slots__))


class Received(Protocol):
    """What a gift already given tells whoever got it."""

    @property
    def sender(self) -> Ints: ...

    @property
    def recipient(self) -> Ints: ...

    @property
    def tie(self) -> Ints: ...

    @property
    def price_fen(self) -> Ints: ...

    @property
    def answered_at(self) -> Ints: ...


def joined(parts: list[Impulses]) -> Impulses:
    """Return the entries of all parts."""
    columns = Impulses.__slots__
    return Impulses(*(np.concatenate([getattr(p, name) for p in parts]) for name in columns))


@dataclass(frozen=True, slots=True)
class Directed:
    """Each tie from both ends: sender, recipient, tie, and what the sender feels like giving."""

    sender: Ints
    recipient: Ints
    tie: Ints
    warmth: Floats
    """The sender's generosity, times the pair's own noise."""
    log_from: Floats
    log_to: Floats
    """Log-rate of gifts without occasion, a day, at the ends of the window."""
    opens: Ints
    closes: Ints

    @classmethod
    def of(
        cls,
        people: Population,
        ties: Ties,
        span: Span,
        rng: np.random.Generator,
        given: GivingAssumptions,
    ) -> Directed:
        """See the ties of a town from both ends."""
        tie = np.r_[np.arange(len(ties)), np.arange(len(ties))]
        sender = np.r_[ties.a, ties.b]
        opens, closes = (np.r_[end, end] for end in ties.window(span))
        old_enough = people.age_on(span.local_days()[0]) >= 14
        warmth = people.generosity[sender] * log_normal(rng, given.pair_sd, len(tie))
        warmth *= old_enough[sender]
        base = given.spontaneous_log_rate + np.log(np.maximum(warmth, 1e-12))
        slope = given.spontaneous_per_closeness
        return cls(
            sender=sender,
            recipient=np.r_[ties.b, ties.a],
            tie=tie,
            warmth=warmth,
            log_from=base + slope * (ties.closeness_at(tie, opens, span) - 1.0),
            log_to=base + slope * (ties.closeness_at(tie, closes, span) - 1.0),
            opens=opens,
            closes=closes,
        )

    def expected_spontaneous(self) -> Floats:
        """Return the gifts without occasion that each direction brings about on average."""
        return expected_arrivals(self.log_from, self.log_to, self.opens, self.closes)


def spontaneous(
    people: Population, directed: Directed, rng: np.random.Generator, given: GivingAssumptions
) -> Impulses:
    """Draw the gifts that no occasion asks for."""
    row, about = arrivals(rng, directed.log_from, directed.log_to, directed.opens, directed.closes)
    offset = people.offset[directed.sender[row]]
    at = in_rhythm(rng, local_day_of(about, offset), offset, given.hours)
    return _from_rows(directed, row, np.full(len(row), NO_OCCASION), at)


def _from_rows(directed: Directed, row: Ints, occasion: Ints, at: Ints) -> Impulses:
    return Impulses(
        directed.sender[row],
        directed.recipient[row],
        directed.tie[row],
        occasion,
        at,
        np.zeros(len(row)),
    )


def _on_day(
    people: Population,
    directed: Directed,
    row: Ints,
    day: Ints,
    occasion: str,
    rng: np.random.Generator,
    given: GivingAssumptions,
) -> Impulses:
    lead = rng.choice(len(given.lead_days), len(row), p=np.asarray(given.lead_days))
    at = in_rhythm(rng, day - lead, people.offset[directed.sender[row]], given.hours)
    return _from_rows(directed, row, np.full(len(row), OCCASIONS.index(occasion)), at)


def birthdays(people: Population, span: Span) -> tuple[Ints, Ints]:
    """Return who has a birthday in the span and on which day number (people, days)."""
    days = span.local_days()
    found: list[tuple[Ints, Ints]] = []
    for year in range(year_of(days[0]), year_of(days[-1]) + 1):
        day = anniversary(people.born, year)
        who = np.flatnonzero((day >= days[0]) & (day <= days[-1]))
        found.append((who, day[who]))
    return np.concatenate([f[0] for f in found]), np.concatenate([f[1] for f in found])


def on_occasions(
    people: Population,
    ties: Ties,
    directed: Directed,
    span: Span,
    rng: np.random.Generator,
    given: GivingAssumptions,
) -> Impulses:
    """Draw the gifts for birthdays and festivals."""
    middle = (ties.closeness_start + ties.closeness_end) / 2
    fond = directed.warmth * middle[directed.tie] ** 1.5
    circle = ties.circle[directed.tie]
    parts: list[Impulses] = []

    def give(row: Ints, day: Ints, occasion: str) -> None:
        parts.append(_on_day(people, directed, row, day, occasion, rng, given))

    born_on = np.full(len(people), -1)
    who, day = birthdays(people, span)
    for person, on in ((who[i::2], day[i::2]) for i in range(2)):
        born_on[person] = on
    rows = np.flatnonzero(born_on[directed.recipient] >= 0)
    rows = rows[happens(rng, np.minimum(given.birthday * fond[rows], 0.95), len(rows))]
    give(rows, born_on[directed.recipient[rows]], "birthday")
    between_partners = np.flatnonzero(circle == Circle.PARTNER)
    to_children = np.flatnonzero(
        (circle == Circle.FAMILY)
        & (people.role[directed.recipient] == Role.CHILD)
        & (people.role[directed.sender] != Role.CHILD)
    )
    general, couples = dict(given.festivals), dict(given.couples)
    everyone = np.arange(len(directed.tie))
    for festival in span.festivals():
        for among, chance in (
            (everyone, general.get(festival.name, 0.0)),
            (between_partners, couples.get(festival.name, 0.0)),
            (to_children, given.children if festival.name == "childrens_day" else 0.0),
        ):
            if chance > 0.0:
                likely = np.minimum(chance * fond[among], 0.95)
                chosen = among[happens(rng, likely, len(among))]
                give(chosen, np.full(len(chosen), festival.day), festival.name)
    return joined(parts)


def in_return(
    people: Population,
    friends: Friends,
    own_rate: Floats,
    received: Received,
    rng: np.random.Generator,
    given: GivingAssumptions,
) -> Impulses:
    """Draw the further gifts that accepted gifts bring about.

    Receiving raises a person's own rate of giving by `reciprocity` for `reciprocity_days`
    (Kizilcec et al. 2018 measured +56 %); part of it goes back, the rest is paid forward.

    Parameters
    ----------
    friends
        Whom people pay forward to.
    own_rate
        Each person's gifts without occasion a day.
    received
        The accepted gifts.
    """
    period = float(given.reciprocity_days)
    mean = own_rate[received.recipient] * given.reciprocity * period
    count = rng.poisson(np.minimum(mean, given.reciprocity_most))
    of = np.repeat(np.arange(len(count)), count)
    sender = received.recipient[of]
    u = rng.random(len(of)) * (1.0 - np.exp(-period / given.reciprocity_mean_days))
    delay = (-np.log1p(-u) * given.reciprocity_mean_days * DAY).astype(np.int64)
    soon = received.answered_at[of] + 60 + rng.integers(0, HOUR, len(of))
    offset = people.offset[sender]
    later = in_rhythm(
        rng, local_day_of(received.answered_at[of] + delay, offset), offset, given.hours
    )
    direct = happens(rng, given.returned_directly, len(of))
    other, other_tie = friends.draw(rng, sender)
    # A gift within the day echoes the amount received (Yuan et al.: 18 cents to the dollar).
    echo = np.where(delay < DAY, given.amount_echo * received.price_fen[of], 0.0)
    found = Impulses(
        sender=sender,
        recipient=np.where(direct, received.sender[of], other),
        tie=np.where(direct, received.tie[of], other_tie),
        occasion=np.full(len(of), NO_OCCASION),
        at=np.maximum(later, soon),
        extra_fen=echo,
    )
    return found.taken(np.flatnonzero(found.tie >= 0))
