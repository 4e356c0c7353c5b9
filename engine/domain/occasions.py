"""The calendar of occasions on which people give: festivals by the sun and by the moon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from lunardate import LunarDate
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Occasion:
    """A festival in one year."""

    name: str
    on: date


_SOLAR = {
    "new_year": (1, 1),
    "valentine": (2, 14),
    "womens_day": (3, 8),
    "five_twenty": (5, 20),
    "childrens_day": (6, 1),
    "teachers_day": (9, 10),
    "national_day": (10, 1),
    "double_eleven": (11, 11),
    "christmas": (12, 25),
}
_LUNAR = {
    "spring_festival": (1, 1),
    "lantern": (1, 15),
    "dragon_boat": (5, 5),
    "qixi": (7, 7),
    "mid_autumn": (8, 15),
    "double_ninth": (9, 9),
}

FESTIVALS = (*_SOLAR, *_LUNAR)
"""The names of all festivals."""

OCCASIONS = ("birthday", *FESTIVALS, "none")
"""What a gift may be for."""


@lru_cache(maxsize=256)
def festivals(year: int) -> tuple[Occasion, ...]:
    """Return the festivals that fall in the solar `year` (1901–2099), by date."""
    found = [Occasion(name, date(year, *day)) for name, day in _SOLAR.items()]
    # The lunar year begins in January or February, so all of these fall
    # in the solar year of the same number.
    found += [Occasion(name, LunarDate(year, *day).to_solar_date()) for name, day in _LUNAR.items()]
    return tuple(sorted(found, key=lambda occasion: (occasion.on, occasion.name)))


@lru_cache(maxsize=256)
def festival_near(day: date, days_before: int = 7) -> Occasion | None:
    """Return the first festival from `day` up to `days_before` days later, if there is one."""
    horizon = day + timedelta(days=days_before)
    upcoming = [o for y in {day.year, horizon.year} for o in festivals(y) if day <= o.on <= horizon]
    return min(upcoming, key=lambda occasion: occasion.on, default=None)


FESTIVE_BEFORE = 2
"""A gift so many days before a festival, or on it, is a gift for it."""
_FESTIVE_YEARS = range(1970, 2100)


@lru_cache(maxsize=1)
def festive_days() -> NDArray[np.int64]:
    """Return, sorted, the days (since 1970) on which a gift is one for a festival."""
    found = {
        (occasion.on - date(1970, 1, 1)).days - before
        for year in _FESTIVE_YEARS
        for occasion in festivals(year)
        for before in range(FESTIVE_BEFORE + 1)
    }
    return np.array(sorted(found), dtype=np.int64)


@lru_cache(maxsize=1_024)
def is_festive(day: int) -> bool:
    """Tell whether a gift on `day` (since 1970) is one for a festival."""
    days = festive_days()
    place = int(np.searchsorted(days, day))
    return place < len(days) and int(days[place]) == day
