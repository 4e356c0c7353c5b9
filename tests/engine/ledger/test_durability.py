"""Every connection that a service may use commits to disk, and says so when it is asked."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text

from engine.domain.errors import LedgerUnavailable
from engine.ledger import tables
from engine.ledger.database import Database

AT_ONCE = 6
"""More than the pool keeps: those that come beyond it must be as durable."""

DURABLE: dict[str, dict[str, object]] = {
    "sqlite": {"PRAGMA synchronous": 2, "PRAGMA journal_mode": "wal"},
    "postgresql": {
        "SHOW synchronous_commit": "on",
        "SHOW fsync": "on",
        "SHOW full_page_writes": "on",
    },
}
"""What each database must answer. SQLite's 2 is FULL: the log is on disk at each commit."""


def _settings(unit: Connection) -> dict[str, object]:
    asked = DURABLE[unit.dialect.name]
    return {question: unit.exec_driver_sql(question).scalar() for question in asked}


def test_every_connection_at_once_is_durable(database: Database) -> None:
    with ExitStack() as stack:
        units = [stack.enter_context(database.reading()) for _ in range(AT_ONCE)]
        assert len({id(unit.connection.dbapi_connection) for unit in units}) == AT_ONCE
        units.append(stack.enter_context(database.writing()))
        for unit in units:
            assert _settings(unit) == DURABLE[unit.dialect.name]


def test_connection_made_anew_after_a_loss_is_durable(database: Database) -> None:
    with database.writing() as unit:
        before = unit.connection.dbapi_connection
    if not database.is_sqlite:
        with pytest.raises(LedgerUnavailable), database.writing() as unit:
            unit.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    else:
        database.close()
    with database.writing() as unit:
        assert unit.connection.dbapi_connection is not before
        assert _settings(unit) == DURABLE[unit.dialect.name]


def test_no_session_is_less_durable_because_of_its_database(postgresql_database: Database) -> None:
    """A setting of the role or the database yields to the one that the connection asks for."""
    with postgresql_database.engine.connect() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        connection.commit()
    again = Database(postgresql_database.engine.url.render_as_string(hide_password=False))
    with again.writing() as unit:
        assert unit.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    again.close()


def test_what_was_committed_is_in_the_log_on_disk_before_the_commit_returns(
    sqlite_database: Database,
) -> None:
    """Of SQLite the log file itself can be read: it holds the change as soon as it is committed."""
    path = sqlite_database.engine.url.database
    person: dict[str, Any] = {"person": "unmistakable-person", "recorded_at": 0}
    with sqlite_database.writing() as unit:
        unit.execute(insert(tables.people).values(person))
    assert b"unmistakable-person" in Path(f"{path}-wal").read_bytes()
