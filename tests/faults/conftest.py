"""Towns to be struck, and a PostgreSQL server of their own; the rest is shared in tests/fire."""

from __future__ import annotations

import os
import sys
import tempfile
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


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[object]:
    """A PostgreSQL server that a test may strike: nobody else uses it."""
    made = import_module("own_postgres").OwnPostgres(Path(tempfile.mkdtemp(prefix="struck-pg-")))
    made.create()
    yield made
    made.remove()


@pytest.fixture
def found_town(tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Starts a town on a database of its own and ends it, whatever became of it."""
    town_type = import_module("town").Town
    with ExitStack() as stack:

        def found(url: str | None = None, **given: object) -> object:
            home = tmp_path / f"town{next(_NUMBERS)}"
            place = url or f"sqlite:///{tmp_path}/ledger{next(_NUMBERS)}.db"
            return stack.enter_context(town_type.running(home, place, **given))

        yield found


@pytest.fixture
def shared_postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh database on the server that all tests share."""
    name = f"faults_{os.getpid()}_{next(_NUMBERS)}"
    _administer(postgres_server, f"CREATE DATABASE {name}")
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server: str, statement: str) -> None:
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
