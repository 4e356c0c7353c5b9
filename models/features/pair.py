"""The features of a pair, from its two directed states; symmetric in the two directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.domain.clock import DAY
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Ints, Kind, Layout, decayed_to
from models.features.registry import Feature, FeatureSet

NEVER_DAYS = 3_650.0
"""The age in days given to what never happened, and the cap of all ages."""

EXCHANGES = (Kind.GIFT, Kind.MESSAGE, Kind.CALL, Kind.OTHER)
"""What counts as an exchange; accepting a gift belongs to the gift."""


@dataclass(frozen=True, slots=True)
class PairView:
    """Two directed states of n pairs, aged to the instant they are looked at."""

    layout: Layout
    out: Floats
    back: Floats
    at: Ints

    @classmethod
    def of(cls, layout: Layout, out: Floats, back: Floats, at: int | Ints) -> PairView:
        """Look at stored states (n × width each) as of `at` (microseconds, one or n)."""
        when = np.broadcast_to(np.asarray(at, dtype=np.int64), (len(out),))
        return cls(layout, decayed_to(layout, out, when), decayed_to(layout, back, when), when)

    def decayed(self, direction: Floats, half_life: int) -> Floats:
        """Return the decayed exchanges (n) of a direction at one half-life."""
        return np.asarray(
            sum(direction[:, self.layout.sum_column(kind, half_life)] for kind in EXCHANGES)
        )

    def total(self, part: slice) -> Floats:
        """Return a part of both states added up (n × kinds)."""
        return np.asarray(self.out[:, part] + self.back[:, part])

    def volume(self, direction: Floats) -> Floats:
        """Return the undecayed exchanges (n) of a direction."""
        return np.asarray(direction[:, self.layout.volumes][:, EXCHANGES].sum(axis=1))

    def last(self, direction: Floats) -> Floats:
        """Return the time of a direction's last exchange (n, microseconds, 0 if never)."""
        return np.asarray(direction[:, self.layout.last_at][:, EXCHANGES].max(axis=1))

    def first(self) -> Floats:
        """Return the time of the pair's first event (n, microseconds, 0 if never)."""
        one, other = self.out[:, self.layout.first_at], self.back[:, self.layout.first_at]
        return np.where((one > 0) & (other > 0), np.minimum(one, other), np.maximum(one, other))

    def days_since(self, moment: Floats) -> Floats:
        """Return the days from `moment` (n, microseconds, 0 for never) up to `at`."""
        days = np.clip((self.at - moment) / DAY, 0.0, NEVER_DAYS)
        return np.where(moment > 0, days, NEVER_DAYS)


PairFeature = Feature[PairView]


def pair_features(layout: Layout = DEFAULT_LAYOUT) -> FeatureSet[PairView]:
    """Return the features of a pair under `layout`; names carry its half-lives in days."""
    lives = [f"{half_life:g}d" for half_life in layout.half_lives_days]
    found: list[PairFeature] = []
    for kind in Kind:
        found += [_decayed_kind(kind, i, life) for i, life in enumerate(lives)]
    for index, life in enumerate(lives):
        found += _both_ways(index, life)
    found += [_recency(kind) for kind in Kind]
    found += _whole_history()
    found.append(_momentum(layout))
    return FeatureSet(found)


def pair_matrix(layout: Layout, out: Floats, back: Floats, at: int | Ints) -> Floats:
    """Return the features (n × features) of n pairs of stored states as of `at`."""
    return pair_features(layout).compute(PairView.of(layout, out, back, at), len(out))


def _decayed_kind(kind: Kind, index: int, life: str) -> PairFeature:
    def compute(view: PairView) -> Floats:
        column = view.layout.sum_column(kind, index)
        return np.asarray(view.out[:, column] + view.back[:, column])

    meaning = f"{kind.name.lower()} events of both, each halved every {life}"
    return Feature(f"{kind.name.lower()}_{life}", "weight", meaning, compute, 1)


