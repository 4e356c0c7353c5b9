"""Time as whole microseconds since 1970 in UTC, and the calendar day a person lives in."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.domain.errors import InvalidInput

SECOND = 1_000_000
"""Microseconds in a second."""
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
DAYS_BEGIN_EVERY = HOUR // 4
"""No local day begins but at a multiple of this, whatever its zone."""

DEFAULT_ZONE = "Asia/Shanghai"
"""Whose midnight ends the day of a person whose zone is unknown."""

Clock = Callable[[], int]
"""Anything that tells the present time in microseconds; tests pass their own."""

_MACHINES_OWN = frozenset({"localtime", "posixrules", "Factory"})
"""Names that mean another zone on another machine, or none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """Return the present time in microseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000


def later(at: int, clock: Clock | None) -> int:
    """Return what `clock` says by now, no less than `at` (microseconds); `at` itself without one.

    For whoever had to wait: what was true when it began may be so no more.
    """
    return at if clock is None else max(at, clock())


@lru_cache(maxsize=1_024)
def zone_of(name: str) -> ZoneInfo:
    """Return the time zone called `name`.

    Raises
    ------
    InvalidInput
        If there is no such zone in the tz database.
    """
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if name not in _MACHINES_OWN:
            return ZoneInfo(name)
    raise InvalidInput(
        f"unknown time zone {name!r}", "use a tz database name such as Asia/Shanghai"
    )


# One decision asks for the same few dates again and again.
@lru_cache(maxsize=256)
def local_date(at: int, zone: str = DEFAULT_ZONE) -> date:
    """Return the calendar date in `zone` at the instant `at` (microseconds)."""
    return to_datetime(at).astimezone(zone_of(zone)).date()


def local_day(at: int, zone: str = DEFAULT_ZONE) -> int:
    """Return the number of the calendar day in `zone` at `at`: days since 0001-01-01, from 1."""
    return local_date(at, zone).toordinal()


def next_midnight(at: int, zone: str = DEFAULT_ZONE) -> int:
    """Return the instant (microseconds) at which the calendar day of `at` ends in `zone`."""
    tomorrow = local_date(at, zone) + timedelta(days=1)
    return to_micros(datetime.combine(tomorrow, time_of_day.min, zone_of(zone)))


def to_datetime(at: int) -> datetime:
    """Return `at` (microseconds) as an aware UTC datetime."""
    return _EPOCH + timedelta(microseconds=at)


def to_micros(moment: datetime) -> int:
    """Return `moment` as microseconds since 1970; a naive datetime is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_time(text: str) -> int:
    """Return the instant that an RFC 3339 text or a date names, in microseconds.

    Raises
    ------
    InvalidInput
        If `text` is neither.
    """
    try:
        return to_micros(datetime.fromisoformat(text))
    except ValueError as error:
        raise InvalidInput(
            f"cannot read the time {text!r}", "write it as 2026-02-17T08:00:00+08:00"
        ) from error


def format_time(at: int) -> str:
    """Return `at` (microseconds) as RFC 3339 text in UTC."""
    return to_datetime(at).isoformat().replace("+00:00", "Z")
