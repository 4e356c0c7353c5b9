"""What a pair's own events say: how much, how evenly, how regularly, how lately."""

from __future__ import annotations

import numpy as np

from engine.domain.active_days import counted, decayed
from engine.domain.pair_state import Floats, Layout
from models.features.pair_view import PairView
from models.features.registry import WHOLE_LOG, Feature

PairFeature = Feature[PairView]

_SHORT = 0


def behaviour(layout: Layout) -> list[PairFeature]:
    """Return the features of a pair's own events under a layout."""
    return [_volume(), *_mutuality(layout), *_regularity(layout), *_time()]


def _volume() -> PairFeature:
    told = "all exchanges of both"
    return Feature("volume", "weight", told, PairView.volume, 1, "volume", WHOLE_LOG)


def _mutuality(layout: Layout) -> list[PairFeature]:
    def lesser_short(view: PairView) -> Floats:
        return np.minimum(view.out.decayed[:, _SHORT], view.back.decayed[:, _SHORT])

    def lesser(view: PairView) -> Floats:
        return np.minimum(view.out.volume, view.back.volume)

    life = layout.half_lives_days[_SHORT]
    told = "exchanges of who gave less, halved every short half-life"
    told_all = "all exchanges of who gave less"
    return [
        Feature("lesser_short", "weight", told, lesser_short, 1, "mutuality", life),
        Feature("volume_lesser", "weight", told_all, lesser, 1, "mutuality", WHOLE_LOG),
    ]


def _regularity(layout: Layout) -> list[PairFeature]:
    life = layout.half_lives_days[_SHORT]

    def days(view: PairView) -> Floats:
        return counted(view.days)

    def days_short(view: PairView) -> Floats:
        return decayed(view.days, life)

    told = "with an exchange, of the last 192"
    told_short = "with an exchange, halved every short half-life"
    return [
        Feature("days", "days", told, days, 1, "regularity", WHOLE_LOG),
        Feature("days_short", "days", told_short, days_short, 1, "regularity", life),
    ]


def _time() -> list[PairFeature]:
    told = "from the first event to the last exchange"
    return [
        Feature("active_span", "days", told, PairView.active_span, 1, "tenure", outgrows=True),
        Feature(
            *("age", "days", "since either's last exchange", PairView.age, -1, "recency"),
            outgrows=True,
        ),
    ]
