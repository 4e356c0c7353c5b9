"""Why an offer suits somebody: what raised the score, as codes anyone may be shown."""

from __future__ import annotations

import numpy as np

from engine.domain.pair_state import Floats
from models.features.offer import OFFER_FEATURES, OfferFacts

LIKES_CATEGORY = "LIKES_CATEGORY"
KNOWS_BRAND = "KNOWS_BRAND"
FRIENDS_REDEEMED = "FRIENDS_REDEEMED"
RESPONDED_BEFORE = "RESPONDED_BEFORE"
GENERAL_INTEREST = "GENERAL_INTEREST"

_GROUPS = {
    LIKES_CATEGORY: ("category_weight", "category_share"),
    KNOWS_BRAND: ("brand_signals", "brand_redeemed"),
    FRIENDS_REDEEMED: ("friends_redeemed",),
    RESPONDED_BEFORE: ("click_rate", "redeem_rate", "category_redeem_rate"),
}
_FEWEST_FRIENDS = 2
"""One friend alone could be guessed from the reason."""
_LEAST = 0.01
"""In log-odds; less is noise."""


def offer_reasons(facts: OfferFacts, contributions: Floats) -> list[tuple[str, ...]]:
    """Return the reason codes of n offers, the weightiest first.

    Parameters
    ----------
    facts
        What is known of the n.
    contributions
        n × `len(OFFER_FEATURES)`: what each feature added to the log-odds.

    Returns
    -------
    list of tuple of str
        The reasons that hold and raised the score; GENERAL_INTEREST alone where there is none.
    """
    holds = np.column_stack(
        (
            facts.category_weight > 0,
            (facts.brand_signals > 0) | (facts.brand_redeemed > 0),
            facts.friends_redeemed >= _FEWEST_FRIENDS,
            (facts.clicked > 0) | (facts.redeemed > 0),
        )
    )
    worth = np.column_stack(
        [contributions[:, _columns(names)].sum(axis=1) for names in _GROUPS.values()]
    )
    given = holds & (worth > _LEAST)
    codes = tuple(_GROUPS)
    found = []
    for row in range(len(worth)):
        order = sorted(np.flatnonzero(given[row]), key=lambda group: -worth[row, group])
        found.append(tuple(codes[group] for group in order) or (GENERAL_INTEREST,))
    return found


def _columns(names: tuple[str, ...]) -> list[int]:
    return [OFFER_FEATURES.index(name) for name in names]
