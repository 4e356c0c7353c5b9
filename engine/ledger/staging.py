"""Rows on their way into a table: the drivers' fast paths, and temporary tables to compare in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from sqlalchemy import Column, Connection, Integer, MetaData, Table

from engine.domain.errors import LedgerUnavailable
from engine.ledger.statements import Value

Columns = Mapping[str, Sequence[Value]]
"""Per column n values."""


class Loader:
    """Loads batches of rows in the transaction of `connection`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._revisited: set[str] = set()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self._connection.dialect.name == "sqlite"

    def insert_directly(self, table: Table, columns: Columns) -> int:
        """Insert on SQLite the rows whose key is not there; return how many."""
        with _driver_errors():
            driver = self._connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            before = driver.total_changes
            driver.executemany(
                f"INSERT INTO {table.name} ({', '.join(columns)})"
                f" VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING",
                zip(*columns.values(), strict=True),
            )
            return driver.total_changes - before

    def copied_directly(self, table: Table, columns: Columns) -> bool:
        """Copy the rows in on PostgreSQL on the chance that all are new; return whether they were.

        That is half the work of looking first. Once it failed this table is not tried again.
        """
        if table.name in self._revisited:
            return False
        attempt = self._connection.begin_nested()
        try:
            with _driver_errors(psycopg.errors.UniqueViolation):
                self._copy(table.name, columns, zip(*columns.values(), strict=True))
        except psycopg.errors.UniqueViolation:
            attempt.rollback()
            self._revisited.add(table.name)
            return False
        attempt.commit()
        return True

    def _copy(self, name: str, columns: Iterable[str], rows: Iterable[tuple[Value, ...]]) -> None:
        driver = self._connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        named = ", ".join(f'"{column}"' for column in columns)
        with (
            driver.cursor() as cursor,
            cursor.copy(f"COPY {name} ({named}) FROM STDIN".encode()) as copy,
        ):
            for row in rows:
                copy.write_row(row)

    @contextmanager
    def staged(self, table: Table, columns: Columns) -> Iterator[Table]:
        """Yield a temporary table of the rows, numbered from 0 in `row`."""
        staged = Table(
            f"staged_{table.name}",
            MetaData(),
            Column("row", Integer),
            *(Column(name, table.c[name].type) for name in columns),
            prefixes=["TEMPORARY"],
        )
        staged.create(self._connection)
        numbered = zip(range(length(columns)), *columns.values(), strict=True)
        with _driver_errors():
            if self.is_sqlite:
                driver = self._connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                marks = ", ".join("?" * len(staged.columns))
                driver.executemany(f"INSERT INTO {staged.name} VALUES ({marks})", numbered)
            else:
                self._copy(staged.name, [column.name for column in staged.columns], numbered)
        yield staged
        staged.drop(self._connection)


@contextmanager
def _driver_errors(*expected: type[psycopg.Error]) -> Iterator[None]:
    """Turn the driver's errors into ours, except those that the caller expects."""
    try:
        yield
    except expected:
        raise
    except (sqlite3.Error, psycopg.Error) as error:
        raise LedgerUnavailable(
            f"the database refused: {type(error).__name__}: {error}",
            "see /readyz; if the schema is behind, run: lishang migrate",
        ) from error


def length(columns: Columns) -> int:
    """Return how many rows the columns hold."""
    return len(next(iter(columns.values()), ()))