def _both_ways(index: int, life: str) -> list[PairFeature]:
    def directions(view: PairView) -> tuple[Floats, Floats]:
        return view.decayed(view.out, index), view.decayed(view.back, index)

    def all_(view: PairView) -> Floats:
        one, other = directions(view)
        return one + other

    def lesser(view: PairView) -> Floats:
        return np.minimum(*directions(view))

    def balance(view: PairView) -> Floats:
        return _share(lesser(view), np.maximum(*directions(view)))

    return [
        Feature(f"all_{life}", "weight", f"exchanges of both, halved every {life}", all_, 1),
        Feature(
            f"lesser_{life}",
            "weight",
            f"exchanges of who gave less, halved every {life}",
            lesser,
            1,
        ),
        Feature(
            f"balance_{life}",
            "share",
            f"the lesser of the two against the greater, {life}",
            balance,
        ),
    ]


def _recency(kind: Kind) -> PairFeature:
    def compute(view: PairView) -> Floats:
        one, other = view.out[:, view.layout.last_at], view.back[:, view.layout.last_at]
        return view.days_since(np.maximum(one[:, kind], other[:, kind]))

    name = kind.name.lower()
    return Feature(f"{name}_age", "days", f"since either's last {name} event", compute, -1)


def _whole_history() -> list[PairFeature]:
    def volume(view: PairView) -> Floats:
        return view.volume(view.out) + view.volume(view.back)

    def volume_lesser(view: PairView) -> Floats:
        return np.minimum(view.volume(view.out), view.volume(view.back))

    def events(view: PairView) -> Floats:
        return np.asarray(view.total(view.layout.counts)[:, EXCHANGES].sum(axis=1))

    def age(view: PairView) -> Floats:
        return view.days_since(np.maximum(view.last(view.out), view.last(view.back)))

    def age_mutual(view: PairView) -> Floats:
        return np.maximum(
            view.days_since(view.last(view.out)), view.days_since(view.last(view.back))
        )

    def tenure(view: PairView) -> Floats:
        return np.where(view.first() > 0, view.days_since(view.first()), 0.0)

    def active_span(view: PairView) -> Floats:
        return np.maximum(tenure(view) - age(view), 0.0)

    def rate(view: PairView) -> Floats:
        # A pair one hour old has not shown a daily rate yet: the first week counts as a week.
        return np.asarray(volume(view) / np.maximum(tenure(view), 7.0))

    def mean_weight(view: PairView) -> Floats:
        return _share(volume(view), events(view))

    def gift_share(view: PairView) -> Floats:
        return _share(view.total(view.layout.counts)[:, Kind.GIFT], events(view))

    described: list[tuple[str, str, str, Callable[[PairView], Floats], int]] = [
        ("volume", "weight", "all exchanges of both, undecayed", volume, 1),
        ("volume_lesser", "weight", "all exchanges of who gave less", volume_lesser, 1),
        ("events", "count", "how many exchanges of both", events, 1),
        ("age", "days", "since either's last exchange", age, -1),
        ("age_mutual", "days", "since the last exchange of who was silent longer", age_mutual, -1),
        ("tenure", "days", "since the first event of the pair", tenure, 0),
        ("active_span", "days", "from the first event to the last exchange", active_span, 0),
        ("rate", "weight a day", "all exchanges over the days known (7 at least)", rate, 1),
        ("mean_weight", "weight", "of one exchange", mean_weight, 0),
        ("gift_share", "share", "gifts among the exchanges", gift_share, 0),
    ]
    return [Feature(*parts) for parts in described]


def _momentum(layout: Layout) -> PairFeature:
    short, long_ = layout.half_lives_days[0], layout.half_lives_days[-1]
    last = len(layout.half_lives_days) - 1

    def compute(view: PairView) -> Floats:
        recent = (view.decayed(view.out, 0) + view.decayed(view.back, 0)) / short
        usual = (view.decayed(view.out, last) + view.decayed(view.back, last)) / long_
        return _share(recent, usual)

    meaning = f"the pace at {short:g}d against that at {long_:g}d"
    return Feature("momentum", "ratio", meaning, compute)


def _share(part: Floats, whole: Floats) -> Floats:
    """Return part/whole, 0 where there is no whole."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
