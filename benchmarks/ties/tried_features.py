"""The features of a pair that were tried and left out: nothing worsened without them."""

from __future__ import annotations

import numpy as np

from engine.domain.active_days import decayed
from engine.domain.pair_state import Floats, Kind, Layout
from engine.domain.structure import Structure
from models.features.pair import pair_features
from models.features.pair_view import PairView, share
from models.features.registry import Feature, FeatureSet

_SPANS = ("short", "medium", "long")


def all_features(layout: Layout) -> FeatureSet[PairView]:
    """Return the registry's features and the tried ones, under a layout of three half-lives."""
    return FeatureSet(
        [
            *pair_features(layout).features,
            *(_all(layout, index) for index in (0, 1, 2)),
            *(_lesser(layout, index) for index in (1, 2)),
            *(_kind(layout, kind) for kind in (Kind.GIFT, Kind.ACCEPTED, Kind.CALL)),
            *_gifts(),
            *_own(layout),
            Feature(
                *("adamic_adar", "weight", "common, each by 1/ln of its own", _adamic_adar, 1),
                family="structure",
                around=True,
            ),
        ]
    )


def _all(layout: Layout, index: int) -> Feature[PairView]:
    told = f"exchanges of both, halved every {_SPANS[index]} half-life"
    name, life = f"all_{_SPANS[index]}", layout.half_lives_days[index]
    return Feature(name, "weight", told, lambda view: view.decayed(index), 1, "volume", life)


def _lesser(layout: Layout, index: int) -> Feature[PairView]:
    def compute(view: PairView) -> Floats:
        return np.minimum(view.out.decayed[:, index], view.back.decayed[:, index])

    told = f"exchanges of who gave less, halved every {_SPANS[index]} half-life"
    name, life = f"lesser_{_SPANS[index]}", layout.half_lives_days[index]
    return Feature(name, "weight", told, compute, 1, "mutuality", life)


def _kind(layout: Layout, kind: Kind) -> Feature[PairView]:
    def compute(view: PairView) -> Floats:
        return view.out.sums[:, kind, -1] + view.back.sums[:, kind, -1]

    name, life = f"{kind.name.lower()}_long", layout.half_lives_days[-1]
    told = f"{kind.name.lower()} events of both, halved every long half-life"
    return Feature(name, "weight", told, compute, 1, "kinds", life)


def _gifts() -> list[Feature[PairView]]:
    def gift_age(view: PairView) -> Floats:
        column = view.layout.last_at.start + Kind.GIFT
        return view.days_since(np.maximum(view.out.state[:, column], view.back.state[:, column]))

    def festival_share(view: PairView) -> Floats:
        column = view.layout.festival_gifts
        gifts = view.total(view.layout.counts)[:, Kind.GIFT]
        return share(view.out.state[:, column] + view.back.state[:, column], gifts)

    told, told_share = "since either's last gift", "gifts around a festival among all gifts"
    return [
        Feature("gift_age", "days", told, gift_age, -1, "kinds", outgrows=True),
        Feature("festival_share", "share", told_share, festival_share, -1, "ritual"),
    ]


def _own(layout: Layout) -> list[Feature[PairView]]:
    life = layout.half_lives_days[1]

    def balance(view: PairView) -> Floats:
        one, other = view.out.volume, view.back.volume
        return share(np.minimum(one, other), np.maximum(one, other))

    def age_mutual(view: PairView) -> Floats:
        return np.maximum(view.days_since(view.out.last), view.days_since(view.back.last))

    def days_medium(view: PairView) -> Floats:
        return decayed(view.days, life)

    def attention_least(view: PairView) -> Floats:
        known = view.around(Structure.AS_OF) > 0
        whole = view.volume() + view.around(Structure.VOLUME_MOST)
        return np.where(known, share(view.volume(), whole), 0.0)

    told_balance = "the lesser of both sides against the greater"
    told_least = "the pair's of the other's all"
    told_days = "with an exchange, halved every medium half-life"
    told_age = "since the last exchange of who was silent longer"
    return [
        Feature("balance", "share", told_balance, balance, 1, "mutuality"),
        Feature("days_medium", "days", told_days, days_medium, 1, "regularity", life),
        Feature("attention_least", "share", told_least, attention_least, 1, "attention"),
        Feature("age_mutual", "days", told_age, age_mutual, -1, "recency", outgrows=True),
    ]


def _adamic_adar(view: PairView) -> Floats:
    return view.around(Structure.ADAMIC_ADAR)
