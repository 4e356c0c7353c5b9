"""The backup's file: a zip of a manifest and one Parquet file a table, and the proof of it.

The tables are stored as they are (Parquet compresses them itself), so that they can be read where
they lie, without unpacking them.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Table

from engine.domain.errors import InvalidInput
from engine.ledger.parquet import schema_of
from engine.ledger.statements import Value

MANIFEST = "manifest.json"
_PIECE = 1 << 22
"""Bytes hashed at a time."""
_LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a file in a zip: how long its name and its extra field are; its content comes after both."""

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    pa.ArrowException,
    ValidationError,
    KeyError,
    ValueError,
    EOFError,
    RuntimeError,  # a zip that asks for a password, or for a newer version of the format
)
"""What comes of reading a damaged zip."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class TableEntry(_Strict):
    """What a backup holds of one table."""

    rows: int = Field(ge=0)
    size: int = Field(ge=0)
    """Bytes of its Parquet file."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(_Strict):
    """What a backup is."""

    format: Literal["lishang-ledger-1"] = "lishang-ledger-1"
    schema_revision: str
    taken_at: str
    """RFC 3339, in UTC."""
    database: Literal["sqlite", "postgresql"]
    """Where it was taken; it can be restored to either."""
    tables: dict[str, TableEntry]

    @property
    def rows(self) -> int:
        """How many rows there are in all tables."""
        return sum(entry.rows for entry in self.tables.values())


class BackupFile:
    """An opened backup."""

    def __init__(self, manifest: Manifest, found: Mapping[str, pa.Buffer]) -> None:
        self.manifest = manifest
        self._found = found

    def prove(self, table: Table) -> None:
        """Read all of a table's file and hold it to the manifest and to the table.

        Raises
        ------
        InvalidInput
            If it is not what was written, or not of this table.
        """
        entry, content = self.manifest.tables[table.name], self._found[table.name]
        digest = hashlib.sha256()
        for begin in range(0, content.size, _PIECE):
            digest.update(content.slice(begin, min(_PIECE, content.size - begin)))
        if (content.size, digest.hexdigest()) != (entry.size, entry.sha256):
            raise _damaged(f"{table.name} is not what was written")
        try:
            file = pq.ParquetFile(pa.BufferReader(content))
        except pa.ArrowException as error:
            raise _damaged(f"{table.name} is no Parquet: {error}") from error
        if not file.schema_arrow.equals(schema_of(table)) or file.metadata.num_rows != entry.rows:
            raise _damaged(f"{table.name} has other columns or rows than it should")

    def batches(self, table: Table, rows: int) -> Iterator[dict[str, list[Value]]]:
        """Yield a table's columns, `rows` rows at a time, in the order of the backup."""
        file = pq.ParquetFile(pa.BufferReader(self._found[table.name]))
        for batch in file.iter_batches(batch_size=rows):
            yield batch.to_pydict()


@contextmanager
def opened(path: Path) -> Iterator[BackupFile]:
    """Open a backup; nothing of it is proved yet but its manifest.

    Raises
    ------
    InvalidInput
        If there is none, or it cannot be read.
    """
    with ExitStack() as stack:
        try:
            archive = stack.enter_context(zipfile.ZipFile(path))
            mapped = stack.enter_context(pa.memory_map(str(path)))
            manifest = Manifest.model_validate_json(archive.read(MANIFEST))
            infos = {name: archive.getinfo(f"{name}.parquet") for name in manifest.tables}
            found = {name: _content(mapped, info) for name, info in infos.items()}
        except OSError as error:
            raise InvalidInput(f"cannot read {path}: {error.strerror or error}") from error
        except _UNREADABLE as error:
            why = str(error).partition("\n")[0] or type(error).__name__
            raise _damaged(why) from error
        yield BackupFile(manifest, found)


def _content(mapped: pa.MemoryMappedFile, info: zipfile.ZipInfo) -> pa.Buffer:
    """Return what a file of the zip holds, where it lies on disk."""
    if info.compress_type != zipfile.ZIP_STORED:
        raise _damaged(f"{info.filename} was packed anew")
    mapped.seek(info.header_offset)
    header = mapped.read(_LOCAL_HEADER.size)
    begin = info.header_offset + _LOCAL_HEADER.size + sum(_LOCAL_HEADER.unpack(header))
    mapped.seek(begin)
    content = mapped.read_buffer(info.file_size)
    if content.size != info.file_size:
        raise _damaged(f"{info.filename} ends too early")
    return content


def _damaged(why: str) -> InvalidInput:
    return InvalidInput(
        f"the backup cannot be trusted: {why}", "restore another one; nothing was changed"
    )
