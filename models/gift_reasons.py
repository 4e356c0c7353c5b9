"""Why an item is suggested: the evidence that lifted it most, as a code anyone may be shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.domain.pair_state import Floats
from models.features.gift import GIFT_FEATURES

POPULAR = "POPULAR"
LIKES_SIMILAR = "LIKES_SIMILAR"
FRIENDS_LIKE = "FRIENDS_LIKE"
FITS_OCCASION = "FITS_OCCASION"
FITS_BUDGET = "FITS_BUDGET"

_GROUPS = {
    LIKES_SIMILAR: (
        "recipient_similar",
        "recipient_similar_relative",
        "recipient_category",
        "recipient_kind",
        "recipient_wished",
        "recipient_owned",
    ),
    FRIENDS_LIKE: ("friends_chose", "friends_chose_relative", "friends_similar"),
    FITS_OCCASION: ("occasion_category", "occasion_kind"),
    POPULAR: ("popularity", "recent_popularity", "given_popularity"),
}
"""The features that speak for each reason; those of the sender's habits speak for none, since the
recipient may learn of the suggestion."""

_EVIDENT = {
    LIKES_SIMILAR: ("recipient_similar", "recipient_category", "recipient_wished"),
    FRIENDS_LIKE: ("friends_chose",),
    FITS_OCCASION: ("occasion_category", "occasion_kind"),
    POPULAR: ("popularity", "recent_popularity", "given_popularity"),
}
"""A reason is only given if one of these is above the reason's bar."""

_BAR = {LIKES_SIMILAR: 0.0, FRIENDS_LIKE: 1.0, FITS_OCCASION: 0.0, POPULAR: 0.0}
"""A single like of a single friend is not enough for FRIENDS_LIKE: it would name the friend."""


def gift_reasons(
    features: Floats,
    scores: Floats,
    score: Callable[[Floats], Floats],
    fits_budget: NDArray[np.bool_],
    has_occasion: bool,
) -> list[str]:
    """Return a reason code for each of m items, by occlusion.

    A reason's worth is by how much the score would fall if its features said nothing (Zeiler and
    Fergus 2014, for features instead of pixels): a twentieth of the cost of SHAP values.

    Parameters
    ----------
    features, scores
        m × `len(GIFT_FEATURES)` and m.
    score
        The model: features in, scores out.
    fits_budget
        m truths: a budget was named and the item is within it.
    has_occasion
        Whether an occasion was named.

    Returns
    -------
    list of str
        The evident reason of the greatest worth. Where none is worth anything, FITS_BUDGET if the
        item fits one, else POPULAR.
    """
    m = len(features)
    without = np.tile(features, (len(_GROUPS), 1))
    for index, names in enumerate(_GROUPS.values()):
        without[index * m : (index + 1) * m, _columns(names)] = 0.0
    worth = scores - score(without).reshape(len(_GROUPS), m)
    for index, reason in enumerate(_GROUPS):
        evident = np.any(features[:, _columns(_EVIDENT[reason])] > _BAR[reason], axis=1)
        asked = has_occasion or reason != FITS_OCCASION
        worth[index] = np.where(evident & asked, worth[index], 0.0)
    best = np.argmax(worth, axis=0)
    codes = tuple(_GROUPS)
    return [
        codes[choice] if worth[choice, row] > 0 else (FITS_BUDGET if fits_budget[row] else POPULAR)
        for row, choice in enumerate(best)
    ]


def _columns(names: tuple[str, ...]) -> list[int]:
    return [GIFT_FEATURES.index(name) for name in names]
