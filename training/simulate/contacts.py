"""Messages and calls: conversations that set off conversations, greetings and thanks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist

import numpy as np

from training.simulate.assumptions import ContactAssumptions
from training.simulate.chance import Bools, Floats, Ints, happens, log_normal, sigmoid, stream
from training.simulate.closeness import Ties
from training.simulate.gifts import Gifts
from training.simulate.impulses import birthdays
from training.simulate.people import Population
from training.simulate.timeline import (
    HOUR,
    Span,
    arrivals,
    expected_arrivals,
    in_rhythm,
    local_day_of,
    weekday_of,
)

GREETED = ("new_year", "spring_festival", "mid_autumn")
"""Festivals on which people congratulate each other."""


class Means(IntEnum):
    """By what two people are in touch."""

    MESSAGE = 0
    CALL = 1


@dataclass(frozen=True, slots=True)
class Contacts:
    """One entry a message or call; indices, `Means`, weight (1, or begun minutes), seconds."""

    sender: Ints
    recipient: Ints
    tie: Ints
    means: Ints
    weight: Ints
    at: Ints

    def __len__(self) -> int:
        return len(self.sender)

    def taken(self, chosen: Ints) -> Contacts:
        """Return the entries with the indices `chosen`."""
        return Contacts(*(getattr(self, name)[chosen] for name in Contacts.__slots__))


@dataclass(frozen=True, slots=True)
class Openings:
    """One entry a conversation: its tie, whether the tie's person a begins, and when."""

    tie: Ints
    from_a: Bools
    at: Ints

    def taken(self, chosen: Ints) -> Openings:
        """Return the entries with the indices `chosen`."""
        return Openings(self.tie[chosen], self.from_a[chosen], self.at[chosen])


def _lasting(openings: Openings, ties: Ties, span: Span) -> Openings:
    """Keep what lies in the span while the two are friends both ways."""
    lawful = span.holds(openings.at) & ties.two_way_at(openings.tie, openings.at)
    return openings.taken(np.flatnonzero(lawful))


@dataclass(frozen=True, slots=True)
class Talk:
    """How a town's pairs talk: each tie's log-rate at the ends of its window, and who begins."""

    log_from: Floats
    log_to: Floats
    opens: Ints
    closes: Ints
    a_begins: Floats
    """Chance that person a opens a conversation."""

    @classmethod
    def of(
        cls,
        people: Population,
        ties: Ties,
        span: Span,
        rng: np.random.Generator,
        given: ContactAssumptions,
    ) -> Talk:
        """Draw how each pair talks: by its closeness, its own habit and the two people's."""
        opens, closes = ties.window(span)
        chatty = rng.normal(0.0, given.person_sd, len(people))
        habit = rng.normal(0.0, given.pair_sd, len(ties)) + chatty[ties.a] + chatty[ties.b]
        every = np.arange(len(ties))
        ends = [
            given.log_rate_at_zero
            + given.log_rate_per_closeness * ties.closeness_at(every, end, span)
            + habit
            for end in (opens, closes)
        ]
        lean = np.log(people.sociability[ties.a] / people.sociability[ties.b])
        return cls(ends[0], ends[1], opens, closes, sigmoid(lean + rng.normal(0, 0.3, len(ties))))

    def expected(self) -> Floats:
        """Return the conversations each tie has on average."""
        return expected_arrivals(self.log_from, self.log_to, self.opens, self.closes)


