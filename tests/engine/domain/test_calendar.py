"""Days, ages and festivals as people live them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import local_date, local_day, next_midnight, parse_time, zone_of
from engine.domain.errors import InvalidInput
from engine.domain.occasions import festival_near, festivals
from engine.domain.people import age_in_years, born_by_for

DATES = st.dates(date(1930, 1, 1), date(2090, 12, 31))
ZONES = st.sampled_from(
    ["Asia/Shanghai", "America/New_York", "Pacific/Kiritimati", "Europe/London"]
)


def test_midnight_in_shanghai_is_16_00_utc() -> None:
    before, after = parse_time("2026-02-16T15:59:59Z"), parse_time("2026-02-16T16:00:00Z")
    assert (local_date(before), local_date(after)) == (date(2026, 2, 16), date(2026, 2, 17))


@given(st.integers(0, 2**51), ZONES)
def test_next_midnight_is_the_first_instant_of_the_next_day(at, zone) -> None:
    midnight = next_midnight(at, zone)
    assert at < midnight
    assert local_day(midnight - 1, zone) == local_day(at, zone)
    assert local_day(midnight, zone) == local_day(at, zone) + 1


@given(DATES, st.integers(1, 100))
def test_born_by_is_the_last_birthday_of_that_age(today, age) -> None:
    born = born_by_for(age, today)
    assert age_in_years(born, today) >= age
    assert age_in_years(born + timedelta(days=1), today) < age or (today.month, today.day) == (
        2,
        28,
    )


@given(DATES, DATES)
def test_age_is_never_below_0(born, today) -> None:
    assert age_in_years(born, today) >= 0
    assert born < today or age_in_years(born, today) == 0


def test_person_born_on_29_february_grows_older_on_1_march() -> None:
    born = date(2008, 2, 29)
    assert age_in_years(born, date(2026, 2, 28)) == 17
    assert age_in_years(born, date(2026, 3, 1)) == 18


@pytest.mark.parametrize(
    ("year", "spring", "qixi", "moon"),
    [
        (2024, date(2024, 2, 10), date(2024, 8, 10), date(2024, 9, 17)),
        (2025, date(2025, 1, 29), date(2025, 8, 29), date(2025, 10, 6)),
        (2026, date(2026, 2, 17), date(2026, 8, 19), date(2026, 9, 25)),
    ],
)
def test_lunar_festivals_fall_on_their_published_days(year, spring, qixi, moon) -> None:
    on = {occasion.name: occasion.on for occasion in festivals(year)}
    assert (on["spring_festival"], on["qixi"], on["mid_autumn"]) == (spring, qixi, moon)


def test_festival_near_looks_ahead_over_the_turn_of_the_year() -> None:
    found = festival_near(date(2025, 12, 30), 3)
    assert found is not None
    assert (found.name, found.on) == ("new_year", date(2026, 1, 1))
    assert festival_near(date(2026, 7, 1), 3) is None


def test_unknown_zone_is_refused_with_a_hint() -> None:
    with pytest.raises(InvalidInput, match="tz database"):
        zone_of("Mars/Base")
