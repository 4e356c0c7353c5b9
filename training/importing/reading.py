"""Import files as batches of texts by field: CSV, TSV and Parquet, plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, compress
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.domain.errors import FileRefused, InvalidInput
from training.importing.fields import FileKind
from training.importing.rejects import Reject
from training.importing.values import NumericTimes

CHUNK = 65_536
"""Rows in a batch."""
_PIECE = 512
_DELIMITERS = (",", "\t", ";", "|")
_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one file: n lines, per field n texts (trimmed, null when empty), and the rows that
    could not be cut into cells. `share` of the file has been read."""

    lines: NDArray[np.int64]
    cells: Mapping[str, pa.Array]
    misfits: tuple[Reject, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Source:
    """A file and how its columns give the fields of one kind.

    Parameters
    ----------
    mapping
        Field to column and whether the column must be there (else the field's own name will do).
    constants
        Texts for fields that the file has no column for.
    derive
        A change to every batch, for formats of others.
    """

    kind: FileKind
    path: Path
    mapping: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    times: NumericTimes = field(default_factory=NumericTimes)
    constants: Mapping[str, str] = field(default_factory=dict)
    derive: Callable[[Batch], Batch] | None = None

    def fingerprint(self) -> str:
        """Return the SHA-256 of the content in hex; compression does not change it."""
        with _opened(self.path) as (content, _):
            digest = hashlib.sha256()
            while block := content.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def batches(self) -> Iterator[Batch]:
        """Yield the rows in order.

        Raises
        ------
        InvalidInput
            If the file is not there or a named column is not in it.
        FileRefused
            If it is no file of a known form.
        """
        with _opened(self.path) as (content, share):
            for batch in self._forms(content, share):
                constant = {
                    name: pa.repeat(pa.scalar(text, pa.string()), len(batch.lines))
                    for name, text in self.constants.items()
                }
                whole = Batch(batch.lines, {**batch.cells, **constant}, batch.misfits, batch.share)
                yield self.derive(whole) if self.derive else whole

    def _forms(self, content: BinaryIO, share: Callable[[], float]) -> Iterator[Batch]:
        start = content.read(len(_PARQUET))
        content.seek(0)
        if start != _PARQUET:
            return self._rows(content, share)
        # Parquet is read from its end: what is packed is unpacked first.
        packed = isinstance(content, gzip.GzipFile)
        return self._rows_of_parquet(io.BytesIO(content.read()) if packed else content)

    def _rows(self, content: BinaryIO, share: Callable[[], float]) -> Iterator[Batch]:
        text = io.TextIOWrapper(content, "utf-8-sig", errors="surrogateescape", newline="")
        first = text.readline()
        delimiter = _delimiter(first, self.path)
        # A TSV knows no quoting (IANA text/tab-separated-values): a quotation mark is itself.
        reader = csv.reader(
            chain([first], text),
            delimiter=delimiter,
            quoting=csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL,
            strict=True,
        )
        header = next(reader, [])
        pending = _Pending(self.path, self._columns(header))
        previous = reader.line_num
        finished = False
        while not finished:
            rows: list[list[str]] = []
            lines: list[int] = []
            try:
                for row in reader:
                    line, previous = previous + 1, reader.line_num
                    if len(row) == len(header):
                        rows.append(row)
                        lines.append(line)
                        if len(rows) == _PIECE:
                            break
                    elif row:
                        reason = f"{len(row)} columns where {len(header)} are named"
                        pending.misfits.append(Reject(self.path, line, "", reason))
                else:
                    finished = True
            except csv.Error as error:
                reason = f"not CSV: {error}"
                pending.misfits.append(Reject(self.path, previous + 1, "", reason))
                previous = reader.line_num
            pending.add(rows, lines)
            if finished or len(pending.lines) >= CHUNK:
                yield pending.take(1.0 if finished else share())

    def _rows_of_parquet(self, content: BinaryIO) -> Iterator[Batch]:
        file = pq.ParquetFile(content)
        header = file.schema_arrow.names
        columns = self._columns(header)
        total = max(file.metadata.num_rows, 1)
        done = 0
        needed = list(dict.fromkeys(header[index] for index in columns.values()))
        for part in file.iter_batches(CHUNK, columns=needed):
            cells = {name: _texts(part.column(header[index])) for name, index in columns.items()}
            lines = np.arange(done + 1, done + part.num_rows + 1, dtype=np.int64)
            done += part.num_rows
            yield Batch(lines, cells, (), done / total)

    def _columns(self, header: Sequence[str]) -> dict[str, int]:
        """Return where each field that the file gives stands among its columns."""
        names = [_plain(name) for name in header]
        found: dict[str, int] = {}
        for wanted in self.kind.fields:
            column, must = self.mapping.get(wanted.name, (wanted.name, False))
            at = _only(names, _plain(column), self.path)
            if at is None and must:
                raise InvalidInput(
                    f"{self.path} has no column {column!r} for {wanted.name}", _listed(header)
                )
            if at is None and column != wanted.name:
                at = _only(names, wanted.name, self.path)
            if at is not None:
                found[wanted.name] = at
        given = {*found, *self.constants}
        missing = [f.name for f in self.kind.fields if f.required and f.name not in given]
        if missing:
            raise FileRefused(
                f"{self.path} has no column for {', '.join(missing)} of {self.kind.name}",
                f"{_listed(header)}; name it with --map {missing[0]}=COLUMN",
            )
        return found


class _Pending:
    """Rows that are not a batch yet, turned to columns piece by piece: lists of a few hundred rows
    stay in the cache and out of the garbage collector's sight, which is three times as fast."""

    def __init__(self, path: Path, columns: Mapping[str, int]) -> None:
        self.misfits: list[Reject] = []
        self.lines: list[int] = []
        self._path, self._columns = path, columns
        self._texts: dict[str, list[str]] = {name: [] for name in columns}

    def add(self, rows: list[list[str]], lines: list[int]) -> None:
        if not rows:
            return
        by_column = list(zip(*rows, strict=True))
        for name, at in self._columns.items():
            self._texts[name].extend(by_column[at])
        self.lines += lines

    def take(self, share: float) -> Batch:
        """Return what was added as a batch and start anew."""
        try:
            cells = self._cells()
        except UnicodeEncodeError:
            self._part_from_unreadable()
            cells = self._cells()
        batch = Batch(np.array(self.lines, dtype=np.int64), cells, tuple(self.misfits), share)
        self.misfits, self.lines = [], []
        self._texts = {name: [] for name in self._columns}
        return batch

    def _cells(self) -> dict[str, pa.Array]:
        return {
            name: _blank_to_null(pa.array(texts, pa.string()))
            for name, texts in self._texts.items()
        }

    def _part_from_unreadable(self) -> None:
        sound = [_is_utf8(row) for row in zip(*self._texts.values(), strict=True)]
        for line, readable in zip(self.lines, sound, strict=True):
            if not readable:
                self.misfits.append(Reject(self._path, line, "", "not UTF-8 text"))
        self.lines = list(compress(self.lines, sound))
        self._texts = {name: list(compress(texts, sound)) for name, texts in self._texts.items()}


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
    """Yield the decompressed content and a function that tells which share of it was read."""
    try:
        with path.open("rb") as raw:
            size = max(path.stat().st_size, 1)
            packed = raw.read(len(_GZIP)) == _GZIP
            raw.seek(0)
            content = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
            yield content, lambda: min(raw.tell() / size, 1.0)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileRefused(f"{path} cannot be decompressed: {error}", "is it complete?") from error
    except pa.ArrowInvalid as error:
        raise FileRefused(f"{path} is no readable Parquet file: {error}") from error
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or error}") from error


