"""The pair features say what their names say, in either direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.clock import DAY
from engine.domain.errors import InvalidInput
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Kind, Layout, update
from models.features.pair import NEVER_DAYS, pair_features, pair_matrix
from models.features.registry import Feature, FeatureSet

START = 1_700_000_000_000_000
EVENTS = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.floats(0.1, 100.0), st.integers(0, 300)), max_size=8
)


def _state(events: list[tuple[Kind, float, int]]) -> Floats:
    state = DEFAULT_LAYOUT.empty()
    for kind, weight, day in sorted(events, key=lambda event: event[2]):
        update(DEFAULT_LAYOUT, state, kind, weight, START + day * DAY)
    return state[None]


def _named(out: Floats, back: Floats, day: float) -> dict[str, float]:
    row = pair_matrix(DEFAULT_LAYOUT, out, back, START + int(day * DAY))[0]
    return dict(zip(pair_features().names, row.tolist(), strict=True))


def test_pair_features_of_a_known_history_have_the_values_that_follow_by_hand() -> None:
    out = _state([(Kind.GIFT, 1.0, 0), (Kind.MESSAGE, 4.0, 7)])
    back = _state([(Kind.ACCEPTED, 1.0, 1), (Kind.MESSAGE, 2.0, 0)])
    found = _named(out, back, 14)
    assert found["gift_7d"] == pytest.approx(0.25)
    assert found["message_7d"] == pytest.approx(4 * 0.5 + 2 * 0.25)
    assert found["all_7d"] == pytest.approx(0.25 + 2.0 + 0.5)
    assert found["lesser_7d"] == pytest.approx(0.5)
    assert found["balance_7d"] == pytest.approx(0.5 / 2.25)
    assert found["volume"] == 7.0
    assert found["volume_lesser"] == 2.0
    assert found["events"] == 3.0
    assert found["age"] == found["message_age"] == 7.0
    assert found["age_mutual"] == found["gift_age"] == found["tenure"] == 14.0
    assert found["accepted_age"] == 13.0
    assert found["call_age"] == NEVER_DAYS
    assert found["active_span"] == 7.0
    assert found["rate"] == 0.5
    assert found["mean_weight"] == pytest.approx(7 / 3)
    assert found["gift_share"] == pytest.approx(1 / 3)


def test_pair_features_of_strangers_are_finite_and_empty() -> None:
    found = _named(DEFAULT_LAYOUT.empty(1), DEFAULT_LAYOUT.empty(1), 3)
    ages = {name: value for name, value in found.items() if name.endswith("age")}
    ages["age_mutual"] = found["age_mutual"]
    assert set(ages.values()) == {NEVER_DAYS}
    assert {value for name, value in found.items() if name not in ages} == {0.0}


@given(out=EVENTS, back=EVENTS, day=st.integers(300, 2_000))
@settings(max_examples=60, deadline=None)
def test_pair_features_are_symmetric_finite_and_not_negative(
    out: list[tuple[Kind, float, int]], back: list[tuple[Kind, float, int]], day: int
) -> None:
    one, other = _state(out), _state(back)
    at = START + day * DAY
    here, there = (
        pair_matrix(DEFAULT_LAYOUT, one, other, at),
        pair_matrix(DEFAULT_LAYOUT, other, one, at),
    )
    np.testing.assert_array_equal(here, there)
    assert np.isfinite(here).all()
    assert (here >= 0).all()


def test_pair_features_names_carry_the_half_lives_and_are_described() -> None:
    short = pair_features(Layout((0.5, 2.0)))
    assert "gift_0.5d" in short.names
    assert "gift_30d" in pair_features().names
    table = pair_features().as_markdown()
    assert all(f"| `{name}` | float64 | " in table for name in pair_features().names)
    assert all(feature.meaning and feature.unit for feature in short.features)


def test_feature_set_with_a_name_twice_is_refused() -> None:
    one: Feature[int] = Feature("same", "count", "a number", lambda view: np.array([float(view)]))
    with pytest.raises(InvalidInput, match="same"):
        FeatureSet([one, one])


def test_pair_features_are_documented_as_they_are() -> None:
    page = Path(__file__).parents[2] / "docs" / "features.md"
    assert pair_features().as_markdown() in page.read_text(encoding="utf-8")
