"""Campaigns: offers of brands to people who consented, a random part of whom is held out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from engine.domain.gifts import Mechanics
from training.simulate.assumptions import CampaignAssumptions
from training.simulate.catalogue import Catalogue
from training.simulate.chance import Floats, Ints, happens, stream
from training.simulate.people import Population
from training.simulate.responses import Responder
from training.simulate.tastes import Deed, ItemEvents
from training.simulate.timeline import DAY, HOUR, NEVER, Span


class Step(IntEnum):
    """What happened between an offer and a person."""

    HELD_OUT = 0
    SHOWN = 1
    CLICKED = 2
    REDEEMED = 3


@dataclass(frozen=True, slots=True)
class Offers:
    """One entry an offer, by its beginning; indices, fen and seconds."""

    item: Ints
    brand: Ints
    category: Ints
    value_fen: Ints
    price_fen: Ints
    discount: Floats
    starts: Ints
    ends: Ints

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, slots=True)
class OfferEvents:
    """One entry an event; indices, a `Step`, seconds."""

    offer: Ints
    person: Ints
    kind: Ints
    at: Ints

    def __len__(self) -> int:
        return len(self.offer)


@dataclass(frozen=True, slots=True)
class ResponseTruth:
    """The true chances of each person in an offer's audience."""

    offer: Ints
    person: Ints
    if_shown: Floats
    if_held_out: Floats


@dataclass(frozen=True, slots=True)
class Campaigning:
    """All that campaigns leave behind."""

    offers: Offers
    events: OfferEvents
    truth: ResponseTruth
    purchases: ItemEvents
    """What redeemed offers bought."""


def _plan(
    catalogue: Catalogue, span: Span, rng: np.random.Generator, given: CampaignAssumptions
) -> Offers:
    """Draw the offers: an ordinary item of a brand each, some yuan cheaper for a week or two."""
    size = max(4, round(given.offers_per_day * span.days))
    ordinary = np.flatnonzero(
        np.array([g.mechanics is Mechanics.DIRECT for g in catalogue.goods])
        & (catalogue.brand >= 0)
        & (catalogue.units == NEVER)
        & (catalogue.sale_until == NEVER)
        & (catalogue.price_fen >= 1_000)
        & (catalogue.price_fen <= 20_000)
    )
    item = rng.choice(ordinary, size)
    length = rng.integers(given.shortest_days, given.longest_days + 1, size)
    # The last ones are still running when the log ends, as they are in any log.
    starts = span.begins + np.sort(rng.integers(0, span.days, size)) * DAY + 10 * HOUR
    discount = np.round(rng.uniform(*given.discounts, size), 2)
    listed = catalogue.price_fen[item]
    return Offers(
        item=item,
        brand=catalogue.brand[item],
        category=catalogue.category[item],
        value_fen=np.rint(given.fee_share * listed).astype(np.int64) + given.fee_fixed_fen,
        price_fen=np.rint(listed * (1.0 - discount)).astype(np.int64),
        discount=discount,
        starts=starts,
        ends=starts + length * DAY,
    )


def advertise(
    people: Population,
    catalogue: Catalogue,
    responder: Responder,
    span: Span,
    seed: int,
    given: CampaignAssumptions,
) -> Campaigning:
    """Run the campaigns of the span, in order of their beginning.

    Only people who consented to offers and are known to be of `given.youngest` or over are
    eligible. Of the audience, drawn at random, a random part is held out: it is never shown the
    offer, but may come upon it and redeem it.
    """
    rng = stream(seed, "campaigns")
    offers = _plan(catalogue, span, rng, given)
    events: list[OfferEvents] = []
    truth: list[ResponseTruth] = []
    running: list[tuple[int, int, Ints]] = []
    for offer in range(len(offers)):
        starts = int(offers.starts[offer])
        # Who redeemed is known to friends when the campaign is over.
        for _, brand, redeemers in (one for one in running if one[0] <= starts):
            responder.remember(brand, redeemers)
        running = [one for one in running if one[0] > starts]
        eligible = people.consents_offers & (people.joined < starts)
        eligible &= people.known_to_be(given.youngest, starts // DAY)
        drawn = np.flatnonzero(eligible & happens(rng, given.reach, len(people)))
        told, chances = _run(offers, offer, drawn, responder, span, rng, given)
        redeemers = told.person[told.kind == Step.REDEEMED]
        running.append((int(offers.ends[offer]), int(offers.brand[offer]), redeemers))
        events.append(told)
        truth.append(chances)
    columns = OfferEvents.__slots__
    found = OfferEvents(*(np.concatenate([getattr(e, name) for e in events]) for name in columns))
    order = np.lexsort((found.kind, found.person, found.offer, found.at))
    found = OfferEvents(*(getattr(found, name)[order] for name in columns))
    bought = np.flatnonzero(found.kind == Step.REDEEMED)
    purchases = ItemEvents(
        found.person[bought],
        offers.item[found.offer[bought]],
        np.full(len(bought), int(Deed.BOUGHT)),
        found.at[bought],
    )
    known = ResponseTruth(
        *(np.concatenate([getattr(t, name) for t in truth]) for name in ResponseTruth.__slots__)
    )
    return Campaigning(offers, found, known, purchases)


def _run(
    offers: Offers,
    offer: int,
    drawn: Ints,
    responder: Responder,
    span: Span,
    rng: np.random.Generator,
    given: CampaignAssumptions,
) -> tuple[OfferEvents, ResponseTruth]:
    """Run one offer for the people drawn; what lies beyond the span is never seen."""
    starts, ends = int(offers.starts[offer]), int(offers.ends[offer])
    met = starts + (rng.random(len(drawn)) * 0.6 * (ends - starts)).astype(np.int64)
    audience, met = drawn[met < span.ends], met[met < span.ends]
    size = len(audience)
    response = responder.to(
        audience,
        int(offers.brand[offer]),
        int(offers.category[offer]),
        int(offers.price_fen[offer]),
        float(offers.discount[offer]),
        starts,
    )
    held = happens(rng, given.held_out, size)
    redeems = happens(rng, np.where(held, response.if_held_out, response.if_shown), size)
    clicks = ~held & (redeems | happens(rng, response.click, size))
    clicked = met + 5 + rng.integers(0, 300, size)
    # Most who redeem do so soon: a Beta(0.7, 2) share of the time that is left.
    begin = clicked + 30
    redeemed = begin + (rng.beta(0.7, 2.0, size) * (ends - begin - 1)).astype(np.int64)
    person: list[Ints] = []
    kind: list[Ints] = []
    at: list[Ints] = []
    for chosen, step, when in (
        (held, Step.HELD_OUT, met),
        (~held, Step.SHOWN, met),
        (clicks, Step.CLICKED, clicked),
        (redeems, Step.REDEEMED, redeemed),
    ):
        who = np.flatnonzero(chosen & (when < span.ends))
        person.append(audience[who])
        kind.append(np.full(len(who), int(step)))
        at.append(when[who])
    people = np.concatenate(person)
    events = OfferEvents(
        np.full(len(people), offer), people, np.concatenate(kind), np.concatenate(at)
    )
    truth = ResponseTruth(np.full(size, offer), audience, response.if_shown, response.if_held_out)
    return events, truth
