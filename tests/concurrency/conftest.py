"""A stormed town on each database; what the tests of fire share lies in tests/fire."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

_FIRE = str(Path(__file__).parents[1] / "fire")
if _FIRE not in sys.path:
    sys.path.append(_FIRE)
_NUMBERS = count()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def fresh_url(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[str]:
    """The URL of a database of its own."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('stormed')}/lishang.db"
        return
    server = request.getfixturevalue("postgres_server")
    name = f"storm_{request.node.nodeid.__hash__() & 0xFFFFFF}_{next(_NUMBERS)}"
    _administer(server, f"CREATE DATABASE {name}")
    yield make_url(server).set(database=name).render_as_string(hide_password=False)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def started(fresh_url: str, tmp_path_factory) -> Iterator[Callable[..., object]]:
    """Starts a town on that database and ends it after the module."""
    town_type = import_module("town").Town
    with ExitStack() as stack:

        def start(**given: object) -> object:
            home = tmp_path_factory.mktemp("home") / "town"
            return stack.enter_context(town_type.running(home, fresh_url, **given))

        yield start


def _administer(server: str, statement: str) -> None:
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
