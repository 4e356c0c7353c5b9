"""The features of a pair, from its two directed states and the structure around it; symmetric.

Each is defined once and says which way it may move a strength. None lets a strength fall because
a pair exchanged more, later or more evenly: what could (tenure counted up to now, the mean weight
of an exchange, the pace against the usual pace, the share of who gave less) is not here. What an
ablation showed to be idle is not either: `docs/features.md` tells what was tried.
"""

from __future__ import annotations

from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Ints, Layout
from models.features.pair_behaviour import behaviour
from models.features.pair_structure import attention, others, structure
from models.features.pair_view import PairView
from models.features.registry import FeatureSet


def pair_features(layout: Layout = DEFAULT_LAYOUT) -> FeatureSet[PairView]:
    """Return the features of a pair under `layout`; its first half-life is called the short one."""
    return FeatureSet([*behaviour(layout), *structure(), *others(layout), attention()])


def pair_matrix(
    layout: Layout, out: Floats, back: Floats, structure: Floats, at: int | Ints
) -> Floats:
    """Return the features (n × features) of n pairs of stored states as of `at`."""
    view = PairView.of(layout, out, back, structure, at)
    return pair_features(layout).compute(view, len(out))
