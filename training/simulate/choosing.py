"""Choosing a gift: a wish granted, or an item in budget for the recipient's taste or one's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.occasions import OCCASIONS
from training.simulate.assumptions import GivingAssumptions
from training.simulate.catalogue import Catalogue
from training.simulate.chance import Bools, Floats, Ints, happens, log_normal
from training.simulate.impulses import Impulses
from training.simulate.people import Population
from training.simulate.shelves import Shelves
from training.simulate.tastes import Deed, ItemEvents
from training.simulate.timeline import DAY, Span

_TRIES = 3
"""How often somebody who finds an item unavailable looks for another."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """The wishes of all people by person and time, to look up somebody's latest."""

    person: Ints
    item: Ints
    key: Ints
    span: Span

    @classmethod
    def of(cls, events: ItemEvents, span: Span) -> Wishes:
        """Collect the wishes of the item events."""
        wished = np.flatnonzero(events.kind == Deed.WISHED)
        key = events.person[wished] * (span.days * DAY) + events.at[wished] - span.begins
        order = np.argsort(key, kind="stable")
        return cls(events.person[wished][order], events.item[wished][order], key[order], span)

    def latest(self, person: Ints, at: Ints) -> Ints:
        """Return the item that each person last wished for before the time, −1 if none."""
        if len(self.key) == 0:
            return np.full(len(person), -1)
        key = person * (self.span.days * DAY) + at - self.span.begins
        row = np.searchsorted(self.key, key) - 1
        found = (row >= 0) & (self.person[row] == person)
        return np.where(found, self.item[row], -1)


def _budget(
    people: Population,
    impulses: Impulses,
    close: Floats,
    rng: np.random.Generator,
    given: GivingAssumptions,
) -> Floats:
    yuan = dict(given.budget_yuan)
    usual = np.array([yuan.get(name, given.other_budget_yuan) for name in OCCASIONS])
    fen = 100.0 * usual[impulses.occasion] * np.sqrt(people.spending[impulses.sender])
    fen *= np.exp(given.budget_per_closeness * (close - 0.5))
    return fen * log_normal(rng, given.budget_log_sd, len(impulses)) + impulses.extra_fen


def choose(
    people: Population,
    catalogue: Catalogue,
    shelves: Shelves,
    wishes: Wishes,
    impulses: Impulses,
    close: Floats,
    rng: np.random.Generator,
    given: GivingAssumptions,
) -> Ints:
    """Return the item each impulse settles on, −1 where nothing suitable was found."""
    size = len(impulses)
    budget = _budget(people, impulses, close, rng, given)
    knows = happens(rng, given.knows_taste[0] + given.knows_taste[1] * close, size)
    whose = np.where(knows, impulses.recipient, impulses.sender)
    wish = wishes.latest(impulses.recipient, impulses.at)
    item = np.where(happens(rng, given.from_wishes * close, size), wish, -1)
    for _ in range(_TRIES):
        open_ = np.flatnonzero((item < 0) | ~_available(catalogue, item, impulses.at))
        lifestyle = shelves.lifestyle_of.draw(rng, whose[open_])
        item[open_] = shelves.pick(rng, lifestyle, impulses.occasion[open_], budget[open_])
    return np.where(_available(catalogue, item, impulses.at), item, -1)


def _available(catalogue: Catalogue, item: Ints, at: Ints) -> Bools:
    return catalogue.giftable[item] & catalogue.on_sale(item, at)