def _conversations(
    people: Population,
    ties: Ties,
    talk: Talk,
    span: Span,
    rng: np.random.Generator,
    given: ContactAssumptions,
) -> list[Openings]:
    """Draw the conversations, each of which may set off others on the following days."""
    weekday = np.asarray(given.weekdays) / np.mean(given.weekdays)
    # Of all conversations the share 1 − follow_up starts by itself (a branching process).
    thinner = np.log((1.0 - given.follow_up) * weekday.max())
    tie, at = arrivals(rng, talk.log_from + thinner, talk.log_to + thinner, talk.opens, talk.closes)
    day = local_day_of(at, people.offset[ties.a[tie]])
    kept = np.flatnonzero(happens(rng, weekday[weekday_of(day)] / weekday.max(), len(tie)))
    tie, day = tie[kept], day[kept]
    found: list[Openings] = []
    while len(tie) > 0:
        from_a = happens(rng, talk.a_begins[tie], len(tie))
        offset = people.offset[np.where(from_a, ties.a[tie], ties.b[tie])]
        at = in_rhythm(rng, day, offset, given.hours)
        found.append(_lasting(Openings(tie, from_a, at), ties, span))
        # A follow-up beyond the span's last day is never seen, nor is what it would set off.
        again = rng.poisson(given.follow_up, len(tie))
        tie, day = np.repeat(tie, again), np.repeat(day, again)
        day = day + rng.geometric(0.5, len(day))
        seen = np.flatnonzero(day <= span.local_days()[-1])
        tie, day = tie[seen], day[seen]
    return found


def _greetings(
    people: Population,
    ties: Ties,
    span: Span,
    rng: np.random.Generator,
    given: ContactAssumptions,
) -> list[Openings]:
    """Draw the conversations opened to congratulate on a birthday or a festival."""
    middle = (ties.closeness_start + ties.closeness_end) / 2
    born_on = np.full(len(people), -1)
    who, day = birthdays(people, span)
    born_on[who] = day
    found: list[Openings] = []

    def greet(tie: Ints, from_a: Bools, day: Ints) -> None:
        offset = people.offset[np.where(from_a, ties.a[tie], ties.b[tie])]
        at = in_rhythm(rng, day, offset, given.hours)
        found.append(_lasting(Openings(tie, from_a, at), ties, span))

    for from_a, celebrated in ((True, ties.b), (False, ties.a)):
        tie = np.flatnonzero(born_on[celebrated] >= 0)
        tie = tie[happens(rng, given.birthday_greeting * middle[tie], len(tie))]
        greet(tie, np.full(len(tie), from_a), born_on[celebrated[tie]])
    for festival in span.festivals():
        if festival.name in GREETED:
            tie = np.flatnonzero(happens(rng, given.festival_greeting * middle, len(ties)))
            greet(tie, happens(rng, 0.5, len(tie)), np.full(len(tie), festival.day))
    return found


def _lengths(close: Floats, normal: Floats, given: ContactAssumptions) -> Floats:
    log_mean = given.length_log_at_zero + given.length_log_per_closeness * close
    return np.clip(np.ceil(np.exp(log_mean + given.length_log_sd * normal)), 1, given.longest)


def mean_length(close: Floats, given: ContactAssumptions) -> Floats:
    """Return how many messages a conversation of a given closeness has on average."""
    normal = NormalDist()
    places = np.array([normal.inv_cdf((i + 0.5) / 400) for i in range(400)])
    levels = np.linspace(0.0, 1.0, 101)
    means = [float(np.mean(_lengths(np.full(400, x), places, given))) for x in levels]
    expected: Floats = np.interp(close, levels, np.asarray(means))
    return expected


