"""Item events: what people buy, like and wish for, by their taste, a friend's or the crowd's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from engine.domain.gifts import Mechanics, Relation
from engine.domain.occasions import OCCASIONS
from training.simulate.assumptions import Assumptions
from training.simulate.catalogue import Catalogue
from training.simulate.chance import Floats, Ints, Urns, happens, log_normal, rank_within, stream
from training.simulate.closeness import Ties
from training.simulate.friends import Friends
from training.simulate.lifestyles import CATEGORIES, leanings
from training.simulate.people import Population
from training.simulate.products import BRANDS
from training.simulate.shelves import CROWD, Shelves
from training.simulate.timeline import NEVER, Span, in_rhythm, local_day_of


class Deed(IntEnum):
    """What somebody did with an item."""

    BOUGHT = 0
    LIKED = 1
    WISHED = 2


@dataclass(frozen=True, slots=True)
class ItemEvents:
    """One entry an event; indices of people and items, a `Deed`, seconds."""

    person: Ints
    item: Ints
    kind: Ints
    at: Ints

    def __len__(self) -> int:
        return len(self.person)

    def and_also(self, others: ItemEvents) -> ItemEvents:
        """Return these events and the others, by time."""
        pairs = ((getattr(self, name), getattr(others, name)) for name in ItemEvents.__slots__)
        return ItemEvents(*(np.concatenate(pair) for pair in pairs)).sorted()

    def sorted(self) -> ItemEvents:
        """Return the events by time, then person, item and kind."""
        order = np.lexsort((self.kind, self.item, self.person, self.at))
        return ItemEvents(self.person[order], self.item[order], self.kind[order], self.at[order])


def favourite_brands(people: Population, seed: int) -> Ints:
    """Return the index of the brand that each person keeps coming back to."""
    rng = stream(seed, "loyalty")
    category = Urns.of(people.taste @ np.exp(leanings())).draw(rng, np.arange(len(people)))
    brands_of = np.array(
        [[i for i, b in enumerate(BRANDS) if b.category == name] for name in CATEGORIES]
    )
    return brands_of[category, rng.integers(0, brands_of.shape[1], len(people))]


def fit_of_categories(people: Population) -> Floats:
    """Return how each category suits each person: log of their weight over the average
    (people × categories)."""
    share = np.exp(leanings())
    share /= share.sum(axis=1, keepdims=True)
    mixed = people.taste @ share
    fit: Floats = np.log(mixed / mixed.mean(axis=0))
    return fit


def shop(
    people: Population,
    ties: Ties,
    catalogue: Catalogue,
    shelves: Shelves,
    brands: Ints,
    span: Span,
    seed: int,
    given: Assumptions,
) -> ItemEvents:
    """Draw the item events of the span.

    Parameters
    ----------
    brands
        The brand each person is loyal to.
    """
    rng = stream(seed, "tastes")
    taste = given.tastes
    here = np.maximum(people.joined, span.begins)
    share = np.clip((span.ends - here) / (span.ends - span.begins), 0.0, 1.0)
    activity = rng.gamma(taste.activity_shape, 1.0 / taste.activity_shape, len(people))
    counts = rng.poisson(taste.events_per_day * span.days * share * activity)
    person = np.repeat(np.arange(len(people)), counts)
    size = len(person)
    about = here[person] + (rng.random(size) * (span.ends - here[person])).astype(np.int64)
    day = local_day_of(about, people.offset[person])
    at = in_rhythm(rng, day, people.offset[person], given.giving.hours)

    friend, tie = Friends.of(ties, len(people), np.ones(len(ties))).draw(rng, person)
    source = rng.random(size)
    copied = (source < taste.from_friend) & (tie >= 0) & ties.two_way_at(np.maximum(tie, 0), at)
    lifestyle = shelves.lifestyle_of.draw(rng, np.where(copied, friend, person))
    lifestyle[source > 1.0 - taste.from_crowd] = CROWD
    budget = taste.own_budget_yuan * 100 * people.spending[person]
    budget = budget * log_normal(rng, taste.own_budget_log_sd, size)
    nothing = np.full(size, OCCASIONS.index("none"))
    item = shelves.pick(rng, lifestyle, nothing, budget)
    loyal = happens(rng, taste.loyalty, size)
    item = np.where(loyal, shelves.pick_of_brand(rng, brands[person], budget), item)

    kind = rng.choice(3, size, p=np.asarray(taste.kind_shares))
    ordinary = np.array(
        [
            g.mechanics is Mechanics.DIRECT and Relation.FRIEND in g.relations
            for g in catalogue.goods
        ]
    )
    first_day = span.local_days()[0]
    may_buy = (
        ordinary[item] & catalogue.on_sale(item, at) & (people.age_on(first_day) >= 14)[person]
    )
    kind[(kind == Deed.BOUGHT) & ~may_buy] = Deed.LIKED
    stays = span.holds(at) & (at >= people.joined[person])
    events = ItemEvents(person[stays], item[stays], kind[stays], at[stays]).sorted()
    return _once(while_stocks_last(events, catalogue.units), len(catalogue))


def while_stocks_last(events: ItemEvents, units: Ints) -> ItemEvents:
    """Let people buy at most half of a limited edition for themselves; later buyers only wish.

    Parameters
    ----------
    events
        By time.
    units
        How many there are of each item; `NEVER` without limit.
    """
    limited = np.flatnonzero((units[events.item] < NEVER) & (events.kind == Deed.BOUGHT))
    by_item = limited[np.argsort(events.item[limited], kind="stable")]
    item = events.item[by_item]
    kind = events.kind.copy()
    kind[by_item[rank_within(item) >= units[item] // 2]] = Deed.WISHED
    return ItemEvents(events.person, events.item, kind, events.at)


def _once(events: ItemEvents, items: int) -> ItemEvents:
    """Keep only the first like and the first wish of a person for an item; buying may recur."""
    key = (events.person * items + events.item) * len(Deed) + events.kind
    order = np.argsort(key, kind="stable")
    again = np.zeros(len(events), dtype=bool)
    again[order] = rank_within(key[order]) > 0
    kept = ~again | (events.kind == Deed.BOUGHT)
    return ItemEvents(events.person[kept], events.item[kept], events.kind[kept], events.at[kept])
