"""The schema, the transactions and the durability that everything stands on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, insert, select

from engine.domain.errors import InvalidInput, LedgerUnavailable
from engine.ledger import migration, tables
from engine.ledger.database import Database

PERSON = {"person": "an", "recorded_at": 0}


def test_migrations_give_exactly_the_tables_of_the_code(database: Database) -> None:
    with database.reading() as unit:
        context = MigrationContext.configure(unit)
        assert compare_metadata(context, tables.metadata) == []


def test_ensure_creates_an_empty_schema_and_accepts_it_again(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    assert migration.current(database) is None
    migration.ensure(database)
    migration.ensure(database)
    assert migration.current(database) == migration.head()


def test_ensure_leaves_an_older_schema_alone_and_says_what_to_run(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    migration.migrate(database)
    with database.writing() as unit:
        unit.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(LedgerUnavailable, match="lishang migrate"):
        migration.ensure(database)


def test_writing_leaves_no_trace_when_it_fails(database: Database) -> None:
    with pytest.raises(RuntimeError), database.writing() as unit:
        unit.execute(insert(tables.people).values(PERSON))
        raise RuntimeError
    with database.reading() as unit:
        assert unit.execute(select(func.count()).select_from(tables.people)).scalar() == 0


def test_reading_keeps_nothing(database: Database) -> None:
    with suppress(LedgerUnavailable), database.reading() as unit:
        unit.execute(insert(tables.people).values(PERSON))
    with database.reading() as unit:
        assert unit.execute(select(func.count()).select_from(tables.people)).scalar() == 0


def test_violated_key_is_reported_as_ledger_unavailable(database: Database) -> None:
    with pytest.raises(LedgerUnavailable, match="refused"), database.writing() as unit:
        unit.execute(insert(tables.people), [PERSON, PERSON])


def test_server_that_falls_silent_is_given_up_within_seconds(postgresql_database: Database) -> None:
    with postgresql_database.reading() as unit:
        kept = unit.connection.dbapi_connection.info.get_parameters()
    idle, interval, count = (
        int(kept[f"keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    assert idle + interval * count <= 12
    assert int(kept["tcp_user_timeout"]) <= 10_000


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://h/d", "no url"])
def test_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        Database(url)


def test_file_that_was_deleted_takes_no_more_writes(sqlite_database: Database) -> None:
    with sqlite_database.writing() as unit:
        unit.execute(insert(tables.people).values(PERSON))
    for path in Path(str(sqlite_database.engine.url.database)).parent.glob("lishang.db*"):
        path.unlink()
    with (
        pytest.raises(LedgerUnavailable, match="no such table"),
        sqlite_database.writing() as unit,
    ):
        unit.execute(insert(tables.people).values({**PERSON, "person": "bo"}))


def test_database_of_a_newer_version_is_not_migrated(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    migration.migrate(database)
    with database.writing() as unit:
        unit.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(LedgerUnavailable, match="newer version"):
        migration.migrate(database)
