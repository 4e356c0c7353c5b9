"""Giving: impulses that pass the founding rules become gifts, and gifts bring about more gifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulate.assumptions import GivingAssumptions
from training.simulate.catalogue import Catalogue
from training.simulate.chance import Floats, Ints, happens, stream
from training.simulate.choosing import Wishes, choose
from training.simulate.closeness import Ties
from training.simulate.fans import Fans, cheer
from training.simulate.friends import Friends
from training.simulate.gifts import Gifts, resolve
from training.simulate.impulses import (
    NO_OCCASION,
    Directed,
    Impulses,
    in_return,
    joined,
    on_occasions,
    spontaneous,
)
from training.simulate.people import Population
from training.simulate.selling import Counter
from training.simulate.shelves import Shelves
from training.simulate.tastes import Deed, ItemEvents
from training.simulate.timeline import Span


@dataclass(frozen=True, slots=True)
class _Market:
    """Where impulses become gifts."""

    people: Population
    ties: Ties
    catalogue: Catalogue
    shelves: Shelves
    wishes: Wishes
    counter: Counter
    span: Span
    rng: np.random.Generator
    given: GivingAssumptions

    def between_friends(self, impulses: Impulses) -> Gifts:
        """Let friends give what the rules allow."""
        lawful = self.span.holds(impulses.at)
        lawful &= self.ties.two_way_at(impulses.tie, impulses.at)
        meant = impulses.taken(np.flatnonzero(lawful))
        close = self.ties.closeness_at(meant.tie, meant.at, self.span)
        item = choose(
            self.people,
            self.catalogue,
            self.shelves,
            self.wishes,
            meant,
            close,
            self.rng,
            self.given,
        )
        found = np.flatnonzero(item >= 0)
        sold = found[self.counter.sell(meant.sender[found], item[found], meant.at[found])]
        return self._handed_over(meant.taken(sold), item[sold], close[sold])

    def to_creators(self, fans: Fans, entry: Ints, at: Ints) -> Gifts:
        """Let fans (indices into `fans`) give the creators' own gifts at the times `at`."""
        second = happens(self.rng, 0.3, len(entry))
        item = self.catalogue.of_creator(fans.creator[entry], second)
        sold = self.counter.sell(fans.fan[entry], item, at)
        cheers = Impulses(
            sender=fans.fan[entry[sold]],
            recipient=fans.creator[entry[sold]],
            tie=np.full(len(sold), -1),
            occasion=np.full(len(sold), NO_OCCASION),
            at=at[sold],
            extra_fen=np.zeros(len(sold)),
        )
        # A creator takes what is sent as a close friend would.
        return self._handed_over(cheers, item[sold], np.ones(len(sold)))

    def _handed_over(self, meant: Impulses, item: Ints, close: Floats) -> Gifts:
        price, redeemable = self.catalogue.price_fen[item], self.catalogue.redeemable[item]
        return resolve(meant, item, price, close, redeemable, self.span, self.rng, self.given)


def give(
    people: Population,
    ties: Ties,
    fans: Fans,
    catalogue: Catalogue,
    shelves: Shelves,
    item_events: ItemEvents,
    span: Span,
    seed: int,
    given: GivingAssumptions,
) -> tuple[Gifts, Floats]:
    """Draw the gifts of the span, by time.

    Returns
    -------
    tuple
        The gifts, and for each tie the gifts a day it is expected to bring about without an
        occasion and before reciprocity (both directions together).
    """
    rng = stream(seed, "giving")
    directed = Directed.of(people, ties, span, rng, given)
    expected = directed.expected_spontaneous()
    own_rate = np.bincount(directed.sender, expected, len(people)) / span.days
    middle = (ties.closeness_start + ties.closeness_end) / 2
    friends = Friends.of(ties, len(people), middle**2)
    bought = item_events.item[item_events.kind == Deed.BOUGHT]
    already = np.bincount(bought, minlength=len(catalogue))
    counter = Counter(people, catalogue, already, span, given.daily_cap)
    wishes = Wishes.of(item_events, span)
    market = _Market(people, ties, catalogue, shelves, wishes, counter, span, rng, given)
    waves: list[Gifts] = []
    meant = joined(
        [
            on_occasions(people, ties, directed, span, rng, given),
            spontaneous(people, directed, rng, given),
        ]
    )
    # Each wave of returns is smaller than the last and lies later, so this ends.
    while len(meant) > 0:
        gifts = market.between_friends(meant)
        waves.append(gifts)
        taken = gifts.taken(np.flatnonzero(gifts.accepted))
        meant = in_return(people, friends, own_rate, taken, rng, given)
    waves.append(market.to_creators(fans, *cheer(people, fans, span, seed, given)))
    gifts = Gifts(*(np.concatenate([getattr(w, name) for w in waves]) for name in Gifts.__slots__))
    by_time = np.lexsort((gifts.item, gifts.recipient, gifts.sender, gifts.at))
    per_tie = np.bincount(directed.tie, expected, len(ties)) / span.days
    return gifts.taken(by_time), per_tie
