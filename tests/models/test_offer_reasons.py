"""An offer's reasons hold, raised the score, and come in order of their worth."""

from __future__ import annotations

import numpy as np

from models.features.offer import FACT_NAMES, OFFER_FEATURES, OfferFacts
from models.offer_reasons import offer_reasons


def _facts(**known: float) -> OfferFacts:
    return OfferFacts(*(np.array([known.get(name, 0.0)]) for name in FACT_NAMES))


def _worth(**worth: float) -> np.ndarray:
    return np.array([[worth.get(name, 0.0) for name in OFFER_FEATURES]])


def test_reasons_are_ordered_by_what_they_added() -> None:
    facts = _facts(category_weight=1.0, brand_redeemed=1.0, friends_redeemed=2.0, clicked=1.0)
    worth = _worth(category_share=0.2, brand_redeemed=0.5, friends_redeemed=0.1, click_rate=0.4)
    assert offer_reasons(facts, worth) == [
        ("KNOWS_BRAND", "RESPONDED_BEFORE", "LIKES_CATEGORY", "FRIENDS_REDEEMED")
    ]


def test_reason_that_lowered_the_score_is_not_given() -> None:
    facts = _facts(category_weight=1.0, redeemed=1.0)
    worth = _worth(category_weight=-0.3, category_share=0.1, redeem_rate=0.2)
    assert offer_reasons(facts, worth) == [("RESPONDED_BEFORE",)]


def test_reason_without_its_fact_is_not_given() -> None:
    worth = _worth(category_share=1.0, brand_signals=1.0, friends_redeemed=1.0, click_rate=1.0)
    assert offer_reasons(_facts(friends_redeemed=1.0), worth) == [("GENERAL_INTEREST",)]
