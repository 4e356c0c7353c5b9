"""A pair's state carried forward and computed at once is one and the same."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.active_days import DAYS_KEPT, counted, day_number, decayed, together
from engine.domain.clock import DAY
from engine.domain.errors import InvalidInput
from engine.domain.pair_state import (
    DEFAULT_LAYOUT,
    Kind,
    closed_form,
    decayed_to,
    from_bytes,
    to_bytes,
    update,
)

LOGS = st.lists(
    st.tuples(st.sampled_from(list(Kind)), st.floats(0, 100), st.integers(0, 700 * DAY)),
    max_size=20,
)


def _at_once(log):
    return closed_form(
        DEFAULT_LAYOUT,
        np.zeros(len(log), dtype=np.int64),
        np.array([kind for kind, _, _ in log], dtype=np.int64),
        np.array([weight for _, weight, _ in log], dtype=np.float64),
        np.array([at for _, _, at in log], dtype=np.int64),
        1,
    )[0]


@given(LOGS)
def test_state_carried_forward_equals_the_closed_form(log) -> None:
    state = DEFAULT_LAYOUT.empty()
    for kind, weight, at in sorted(log, key=lambda event: event[2]):
        update(DEFAULT_LAYOUT, state, kind, weight, at)
    np.testing.assert_allclose(state, _at_once(log), rtol=1e-9, atol=1e-9)


@given(LOGS, st.integers(700 * DAY, 900 * DAY))
def test_active_days_of_an_aged_state_are_those_of_the_log(log, at) -> None:
    later = decayed_to(DEFAULT_LAYOUT, _at_once(log), at)
    days = {day_number(when) for kind, _, when in log if kind != Kind.ACCEPTED}
    ages = [day_number(at) - day for day in days]
    found = together(later[None, DEFAULT_LAYOUT.days], later[None, DEFAULT_LAYOUT.days])
    assert counted(found)[0] == sum(age < DAYS_KEPT for age in ages)
    expected = sum(2.0 ** (-age / 30.0) for age in ages if age < DAYS_KEPT)
    assert decayed(found, 30.0)[0] == pytest.approx(expected)


def test_gifts_around_a_festival_are_told_from_the_others() -> None:
    state = DEFAULT_LAYOUT.empty()
    for day in (date(2026, 2, 10), date(2026, 2, 15), date(2026, 2, 17), date(2026, 4, 20)):
        update(DEFAULT_LAYOUT, state, Kind.GIFT, 1.0, (day - date(1970, 1, 1)).days * DAY)
    # Spring Festival 2026 is on 17 February; nothing is near the first and the last of them.
    assert state[DEFAULT_LAYOUT.festival_gifts] == 2


@given(LOGS, st.integers(700 * DAY, 900 * DAY))
def test_decay_halves_every_sum_at_its_half_life(log, at) -> None:
    state = _at_once(log)
    later = decayed_to(DEFAULT_LAYOUT, state, at)
    for index, half_life in enumerate(DEFAULT_LAYOUT.half_lives_days):
        column = DEFAULT_LAYOUT.sum_column(Kind.GIFT, index)
        further = decayed_to(DEFAULT_LAYOUT, later, at + int(half_life * DAY))
        assert further[column] == pytest.approx(later[column] / 2)


def test_late_event_is_refused_and_leaves_the_state_alone() -> None:
    state = DEFAULT_LAYOUT.empty()
    update(DEFAULT_LAYOUT, state, Kind.MESSAGE, 1.0, 10)
    before = state.copy()
    with pytest.raises(InvalidInput, match="recompute"):
        update(DEFAULT_LAYOUT, state, Kind.MESSAGE, 1.0, 9)
    np.testing.assert_array_equal(state, before)


@given(LOGS)
def test_stored_state_comes_back_to_the_bit(log) -> None:
    state = _at_once(log)
    np.testing.assert_array_equal(from_bytes(DEFAULT_LAYOUT, to_bytes(state)), state)
