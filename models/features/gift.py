"""The features of a gift idea: one definition, used in training and in serving.

No feature can push a dearer item up. The price enters once, as `above_usual_price`, which is
nought up to what the sender usually spends and grows beyond it, and the booster is bound to fall
(never rise) in it. What the recipient once gave, or received at what price, does not enter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.domain.gifts import Item
from engine.domain.pair_state import Floats, Ints
from models.gift_retrieval import GiftEvidence, GiftRetrieval
from models.item_catalogue import UNKNOWN
from models.item_signals import Taste

GIFT_FEATURES = (
    "popularity",
    "recent_popularity",
    "given_popularity",
    "occasion_category",
    "occasion_kind",
    "recipient_similar",
    "recipient_similar_relative",
    "recipient_category",
    "recipient_kind",
    "recipient_wished",
    "recipient_owned",
    "recipient_signals",
    "friends_chose",
    "friends_chose_relative",
    "friends_similar",
    "friends_category",
    "friends_signals",
    "sender_chose",
    "sender_category",
    "sender_similar",
    "above_usual_price",
)
"""The columns of the ranker, in order."""

_RISING = frozenset(
    {
        "recipient_similar",
        "recipient_similar_relative",
        "recipient_category",
        "recipient_kind",
        "recipient_wished",
        "friends_chose",
        "friends_chose_relative",
        "friends_similar",
        "friends_category",
        "sender_category",
        "sender_similar",
    }
)
"""More of a taste never speaks against an item that meets it."""
_FALLING = frozenset({"above_usual_price"})

MONOTONE = tuple((name in _RISING) - (name in _FALLING) for name in GIFT_FEATURES)
"""The direction each feature is bound to: 1 may only raise the score, −1 only lower it."""


def gift_features(
    retrieval: GiftRetrieval, evidence: GiftEvidence, items: Sequence[Item]
) -> Floats:
    """Return the features (m × `len(GIFT_FEATURES)`) of m items for one context.

    Items the model has never seen get what their category, kind and price tell.
    """
    catalogue, popularity = retrieval.catalogue, retrieval.popularity
    place = catalogue.positions(item.item for item in items)
    category = catalogue.category_codes(item.category for item in items)
    kind = catalogue.kind_codes(item.kind for item in items)
    price = np.array([item.price_fen for item in items], dtype=np.float64)
    recipient, friends, sender = evidence.recipient, evidence.friends, evidence.sender
    count = len(items)
    columns: tuple[Floats, ...] = (
        _at(popularity.overall, place),
        _at(popularity.recent, place),
        _at(popularity.given, place),
        _at(popularity.category_lift[evidence.occasion], category),
        _at(popularity.kind_lift[evidence.occasion], kind),
        _at(evidence.similar, place) / np.sqrt(max(recipient.total, 1.0)),
        _relative(evidence.similar, place),
        _at(recipient.category, category),
        _at(recipient.kind, kind),
        _at(evidence.wished.weights, place),
        _at(recipient.weights, place),
        np.full(count, np.log1p(recipient.signals)),
        _at(friends.weights, place),
        _relative(friends.weights, place),
        _relative(evidence.friends_similar, place),
        _at(friends.category, category),
        np.full(count, np.log1p(friends.signals)),
        _at(sender.weights, place),
        _at(sender.category, category),
        _relative(evidence.sender_similar, place),
        _above(price, usual_price(retrieval, sender)),
    )
    return np.column_stack(columns)


def usual_price(retrieval: GiftRetrieval, sender: Taste) -> float:
    """Return the median price in fen of what the sender chose, nought if nothing."""
    prices = retrieval.catalogue.price_fen[sender.weights > 0]
    return float(np.median(prices)) if len(prices) else 0.0


def _above(price: Floats, usual: float) -> Floats:
    """Return by how many doublings a price exceeds the usual; nought up to it."""
    if usual <= 0:
        return np.zeros(len(price))
    return np.asarray(np.log2(np.maximum(price, usual) / usual), dtype=np.float64)


def _at(values: Floats, codes: Ints) -> Floats:
    """Return the value at each code, nought for `UNKNOWN`."""
    if len(values) == 0:
        return np.zeros(len(codes))
    return np.asarray(np.where(codes == UNKNOWN, 0.0, values[codes]), dtype=np.float64)


def _relative(values: Floats, codes: Ints) -> Floats:
    """Return the value at each code as a share of the largest of all."""
    return _at(values, codes) / max(float(values.max(initial=0.0)), 1e-12)
