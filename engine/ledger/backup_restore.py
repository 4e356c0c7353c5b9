"""A backup brought back: all of it or nothing, while the ledger is served."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, delete, func, literal, select
from sqlalchemy.exc import OperationalError

from engine.domain.errors import Conflict, InvalidInput, LedgerUnavailable
from engine.ledger import tables
from engine.ledger.backup_file import BackupFile, Manifest, opened
from engine.ledger.bulk import BulkWriter
from engine.ledger.database import Database
from engine.ledger.staging import Columns
from engine.ledger.statements import Statement

BATCH = 10_000
"""Rows held in memory at a time."""
_ATTEMPTS = 120
"""To get hold of all tables at once, each half a second long."""

# First what most transactions touch first: whoever has begun ends, nobody new begins.
_LOCK = Statement(
    "LOCK TABLE alembic_version, idempotency, gifts, "
    + ", ".join(name for name in tables.metadata.tables if name not in {"idempotency", "gifts"})
    + " IN ACCESS EXCLUSIVE MODE"
)
# Never lower than it was: a sequence does not come back when a transaction fails.
_RAISE_SEQUENCE = Statement("""
SELECT setval(pg_get_serial_sequence('outbox', 'seq'), greatest(:highest,
  (SELECT last_value FROM pg_sequences WHERE schemaname || '.' || sequencename =
    pg_get_serial_sequence('outbox', 'seq'))))
""")
_FORGET_SEQUENCE = Statement("DELETE FROM sqlite_sequence WHERE name = 'outbox'")


def restore(database: Database, path: Path, replace: bool) -> Manifest:
    """Make the ledger what the backup at `path` says, and return what that is.

    The whole file is proved before anything is changed. Then one transaction takes hold of the
    ledger, empties it and fills it: whoever is served meanwhile sees all of the old ledger or all
    of the new one. On PostgreSQL they wait, on SQLite those who write do.

    Parameters
    ----------
    replace
        Whether a ledger that holds anything may be replaced; it is lost.

    Raises
    ------
    InvalidInput
        If the backup cannot be read, is damaged, or is of another schema.
    Conflict
        If the ledger is not empty and must not be replaced.
    LedgerUnavailable
        If the database cannot be reached, refuses the work or is too busy.
    """
    with opened(path) as file:
        with database.reading() as connection:
            _require_same_schema(connection, file.manifest)
        for table in tables.metadata.sorted_tables:
            file.prove(table)
        with database.writing() as connection:
            _hold(connection)
            _require_same_schema(connection, file.manifest)
            if not replace:
                _require_empty(connection)
            _fill(connection, file)
    return file.manifest


def _require_same_schema(connection: Connection, manifest: Manifest) -> None:
    revision = MigrationContext.configure(connection).get_current_revision()
    if manifest.schema_revision != revision:
        raise InvalidInput(
            f"the backup is of revision {manifest.schema_revision}, the database at {revision}",
            "restore it with the version of Lishang that wrote it, then run: lishang migrate",
        )
    if manifest.tables.keys() != tables.metadata.tables.keys():
        raise InvalidInput("the backup holds other tables than the ledger", "it was changed")


def _hold(connection: Connection) -> None:
    """Keep everybody off the ledger until this transaction has ended.

    On PostgreSQL readers too: a check reads in several statements, which must not see two ledgers.
    Nobody who is under way is failed for it: rather than wait in a circle with somebody, all is let
    go after half a second, before the server would look for a circle, and asked for again.
    """
    if connection.dialect.name == "sqlite":
        return  # whoever may write is alone, and readers keep the ledger they began with
    connection.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
    for _ in range(_ATTEMPTS):
        try:
            with connection.begin_nested():
                _LOCK.run(connection)
        except OperationalError as error:
            busy = psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected
            if not isinstance(error.orig, busy):
                raise
            time.sleep(0.1)
        else:
            return
    raise LedgerUnavailable("the ledger is too busy to be replaced", "stop those who use it")


def _require_empty(connection: Connection) -> None:
    for table in tables.metadata.sorted_tables:
        if connection.execute(select(literal(1)).select_from(table).limit(1)).first() is not None:
            raise Conflict(
                f"the ledger is not empty: there are {table.name}",
                "restore into a new database, or give up what is there with --replace",
            )


def _fill(connection: Connection, file: BackupFile) -> None:
    # Row by row rather than TRUNCATE, under which a snapshot of before would see nothing at all.
    for table in reversed(tables.metadata.sorted_tables):
        connection.execute(delete(table))
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        _FORGET_SEQUENCE.run(connection)
    with BulkWriter(connection) as writer:
        for table in tables.metadata.sorted_tables:
            batches: Iterator[Columns] = file.batches(table, BATCH)
            if table is tables.outbox and is_sqlite:
                batches = _placed_by_number(batches)
            rows = sum(writer.insert_new(table.name, columns).new for columns in batches)
            if rows != file.manifest.tables[table.name].rows:
                raise InvalidInput(f"the backup holds a key of {table.name} twice", "use another")
    if not is_sqlite:
        highest = connection.execute(select(func.max(tables.outbox.c.seq))).scalar()
        _RAISE_SEQUENCE.run(connection, highest=highest or 1)
        connection.exec_driver_sql("ANALYZE")


def _placed_by_number(batches: Iterator[Columns]) -> Iterator[Columns]:
    """Number events by their place in the feed, which is what SQLite reads; those that had none
    yet come after all others, in their order."""
    place = 0
    for columns in batches:
        places = []
        for position in columns["position"]:
            place = place + 1 if position is None else int(position)
            places.append(place)
        yield {**columns, "seq": places, "position": [None] * len(places)}
