"""What surrounds a pair says: whom both know, how busy each is with others, friends or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.domain.pair_state import Floats, Layout
from engine.domain.structure import Structure
from models.features.pair_view import PairView, share
from models.features.registry import WHOLE_LOG, Feature

PairFeature = Feature[PairView]


def structure() -> list[PairFeature]:
    """Return the features of the graph of acquaintances."""

    def friends(view: PairView) -> Floats:
        return (view.around(Structure.SINCE) > 0).astype(np.float64)

    def tie_age(view: PairView) -> Floats:
        # Not friends is as if ever so long ago: time that passes can then only weaken.
        return view.days_since(view.around(Structure.SINCE))

    counted = (
        ("common", "acquaintances in common", Structure.COMMON, 1, "structure"),
        ("others_least", "others known to who knows fewer", Structure.OTHERS_LEAST, 0, "others"),
        ("others_most", "others known to who knows more", Structure.OTHERS_MOST, 0, "others"),
    )
    told = "whether each calls the other a friend"
    return [
        *(
            Feature(name, "people", meaning, _column(column), sign, family, around=True)
            for name, meaning, column, sign, family in counted
        ),
        Feature("friends", "0 or 1", told, friends, 1, "friendship", around=True),
        Feature(
            *("tie_age", "days", "since they became friends", tie_age, -1, "friendship"),
            outgrows=True,
            around=True,
        ),
    ]


def others(layout: Layout) -> list[PairFeature]:
    """Return what the ends exchange with others: who is busy writes to everybody."""
    short = layout.half_lives_days[0]
    lately, ever = "of late (short half-life)", "ever"
    described = (
        ("recent_least", lately, "less", Structure.RECENT_LEAST, short),
        ("recent_most", lately, "more", Structure.RECENT_MOST, short),
        ("volume_least", ever, "less", Structure.VOLUME_LEAST, WHOLE_LOG),
        ("volume_most", ever, "more", Structure.VOLUME_MOST, WHOLE_LOG),
    )
    return [
        Feature(
            *(f"others_{name}", "weight", f"exchanged with others {when} by who did {which}"),
            compute=_column(column),
            family="bustle",
            memory_days=memory,
            around=True,
        )
        for name, when, which, column, memory in described
    ]


def attention() -> PairFeature:
    """Return the pair's share of all that one end exchanges; 0 where the others are unknown."""

    def compute(view: PairView) -> Floats:
        whole = view.volume() + view.around(Structure.VOLUME_LEAST)
        known = view.around(Structure.AS_OF) > 0
        return np.where(known, share(view.volume(), whole), 0.0)

    return Feature("attention_most", "share", "the pair's of either's all", compute, 1, "attention")


def _column(column: Structure) -> Callable[[PairView], Floats]:
    return lambda view: view.around(column)
