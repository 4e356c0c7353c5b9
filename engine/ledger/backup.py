"""A backup of the whole ledger, taken in one snapshot while it is served."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO, Any, Literal

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Select, Table, select

from engine.domain.clock import format_time
from engine.domain.errors import InvalidInput
from engine.ledger import tables
from engine.ledger.backup_file import MANIFEST, Manifest, TableEntry
from engine.ledger.database import Database
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
    if path.exists():
        raise _exists(path)
    try:
        with _appearing(path) as file, database.reading(snapshot=True) as connection:
            return _write(connection, file, at)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error


def _exists(path: Path) -> InvalidInput:
    return InvalidInput(f"{path} exists already", "a backup replaces none: name another file")


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file for the owner's eyes that becomes `path` if all goes well, else leaves none."""
    made, part = mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(made, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name(Path(part), path)
    finally:
        Path(part).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, is on disk
    finally:
        os.close(folder)


def _name(part: Path, path: Path) -> None:
    """Let the file `part` be found as `path`, unless another is: of two that end at once, one is.

    Raises
    ------
    FileExistsError
        If there is one.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        # Where a file has one name only, this one is taken first: for a moment it is empty.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        part.replace(path)


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