def _delimiter(header: str, path: Path) -> str:
    """Return what parts the columns: the extension's word if the header bears it out."""
    if not header.strip():
        raise FileRefused(f"{path} has no header", "the first line names the columns")
    if not _is_utf8([header]):
        raise FileRefused(f"{path} is not UTF-8 text", "save it as UTF-8")
    expected = "\t" if ".tsv" in (suffix.lower() for suffix in path.suffixes) else ","
    if expected in header:
        return expected
    best = max(_DELIMITERS, key=header.count)
    return best if best in header else expected


def _texts(column: pa.Array) -> pa.Array:
    """Return a Parquet column as texts; every type goes the same way as the text of a CSV."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.binary_join(pc.cast(column, pa.list_(pa.string())), ",")
    try:
        return _blank_to_null(pc.cast(column, pa.string()))
    except pa.ArrowNotImplementedError as error:
        raise FileRefused(f"a column of type {column.type} cannot be read as text") from error


def _blank_to_null(column: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


def _is_utf8(texts: Sequence[str]) -> bool:
    return not any("\ud800" <= character <= "\udfff" for text in texts for character in text)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _only(names: Sequence[str], name: str, path: Path) -> int | None:
    if names.count(name) > 1:
        raise FileRefused(f"{path} has more than one column {name!r}")
    return names.index(name) if name in names else None


def _listed(header: Sequence[str]) -> str:
    return f"its columns are {', '.join(name.strip() for name in header)}"
