"""The town's calendar: whole seconds since 1970 (UTC), daily rhythms and random arrivals.

The town's events fall on whole seconds, so inside the simulation a time is a count of seconds;
everywhere else in the project it is microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from engine.domain.clock import DEFAULT_ZONE, zone_of
from engine.domain.occasions import festivals
from training.simulate.chance import Bools, Floats, Ints

HOUR = 3_600
DAY = 86_400
NEVER = int(np.iinfo(np.int64).max)
"""The time of what does not happen."""

_EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """Return the days from 1970-01-01 to `day`."""
    return (day - _EPOCH).days


def year_of(day: int) -> int:
    """Return the calendar year of a day number."""
    return (_EPOCH + timedelta(days=day)).year


def anniversary(born: Ints, year: int) -> Ints:
    """Return the day number of each birthday in `year`; 29 February falls on 1 March of a common
    year, as in `engine.domain.people.age_in_years`."""
    date_born = born.astype("datetime64[D]")
    month = date_born.astype("datetime64[M]")
    months = (month - month.astype("datetime64[Y]").astype("datetime64[M]")).astype(np.int64)
    days = (date_born - month.astype("datetime64[D]")).astype(np.int64)
    in_year = (np.datetime64(str(year), "M") + months).astype("datetime64[D]") + days
    number: Ints = in_year.astype(np.int64)
    return number


def offset_of(zone: str, day: date) -> int:
    """Return the seconds by which `zone` is ahead of UTC on `day`."""
    offset = datetime(day.year, day.month, day.day, 12, tzinfo=zone_of(zone)).utcoffset()
    return int((offset or timedelta()).total_seconds())


@dataclass(frozen=True, slots=True)
class Festival:
    """A festival near the town's days: its name and local day number."""

    name: str
    day: int


@dataclass(frozen=True, slots=True)
class Span:
    """The days a town is told of, from midnight to midnight in the default zone."""

    first_day: date
    days: int

    @property
    def begins(self) -> int:
        """The first second."""
        return day_number(self.first_day) * DAY - offset_of(DEFAULT_ZONE, self.first_day)

    @property
    def ends(self) -> int:
        """The second after the last."""
        return self.begins + self.days * DAY

    def holds(self, at: Ints) -> Bools:
        """Tell which of the times lie in the span."""
        return (at >= self.begins) & (at < self.ends)

    def local_days(self) -> range:
        """Return the numbers of the span's local days."""
        first = day_number(self.first_day)
        return range(first, first + self.days)

    def festivals(self) -> list[Festival]:
        """Return the festivals on the span's days, by day."""
        days = self.local_days()
        last = self.first_day + timedelta(days=self.days - 1)
        found = [
            Festival(occasion.name, day_number(occasion.on))
            for year in range(self.first_day.year, last.year + 1)
            for occasion in festivals(year)
        ]
        return [festival for festival in found if festival.day in days]


def local_day_of(at: Ints, offset: Ints) -> Ints:
    """Return the number of the local day at each time, given seconds ahead of UTC."""
    return (at + offset) // DAY


def weekday_of(day: Ints) -> Ints:
    """Return the day of the week of each day number, Monday 0."""
    return (day + _EPOCH.weekday()) % 7


def seconds_of_day(rng: np.random.Generator, hours: tuple[float, ...], size: int) -> Ints:
    """Return `size` seconds of the day that follow the 24 hourly weights."""
    steps = np.cumsum(np.asarray(hours)) / np.sum(hours)
    hour = np.minimum(np.searchsorted(steps, rng.random(size), side="right"), 23)
    return hour * HOUR + rng.integers(0, HOUR, size)


def in_rhythm(rng: np.random.Generator, day: Ints, offset: Ints, hours: tuple[float, ...]) -> Ints:
    """Return a time on each local day, drawn by the hourly weights.

    Parameters
    ----------
    day, offset
        Local day numbers and the seconds each place is ahead of UTC.
    hours
        Weight of each hour of the day.
    """
    return day * DAY - offset + seconds_of_day(rng, hours, len(day))


def expected_arrivals(log_from: Floats, log_to: Floats, opens: Ints, closes: Ints) -> Floats:
    """Return how many arrivals `arrivals` yields on average: ∫ exp(linear) over each window."""
    slope = log_to - log_from
    growth = np.where(np.abs(slope) < 1e-9, 1.0, np.expm1(slope) / np.where(slope == 0, 1, slope))
    days = np.maximum(closes - opens, 0) / DAY
    return np.asarray(np.exp(log_from) * growth * days, dtype=np.float64)


def arrivals(
    rng: np.random.Generator, log_from: Floats, log_to: Floats, opens: Ints, closes: Ints
) -> tuple[Ints, Ints]:
    """Draw Poisson arrivals whose log-rate moves linearly through each window.

    Parameters
    ----------
    log_from, log_to
        Logarithm of the rate a day at the two ends of each window.
    opens, closes
        The windows; one that does not open before it closes has no arrivals.

    Returns
    -------
    tuple
        For each arrival its window's index (ascending) and its time.
    """
    counts = rng.poisson(expected_arrivals(log_from, log_to, opens, closes))
    window = np.repeat(np.arange(len(counts)), counts)
    slope = (log_to - log_from)[window]
    u = rng.random(len(window))
    # The inverse of the distribution function (e^{slope·x} − 1) / (e^slope − 1) on 0…1.
    bent = np.log1p(u * np.expm1(slope)) / np.where(slope == 0, 1, slope)
    place = np.where(np.abs(slope) < 1e-9, u, bent)
    length = (closes - opens)[window]
    at = opens[window] + np.minimum((place * length).astype(np.int64), length - 1)
    return window, at
