"""What a town's log says of each pair: its conversations, greetings and gifts, told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.domain.pair_state import Floats, Ints
from training.benchmark.town_truth import Bools, TownEvents, TownTruth
from training.simulate.assumptions import Assumptions
from training.simulate.circles import Circle
from training.simulate.contacts import GREETED
from training.simulate.timeline import DAY, HOUR, anniversary, day_number, year_of

PARTS: Final = 12
"""Into how many equal parts the span is cut to follow a pair's drift."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What was seen of m pairs.

    Parameters
    ----------
    days
        Days (m × `PARTS`) of each part in which the pair were friends both ways.
    conversations
        How many began in each part (m × `PARTS`), greetings apart.
    lengths
        How many had 1, 2, … messages (m × the longest), calls apart.
    birthdays, festivals
        How many of these days were missed and greeted (m × 2 each).
    gifts
        From a to b and back (2 × m).
    occasions
        What chances of an occasion gift at closeness 1 and median generosity add up to (2 × m).
    """

    days: Floats
    conversations: Floats
    lengths: Floats
    birthdays: Floats
    festivals: Floats
    gifts: Ints
    occasions: Floats


def evidence(town: TownTruth, given: Assumptions) -> Evidence:
    """Read what a town's log says of each of its pairs."""
    edges = np.linspace(town.span.begins, town.span.ends, PARTS + 1)
    within = np.minimum(town.closes[:, None], edges[None, 1:])
    within -= np.maximum(town.opens[:, None], edges[None, :-1])
    begun, length = _conversations(town.contacts)
    birthdays, festivals, greeting = _greetings(town, begun)
    plain = begun.taken(~greeting)
    part = np.searchsorted(edges, plain.at, side="right") - 1
    spoken = begun.kind == "message"
    longest = given.contacts.longest
    return Evidence(
        days=np.maximum(within, 0.0) / DAY,
        conversations=_counted(len(town), plain.pair, part, PARTS),
        lengths=_counted(
            len(town), begun.pair[spoken], np.minimum(length[spoken], longest) - 1, longest
        ),
        birthdays=birthdays,
        festivals=festivals,
        gifts=np.stack(
            [
                np.bincount(town.gifts.pair[town.gifts.from_a == way], minlength=len(town))
                for way in (True, False)
            ]
        ),
        occasions=_occasions(town, given),
    )


def _counted(pairs: int, pair: Ints, column: Ints, columns: int) -> Floats:
    """Return how often each pair has each column (pairs × columns)."""
    found = np.bincount(pair * columns + column, minlength=pairs * columns)
    return found.reshape(pairs, columns).astype(np.float64)


def _conversations(contacts: TownEvents) -> tuple[TownEvents, Ints]:
    """Return the contacts that open a conversation, and its messages: an hour's pause parts two."""
    ordered = contacts.taken(np.lexsort((contacts.at, contacts.pair)))
    opening = np.ones(len(ordered.pair), dtype=bool)
    opening[1:] = (np.diff(ordered.pair) != 0) | (np.diff(ordered.at) >= HOUR)
    first = np.flatnonzero(opening)
    return ordered.taken(first), np.diff(np.append(first, len(opening)))


def _birthdays(town: TownTruth) -> list[Ints]:
    """Return everyone's birthday in each year of the span, as its day (−1: not in the span)."""
    days = town.span.local_days()
    years = range(year_of(days[0]), year_of(days[-1]) + 1)
    found = [anniversary(town.born, year) - days[0] for year in years]
    return [np.where((day >= 0) & (day < len(days)), day, -1) for day in found]


def _present(town: TownTruth, day: Ints | int) -> Bools:
    """Tell which pairs are friends both ways at noon of a day of the span (−1: none)."""
    noon = town.span.begins + np.asarray(day) * DAY + DAY // 2
    return (np.asarray(day) >= 0) & (noon >= town.opens) & (noon < town.closes)


def _greetings(town: TownTruth, begun: TownEvents) -> tuple[Floats, Floats, Bools]:
    """Return the birthdays and the festivals that each pair missed and greeted, and which
    conversations greet."""
    day_of = (begun.at - town.span.begins) // DAY
    greeting = np.zeros(len(begun.pair), dtype=bool)
    birthdays, festivals = np.zeros((len(town), 2)), np.zeros((len(town), 2))

    def note(days: Ints, by: Bools, seen: Floats) -> None:
        present = _present(town, days)
        hit = present[begun.pair] & (day_of == days[begun.pair]) & by
        greeted = np.bincount(begun.pair[hit], minlength=len(town)) > 0
        seen[present & ~greeted, 0] += 1
        seen[present & greeted, 1] += 1
        greeting[hit] = True

    for birthday in _birthdays(town):
        note(birthday[town.b], begun.from_a, birthdays)
        note(birthday[town.a], ~begun.from_a, birthdays)
    for festival in town.span.festivals():
        if festival.name in GREETED:
            day = festival.day - day_number(town.span.first_day)
            note(np.full(len(town), day), np.ones(len(begun.pair), dtype=bool), festivals)
    return birthdays, festivals, greeting


def _occasions(town: TownTruth, given: Assumptions) -> Floats:
    chances, couples = dict(given.giving.festivals), dict(given.giving.couples)
    partners = town.circle == Circle.PARTNER
    found = np.zeros((2, len(town)))
    for festival in town.span.festivals():
        present = _present(town, festival.day - day_number(town.span.first_day))
        found += chances.get(festival.name, 0.0) * present
        found += couples.get(festival.name, 0.0) * (present & partners)
    for birthday in _birthdays(town):
        for way, recipient in enumerate((town.b, town.a)):
            found[way] += given.giving.birthday * _present(town, birthday[recipient])
    return found
