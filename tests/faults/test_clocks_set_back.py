"""The clock jumps back an hour and a day under load: nothing is lost, moved early or paid twice."""

from __future__ import annotations

import time

import pytest
from courses import Courses, refusals
from proof import check_acknowledged, check_caps
from town import Town

HOUR = 3_600_000_000


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_clock_set_back_under_load_breaks_nothing(found_town, request, kind) -> None:
    url = None if kind == "sqlite" else request.getfixturevalue("shared_postgres_url")
    town: Town = found_town(url, bent=True)
    courses = Courses("c")

    def bend() -> None:
        for hours in (0, -1, 0, -24, -25, 0, 25, 1, 0):
            town.bend_clock(hours * HOUR)
            time.sleep(0.7)

    lives = town.storm().besiege(courses.run, bend)
    assert refusals(town) == set()
    assert not town.rows("SELECT gift FROM gifts WHERE outcome_at < occurred_at")
    # Everything that lay in the future by a clock that was ahead comes to its end all the same.
    town.bend_clock(60 * HOUR)
    until = time.monotonic() + 60
    while town.one("SELECT count(*) FROM gifts WHERE due_at IS NOT NULL AND state <> 'accepted'"):
        assert time.monotonic() < until, "gifts are due and nobody sweeps"
        time.sleep(0.1)
    # Only now: a gift that was over by a clock that was ahead was perhaps not swept by it.
    assert sum(courses.check(town).values()) == len(courses.ended) >= lives
    check_acknowledged(town, town.seen)
    check_caps(town)
    town.bend_clock(0)
    town.audit()
