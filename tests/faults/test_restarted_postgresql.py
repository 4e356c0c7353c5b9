"""PostgreSQL crashes and comes back under load: what was acknowledged stays, nothing is half."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from courses import Courses, refusals
from proof import check_acknowledged, check_caps
from sqlalchemy.exc import DBAPIError
from town import Town


@pytest.mark.parametrize(
    "restarts", [pytest.param(1, id="short"), pytest.param(15, id="long", marks=pytest.mark.slow)]
)
def test_restarts_of_postgresql_under_load_lose_nothing(own_postgres, found_town, restarts) -> None:
    town: Town = found_town(own_postgres.url)
    courses = Courses(f"r{restarts}-")
    lives = town.storm().besiege(courses.run, _strike(own_postgres, restarts))
    town.database.engine.dispose()
    assert sum(courses.check(town).values()) == len(courses.ended) >= lives
    check_acknowledged(town, town.seen)
    check_caps(town)
    # Whoever asked meanwhile was told that nothing was changed, and got through later.
    assert refusals(town) == {(503, "LEDGER_UNAVAILABLE")}
    town.audit()
    _empty(town)


def _strike(server, restarts: int) -> Callable[[], None]:
    chance = random.Random(17)

    def strike() -> None:
        for _ in range(restarts):
            time.sleep(chance.uniform(0.4, 1.5))
            server.restart()
        time.sleep(1)

    return strike


def _empty(town: Town) -> None:
    """Leave the server's one database empty for whoever comes next."""
    town.served.stop()
    try:
        with town.database.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    except DBAPIError as error:
        raise AssertionError("the database cannot be emptied") from error
