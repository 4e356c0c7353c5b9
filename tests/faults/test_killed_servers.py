"""Workers and whole servers are killed at random moments: what was acknowledged stays."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from courses import Courses, refusals
from proof import check_acknowledged, check_caps
from town import Town

CLEAR = {(503, "LEDGER_UNAVAILABLE"), (503, "POLICY_UNAVAILABLE")}


def _strike(town: Town, kills: int, seed: int) -> Callable[[], None]:
    chance = random.Random(seed)

    def strike() -> None:
        for n in range(kills):
            time.sleep(chance.uniform(0.05, 1.2))
            # Every other time a worker, where one has run long enough not to count as a loop.
            if n % 2 or not town.served.kill_worker(chance):
                town.served.kill()
                town.served.start()
        time.sleep(0.5)

    return strike


def _prove(town: Town, courses: Courses, lives: int) -> None:
    states = courses.check(town)
    assert sum(states.values()) == len(courses.ended) >= lives
    check_acknowledged(town, town.seen)
    check_caps(town)
    assert refusals(town) <= CLEAR
    assert any(told.broken for told in town.seen), "no kill struck anybody"
    town.audit()


def test_kills_under_load_lose_nothing_and_repeat_nothing(found_town) -> None:
    town = found_town()
    courses = Courses("k")
    lives = town.storm().besiege(courses.run, _strike(town, 2, seed=11))
    _prove(town, courses, lives)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_fifty_kills_under_load_lose_nothing_and_repeat_nothing(found_town, request, kind) -> None:
    url = None if kind == "sqlite" else request.getfixturevalue("shared_postgres_url")
    town = found_town(url)
    courses = Courses("k")
    lives = town.storm().besiege(courses.run, _strike(town, 50, seed=13))
    _prove(town, courses, lives)
