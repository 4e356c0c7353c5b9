"""A backup of the whole ledger, taken in one snapshot while it is served."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import IO, Any, Literal

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Select, Table, select

from engine.domain.clock import format_time
from engine.ledger import tables
from engine.ledger.backup_file import MANIFEST, Manifest, TableEntry
from engine.ledger.database import Database
from engine.ledger.new_file import new_file
from engine.ledger.parquet import schema_of, write_found

BATCH = 10_000
"""Rows held in memory at a time."""


def backup(database: Database, path: Path, at: int) -> Manifest:
    """Write the ledger as of now to `path`; whoever serves it is not held up.

    The file appears when it is whole and on disk. It holds the hashes of keys and the secrets of
    webhooks, so that nobody but its owner may read it (mode 0600).

    Parameters
    ----------
    at
        The present time in microseconds, for the manifest.

    Raises
    ------
    InvalidInput
        If there is such a file already, also by the time this one is whole; if it cannot be
        written; if a row holds what its column is not for.
    LedgerUnavailable
        If the database cannot be reached or refuses the work.
    """
    with new_file(path) as file, database.reading(snapshot=True) as connection:
        return _write(connection, file, at)


def _write(connection: Connection, file: IO[bytes], at: int) -> Manifest:
    revision = MigrationContext.configure(connection).get_current_revision()
    dialect: Literal["sqlite", "postgresql"] = (
        "sqlite" if connection.dialect.name == "sqlite" else "postgresql"
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        manifest = Manifest(
            schema_revision=revision or "none",
            taken_at=format_time(at),
            database=dialect,
            tables={
                table.name: _write_table(connection, table, archive)
                for table in tables.metadata.sorted_tables
            },
        )
        archive.writestr(_entry(MANIFEST), manifest.model_dump_json(indent=2))
    return manifest


def _write_table(connection: Connection, table: Table, archive: zipfile.ZipFile) -> TableEntry:
    with archive.open(_entry(f"{table.name}.parquet"), "w", force_zip64=True) as entry:
        sink = _Hashed(entry)
        rows = write_found(connection, _rows_of(connection, table), schema_of(table), sink, BATCH)
    return TableEntry(rows=rows, size=sink.size, sha256=sink.digest.hexdigest())


def _rows_of(connection: Connection, table: Table) -> Select[*tuple[Any, ...]]:
    if table is not tables.outbox:
        return select(table)
    # Where SQLite keeps the place in the feed only this database knows: a backup says it.
    place = table.c.seq if connection.dialect.name == "sqlite" else table.c.position
    columns = [place.label("position") if c is table.c.position else c for c in table.columns]
    return select(*columns).order_by(place.is_(None), place, table.c.seq)


def _entry(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    return info


class _Hashed:
    """What is written, counted and hashed on its way."""

    closed = False

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, content: bytes, /) -> int:
        """Write bytes."""
        self.digest.update(content)
        self.size += len(content)
        return self._sink.write(content)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.size

    def flush(self) -> None:
        """Do nothing: the file is flushed when it is whole."""
