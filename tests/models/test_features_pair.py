"""The pair features say what their names say, in either direction, and are documented as such."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.ties.ablation import IDLE, RESULTS, Ablation
from engine.domain.clock import DAY
from engine.domain.errors import InvalidInput
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Kind, update
from engine.domain.structure import MAX_AGE, WIDTH, Structure, unknown
from models.features.pair import pair_features, pair_matrix
from models.features.pair_view import NEVER_DAYS, PairView
from models.features.registry import WHOLE_LOG, Feature, FeatureSet

START = 1_700_000_000_000_000
PAGE = Path(__file__).parents[2] / "docs" / "features.md"
EVENTS = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.floats(0.1, 100.0), st.integers(0, 300)), max_size=8
)


def _state(events: list[tuple[Kind, float, int]]) -> Floats:
    state = DEFAULT_LAYOUT.empty()
    for kind, weight, day in sorted(events, key=lambda event: event[2]):
        update(DEFAULT_LAYOUT, state, kind, weight, START + day * DAY)
    return state[None]


def _around(day: float = 0) -> Floats:
    """Return a structure as of a day in which the numbers all differ."""
    found = np.zeros((1, WIDTH))
    found[0, Structure.COMMON], found[0, Structure.ADAMIC_ADAR] = 3.0, 1.7
    found[0, Structure.OTHERS_LEAST], found[0, Structure.OTHERS_MOST] = 4.0, 9.0
    found[0, Structure.RECENT_LEAST], found[0, Structure.RECENT_MOST] = 1.0, 2.0
    found[0, Structure.VOLUME_LEAST], found[0, Structure.VOLUME_MOST] = 7.0, 21.0
    found[0, Structure.SINCE] = START - 30 * DAY
    found[0, Structure.AS_OF] = START + day * DAY
    return found


def _named(out: Floats, back: Floats, around: Floats, day: float) -> dict[str, float]:
    row = pair_matrix(DEFAULT_LAYOUT, out, back, around, START + int(day * DAY))[0]
    return dict(zip(pair_features().names, row.tolist(), strict=True))


def test_pair_features_of_a_known_history_have_the_values_that_follow_by_hand() -> None:
    out = _state([(Kind.GIFT, 1.0, 0), (Kind.MESSAGE, 4.0, 7)])
    back = _state([(Kind.ACCEPTED, 1.0, 1), (Kind.MESSAGE, 2.0, 0)])
    found = _named(out, back, _around(), 14)
    by_hand = {
        "volume": 7.0,
        "lesser_short": 2.0 * 0.25,
        "volume_lesser": 2.0,
        "days": 2.0,
        "days_short": 0.5 + 0.25,
        "active_span": 7.0,
        "age": 7.0,
        "common": 3.0,
        "others_least": 4.0,
        "others_most": 9.0,
        "friends": 1.0,
        "tie_age": 44.0,
        "others_recent_least": 1.0,
        "others_recent_most": 2.0,
        "others_volume_least": 7.0,
        "others_volume_most": 21.0,
        "attention_most": 0.5,
    }
    assert found == pytest.approx(by_hand, rel=1e-12)


def test_pair_features_of_strangers_are_finite_and_empty() -> None:
    nobody = DEFAULT_LAYOUT.empty(1)
    found = _named(nobody, nobody, unknown(1), 3)
    ages = {name for name in found if name.endswith("age")}
    assert {found[name] for name in ages} == {NEVER_DAYS}
    assert {found[name] for name in set(found) - ages} == {0.0}


def test_pair_features_of_a_structure_that_is_too_old_are_those_of_an_unknown_one() -> None:
    out, back, days = _state([(Kind.CALL, 2.0, 1)]), DEFAULT_LAYOUT.empty(1), MAX_AGE // DAY
    old, fresh = _named(out, back, _around(), days + 0.01), _named(out, back, _around(), days)
    assert old == _named(out, back, unknown(1), days + 0.01)
    assert fresh["common"] == 3.0
    # Not the whole of either's attention: what others get is not known to be nothing.
    assert (fresh["attention_most"], old["attention_most"]) == (2.0 / 9.0, 0.0)


@given(out=EVENTS, back=EVENTS, day=st.integers(300, 2_000))
@settings(max_examples=40)
def test_pair_features_are_symmetric_finite_and_not_negative(
    out: list[tuple[Kind, float, int]], back: list[tuple[Kind, float, int]], day: int
) -> None:
    one, other, at = _state(out), _state(back), START + day * DAY
    here, there = (
        pair_matrix(DEFAULT_LAYOUT, *states, _around(day - 3), at)
        for states in ((one, other), (other, one))
    )
    np.testing.assert_array_equal(here, there)
    assert np.isfinite(here).all()
    assert (here >= 0).all()


def test_pair_view_asymmetry_and_observations_are_those_of_the_formulas() -> None:
    out = _state([(Kind.MESSAGE, 3.0, 0), (Kind.MESSAGE, 1.0, 180)])
    back = _state([(Kind.CALL, 2.0, 180), (Kind.ACCEPTED, 1.0, 180)])
    at = START + 360 * DAY
    view = PairView.of(DEFAULT_LAYOUT, out, back, unknown(1), at)
    gave, got = 3.0 * 0.25 + 1.0 * 0.5, 2.0 * 0.5
    assert view.asymmetry()[0] == pytest.approx((gave - got) / (gave + got))
    # Three exchanges of mean weight 2, of whose weight so much is left.
    assert view.observations()[0] == pytest.approx((gave + got) / 2.0)
    turned = PairView.of(DEFAULT_LAYOUT, back, out, unknown(1), at)
    assert turned.asymmetry()[0] == -view.asymmetry()[0]
    nobody = DEFAULT_LAYOUT.empty(1)
    empty = PairView.of(DEFAULT_LAYOUT, nobody, nobody, unknown(1), at)
    assert (empty.asymmetry()[0], empty.observations()[0]) == (0.0, 0.0)


def _plain(name: str, **more: object) -> Feature[float]:
    return Feature(name, "weight", name, lambda view: np.array([view]), **more)  # type: ignore[arg-type]


def test_feature_set_weeks_are_what_a_log_of_that_span_can_have_gathered() -> None:
    features = FeatureSet(
        [
            _plain("week", memory_days=7.0),
            _plain("ever", memory_days=WHOLE_LOG),
            _plain("share"),
            _plain("age", outgrows=True),
        ]
    )
    gathered = 7.0 / math.log(2.0) * (1.0 - 0.25)
    assert features.weeks(14.0).tolist() == pytest.approx([gathered / 7.0, 2.0, 1.0, math.inf])
    both = features.weeks(np.array([7.0, 14.0]))
    assert both.shape == (2, 4)
    np.testing.assert_array_equal(both[1], features.weeks(14.0))
    np.testing.assert_array_equal(features.weeks(14.0, [1, 3]), [2.0, math.inf])
    # One a day, for as long as the log: the rate is one a day whatever the span.
    for span in (10, 1_000):
        left = sum(0.5 ** (age / 7.0) for age in np.arange(span * 24) / 24) / 24
        assert left / features.weeks(float(span))[0] == pytest.approx(7.0, rel=0.003)


def test_feature_set_without_families_keeps_the_others_in_order() -> None:
    features = pair_features()
    kept = features.without(["volume", "attention"])
    assert set(features.names) - set(kept.names) == {"volume", "attention_most"}
    assert list(kept.names) == [name for name in features.names if name in kept.names]
    signs = dict(zip(features.names, features.monotone, strict=True))
    assert kept.monotone == tuple(signs[name] for name in kept.names)
    assert kept.column("age") == kept.names.index("age")


def test_feature_set_with_a_name_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="same"):
        FeatureSet([_plain("same"), _plain("same")])


def test_pair_features_are_documented_as_they_are() -> None:
    assert pair_features().as_markdown() in PAGE.read_text(encoding="utf-8")
    assert all(feature.meaning and feature.unit for feature in pair_features().features)


def test_pair_features_are_those_that_the_documented_ablation_did_not_find_idle() -> None:
    found = Ablation.model_validate_json(RESULTS.read_text(encoding="utf-8"))
    assert set(pair_features().names) == set(found.features) - set(found.idle)
    assert max(max(figures.values()) for figures in found.without_idle.values()) <= IDLE
    assert found.as_markdown() in PAGE.read_text(encoding="utf-8")
