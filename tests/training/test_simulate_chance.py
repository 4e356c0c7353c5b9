"""The town's draws: urns, arrivals, rhythms and anniversaries follow what they promise."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import to_datetime
from engine.domain.people import age_in_years
from training.simulate.chance import Urns, rank_within, stream
from training.simulate.people import ages
from training.simulate.tastes import Deed, ItemEvents, while_stocks_last
from training.simulate.timeline import (
    DAY,
    HOUR,
    NEVER,
    Span,
    arrivals,
    expected_arrivals,
    in_rhythm,
    local_day_of,
    weekday_of,
)
from training.simulate.writing import counted, numbered, real, times

EPOCH = date(1970, 1, 1)
DAYS = st.dates(date(1930, 1, 1), date(2090, 12, 31))


def test_stream_of_another_stage_or_seed_differs_and_of_the_same_repeats() -> None:
    draws = [stream(*key).random(4).tolist() for key in ((1, "a"), (1, "b"), (2, "a"), (1, "a"))]
    assert draws[0] == draws[3]
    assert draws[0] != draws[1]
    assert draws[0] != draws[2]


def test_urns_draw_each_row_by_its_own_weights() -> None:
    weights = np.array([[1.0, 3.0, 0.0], [0.0, 0.0, 2.0], [2.0, 1.0, 1.0]])
    urns = Urns.of(weights.copy())
    rows = np.repeat(np.arange(3), 20_000)
    drawn = urns.draw(stream(5, "urns"), rows)
    counts = np.array([np.bincount(drawn[rows == row], minlength=3) for row in range(3)])
    wanted = weights / weights.sum(axis=1, keepdims=True)
    assert np.abs(counts / 20_000 - wanted).max() < 0.015
    assert counts[weights == 0].sum() == 0


@given(st.lists(st.integers(0, 5)))
def test_rank_within_numbers_each_group_from_zero(groups: list[int]) -> None:
    ordered = sorted(groups)
    ranks = rank_within(np.array(ordered, dtype=np.int64)).tolist()
    assert ranks == [i - ordered.index(group) for i, group in enumerate(ordered)]


@pytest.mark.parametrize("slope", [-2.0, 0.0, 1e-12, 3.0])
def test_arrivals_keep_to_their_window_and_expected_number(slope: float) -> None:
    windows = 4_000
    start = np.full(windows, np.log(0.4))
    opens = np.full(windows, 1_000_000, dtype=np.int64)
    closes = opens + 10 * DAY
    index, at = arrivals(stream(1, "arrivals"), start, start + slope, opens, closes)
    expected = expected_arrivals(start, start + slope, opens, closes).sum()
    exact = windows * 10 * 0.4 * (np.expm1(slope) / slope if abs(slope) > 1e-9 else 1.0)
    assert expected == pytest.approx(exact)
    assert abs(len(at) - expected) < 4 * np.sqrt(expected)
    assert ((at >= opens[index]) & (at < closes[index])).all()
    late = (at - opens[index] > 5 * DAY).mean()
    share = 0.5 if abs(slope) < 1e-9 else (np.exp(slope) - np.exp(slope / 2)) / np.expm1(slope)
    assert late == pytest.approx(share, abs=0.02)


def test_arrivals_of_a_window_that_ends_first_are_none() -> None:
    index, at = arrivals(
        stream(1, "none"), np.zeros(3), np.zeros(3), np.full(3, 9 * DAY), np.full(3, 8 * DAY)
    )
    assert len(index) == len(at) == 0


def test_in_rhythm_stays_on_the_local_day_within_the_hours_that_weigh() -> None:
    hours = tuple(1.0 if hour in (7, 22) else 0.0 for hour in range(24))
    day = np.full(5_000, 20_500)
    offset = np.full(5_000, 8 * HOUR)
    at = in_rhythm(stream(2, "rhythm"), day, offset, hours)
    assert (local_day_of(at, offset) == 20_500).all()
    assert set(((at + offset) % DAY // HOUR).tolist()) == {7, 22}


@given(born=DAYS, today=DAYS)
def test_ages_are_those_of_the_domain(born: date, today: date) -> None:
    found = ages(np.array([(born - EPOCH).days]), (today - EPOCH).days)
    assert found.tolist() == [age_in_years(born, today)]


@given(DAYS)
def test_weekday_is_that_of_the_calendar(day: date) -> None:
    assert weekday_of(np.array([(day - EPOCH).days])).tolist() == [day.weekday()]


def test_span_runs_from_midnight_to_midnight_in_the_default_zone() -> None:
    span = Span(date(2026, 2, 10), 30)
    assert to_datetime(span.begins * 1_000_000).isoformat() == "2026-02-09T16:00:00+00:00"
    assert span.ends - span.begins == 30 * DAY
    found = [(f.name, (EPOCH + timedelta(days=f.day)).isoformat()) for f in span.festivals()]
    assert found == [
        ("valentine", "2026-02-14"),
        ("spring_festival", "2026-02-17"),
        ("lantern", "2026-03-03"),
        ("womens_day", "2026-03-08"),
    ]


@given(st.lists(st.integers(-2_000_000_000, 4_000_000_000), min_size=1))
def test_times_are_written_as_the_clock_writes_them(seconds: list[int]) -> None:
    written = times(np.array([*seconds, NEVER]))(slice(0, len(seconds) + 1)).to_pylist()
    wanted = [to_datetime(s * 1_000_000).strftime("%Y-%m-%dT%H:%M:%SZ") for s in seconds]
    assert written == [*wanted, None]


def test_ids_and_numbers_are_written_without_noise() -> None:
    assert counted("g", 12, 4)(slice(9, 12)).to_pylist() == ["g0010", "g0011", "g0012"]
    assert numbered("p", np.array([7, -1]), 3)(slice(0, 2)).to_pylist() == ["p007", None]
    noisy = np.array([0.1 + 0.2, -1e-9, 12.3456789])
    assert [str(x) for x in real(noisy)(slice(0, 3)).to_pylist()] == ["0.3", "0.0", "12.345679"]


def test_while_stocks_last_lets_people_buy_half_and_turns_the_rest_to_wishes() -> None:
    bought, liked, wished = (int(deed) for deed in Deed)
    item = np.array([0, 1, 0, 0, 1, 0, 0])
    kind = np.array([bought, bought, liked, bought, bought, bought, bought])
    events = ItemEvents(np.arange(7), item, kind, np.arange(7) * HOUR)
    kept = while_stocks_last(events, np.array([4, NEVER]))
    assert kept.kind.tolist() == [bought, bought, liked, bought, bought, wished, wished]
    assert kept.item.tolist() == item.tolist()