def _spoken(
    ties: Ties,
    openings: Openings,
    span: Span,
    rng: np.random.Generator,
    given: ContactAssumptions,
) -> Contacts:
    """Turn conversations into their messages, or into one call."""
    size = len(openings.tie)
    close = ties.closeness_at(openings.tie, openings.at, span)
    called = happens(rng, given.call, size)
    minutes = np.ceil(given.call_median_minutes * log_normal(rng, given.call_log_sd, size))
    drawn = _lengths(close, rng.normal(size=size), given).astype(np.int64)
    length = np.where(called, 1, drawn)
    row = np.repeat(np.arange(size), length)
    first = np.cumsum(length) - length
    opening = np.zeros(len(row), dtype=bool)
    opening[first] = True
    gap = given.gap_median_s * log_normal(rng, given.gap_log_sd, len(row))
    gap = np.where(opening, 0.0, np.clip(gap, 1.0, HOUR - 1.0)).astype(np.int64)
    passed = np.cumsum(gap)
    turns = np.cumsum(happens(rng, given.reply, len(row)) & ~opening)
    turned = (turns - turns[first][row]) % 2 == 1
    from_a = openings.from_a[row] ^ turned
    tie = openings.tie[row]
    found = Contacts(
        sender=np.where(from_a, ties.a[tie], ties.b[tie]),
        recipient=np.where(from_a, ties.b[tie], ties.a[tie]),
        tie=tie,
        means=np.where(called[row], int(Means.CALL), int(Means.MESSAGE)),
        weight=np.where(called, np.minimum(minutes, 240), 1).astype(np.int64)[row],
        at=openings.at[row] + passed - passed[first][row],
    )
    lawful = span.holds(found.at) & ties.two_way_at(found.tie, found.at)
    return found.taken(np.flatnonzero(lawful))


def _thanks(
    ties: Ties, gifts: Gifts, span: Span, rng: np.random.Generator, given: ContactAssumptions
) -> Contacts:
    """Draw the messages that thank for an accepted gift, and their answers."""
    thankful = happens(rng, given.thanks, len(gifts)) & gifts.accepted & (gifts.tie >= 0)
    thanked = gifts.taken(np.flatnonzero(thankful))
    size = len(thanked)
    at = thanked.answered_at + 5 + (120.0 * log_normal(rng, 1.0, size)).astype(np.int64)
    back = np.flatnonzero(happens(rng, given.thanks_answered, size))
    answered = (
        at[back] + 5 + (given.gap_median_s * log_normal(rng, 1.0, len(back))).astype(np.int64)
    )
    found = Contacts(
        sender=np.r_[thanked.recipient, thanked.sender[back]],
        recipient=np.r_[thanked.sender, thanked.recipient[back]],
        tie=np.r_[thanked.tie, thanked.tie[back]],
        means=np.full(size + len(back), int(Means.MESSAGE)),
        weight=np.ones(size + len(back), dtype=np.int64),
        at=np.r_[at, answered],
    )
    lawful = span.holds(found.at) & ties.two_way_at(found.tie, found.at)
    return found.taken(np.flatnonzero(lawful))


def converse(
    people: Population,
    ties: Ties,
    gifts: Gifts,
    span: Span,
    seed: int,
    given: ContactAssumptions,
) -> tuple[Contacts, Floats]:
    """Draw the messages and calls of the span, by time.

    Returns
    -------
    tuple
        The contacts, and for each tie the messages and calls a day that its closeness and habit
        let expect (both directions; greetings and thanks apart).
    """
    rng = stream(seed, "contacts")
    talk = Talk.of(people, ties, span, rng, given)
    parts = [
        *_conversations(people, ties, talk, span, rng, given),
        *_greetings(people, ties, span, rng, given),
    ]
    openings = Openings(
        np.concatenate([part.tie for part in parts]),
        np.concatenate([part.from_a for part in parts]),
        np.concatenate([part.at for part in parts]),
    )
    spoken = _spoken(ties, openings, span, rng, given)
    thanks = _thanks(ties, gifts, span, rng, given)
    columns = Contacts.__slots__
    found = Contacts(*(np.r_[getattr(spoken, name), getattr(thanks, name)] for name in columns))
    # One key of time, sender and recipient: a third of the cost of sorting by three.
    key = ((found.at - span.begins) * len(people) + found.sender) * len(people) + found.recipient
    middle = (ties.closeness_start + ties.closeness_end) / 2
    a_conversation = given.call + (1.0 - given.call) * mean_length(middle, given)
    per_day = talk.expected() * a_conversation / span.days
    return found.taken(np.argsort(key, kind="stable")), per_day
