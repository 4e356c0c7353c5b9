"""Local days, wherever in the world."""

from __future__ import annotations

from zoneinfo import available_timezones

from engine.domain.clock import DAY, DAYS_BEGIN_EVERY, next_midnight, parse_time


def test_days_of_every_zone_begin_at_whole_quarters_of_an_hour() -> None:
    begins = parse_time("2026-01-01T00:00:00Z")
    days = [begins + n * DAY + 5 for n in range(0, 6 * 366, 9)]
    for zone in available_timezones() - {"localtime", "posixrules", "Factory"}:
        assert not [day for day in days if next_midnight(day, zone) % DAYS_BEGIN_EVERY], zone
