"""The features of an offer to a person: one definition, used in training and in serving.

What a brand pays for a redemption (`value_fen`) is not among them: a person does not see it, and a
response must not look likelier because it pays better. Nor is anything here a price for the person:
the offer's price is the same for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from engine.domain.clock import DAY
from engine.domain.decay import remaining
from engine.domain.pair_state import Floats
from engine.domain.ports import HISTORY_LIMIT, OfferContext
from models.item_signals import signal_weights

HALF_LIFE_DAYS = 60.0
"""Days after which a signal says half as much of what a person likes."""

OFFER_FEATURES = (
    "log_price",
    "discount",
    "days_since_start",
    "days_left",
    "category_weight",
    "category_share",
    "signals",
    "brand_signals",
    "shown",
    "click_rate",
    "redeem_rate",
    "category_shown",
    "category_redeem_rate",
    "brand_shown",
    "brand_redeemed",
    "offer_shown",
    "friends_redeemed",
)
"""The columns of the response model, in order."""

_RISING = frozenset(
    {
        "discount",
        "category_weight",
        "category_share",
        "brand_signals",
        "click_rate",
        "redeem_rate",
        "category_redeem_rate",
        "brand_redeemed",
        "friends_redeemed",
    }
)
"""More of these never speaks against a response."""

OFFER_MONOTONE = tuple(int(name in _RISING) for name in OFFER_FEATURES)
"""The direction each feature is bound to: 1 may only raise the score."""

_PRIOR_SHOWN = 5.0
_PRIOR_CLICKED = 0.5
_PRIOR_REDEEMED = 0.25
"""A person nobody has seen yet is taken to have clicked on a tenth and redeemed a twentieth."""


@dataclass(frozen=True, slots=True, eq=False)
class OfferFacts:
    """What is known before showing: one entry a person and offer, each a float64 array (n).

    Prices in fen, times in microseconds; weights are sums of kind weight × 2^(−age/60 days) over
    the newest `HISTORY_LIMIT` signals.
    """

    price_fen: Floats
    list_price_fen: Floats
    since_start: Floats
    until_end: Floats
    weight: Floats
    category_weight: Floats
    signals: Floats
    brand_signals: Floats
    shown: Floats
    clicked: Floats
    redeemed: Floats
    category_shown: Floats
    category_redeemed: Floats
    brand_shown: Floats
    brand_redeemed: Floats
    offer_shown: Floats
    friends_redeemed: Floats


FACT_NAMES = tuple(field.name for field in fields(OfferFacts))


def facts_of(contexts: Sequence[OfferContext]) -> OfferFacts:
    """Return what n contexts tell, as arrays."""
    rows = np.array([_facts(context) for context in contexts], dtype=np.float64)
    return OfferFacts(*rows.reshape(len(contexts), len(FACT_NAMES)).T)


def offer_features(facts: OfferFacts) -> Floats:
    """Return the features (n × `len(OFFER_FEATURES)`)."""
    list_price = np.maximum(facts.list_price_fen, 1.0)
    off = np.clip(1.0 - facts.price_fen / list_price, 0.0, 1.0)
    columns: tuple[Floats, ...] = (
        np.log1p(facts.price_fen),
        np.where(facts.list_price_fen > 0, off, 0.0),
        facts.since_start / DAY,
        facts.until_end / DAY,
        np.log1p(facts.category_weight),
        facts.category_weight / np.maximum(facts.weight, 1e-12),
        np.log1p(facts.signals),
        np.log1p(facts.brand_signals),
        np.log1p(facts.shown),
        (facts.clicked + _PRIOR_CLICKED) / (facts.shown + _PRIOR_SHOWN),
        (facts.redeemed + _PRIOR_REDEEMED) / (facts.shown + _PRIOR_SHOWN),
        np.log1p(facts.category_shown),
        (facts.category_redeemed + _PRIOR_REDEEMED) / (facts.category_shown + _PRIOR_SHOWN),
        np.log1p(facts.brand_shown),
        facts.brand_redeemed,
        facts.offer_shown,
        facts.friends_redeemed,
    )
    return np.column_stack(columns)


def _facts(context: OfferContext) -> tuple[float, ...]:
    """Return the facts of one context, in the order of `FACT_NAMES`."""
    offer = context.offer
    history = context.history[:HISTORY_LIMIT]
    age = np.array([context.at - signal.occurred_at for signal in history], dtype=np.float64)
    weight = signal_weights([s.kind for s in history]) * remaining(age, HALF_LIFE_DAYS)
    same = [category == offer.category for category in context.history_categories[:HISTORY_LIMIT]]
    return (
        offer.price_fen,
        offer.list_price_fen,
        context.at - offer.starts_at,
        offer.ends_at - context.at,
        float(weight.sum()),
        float(weight[np.array(same, dtype=bool)].sum()),
        len(history),
        context.brand_signals,
        context.shown,
        context.clicked,
        context.redeemed,
        context.category_shown,
        context.category_redeemed,
        context.brand_shown,
        context.brand_redeemed,
        context.offer_shown,
        context.friends_redeemed,
    )
