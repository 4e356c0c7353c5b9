"""The checks that part good rows from bad ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.importing.fields import Field, FileKind, Read
from training.importing.reading import Batch, Source
from training.importing.rejects import Reject
from training.importing.values import read_values

_ARROW_TYPES = {
    Read.TIME: pa.int64(),
    Read.WHOLE: pa.int64(),
    Read.WEIGHT: pa.float64(),
    Read.TRUTH: pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class Checked:
    """The good rows of a batch (n lines and, for every field of the kind, n values or nulls) and
    what is wrong with the others."""

    lines: NDArray[np.int64]
    columns: Mapping[str, pa.Array]
    given: frozenset[str]
    """The fields that the file has a column for."""
    rejects: tuple[Reject, ...]


@dataclass(slots=True)
class Known:
    """The ids that a strict import may refer to; None where nothing is asked."""

    people: set[str] | None = None
    items: set[str] | None = None
    offers: set[str] | None = None


@dataclass(slots=True)
class Checker:
    """Checks the batches of one source in order.

    Parameters
    ----------
    known
        What references are held against.
    today
        No date of birth lies after it.
    """

    source: Source
    known: Known
    today: date
    _seen: dict[str, int] = field(default_factory=dict)

    def check(self, batch: Batch) -> Checked:
        """Return the good rows and the faults of the others."""
        found = _Faults(self.source, batch)
        columns = {f.name: self._read(f, batch, found) for f in self.source.kind.fields}
        kind = self.source.kind
        _check_people_apart(kind, columns, found)
        _check_order(kind, columns, found)
        self._check_references(columns, found)
        self._check_repeats(columns, found)
        if "outcome" in batch.cells:
            _check_outcome(columns, found)
        rejects = (*batch.misfits, *found.rejects())
        lines = batch.lines
        if found.any:
            lines = lines[~found.bad]
            good = pa.array(~found.bad)
            columns = {name: values.filter(good) for name, values in columns.items()}
        return Checked(lines, columns, frozenset(batch.cells), rejects)

    def _read(self, wanted: Field, batch: Batch, found: _Faults) -> pa.Array:
        cells = batch.cells.get(wanted.name)
        if cells is None:
            return pa.nulls(len(batch.lines), _ARROW_TYPES.get(wanted.read, pa.string()))
        # The id of an event may be left out as a column, but not here and there.
        if (wanted.required or wanted.name == self.source.kind.key) and cells.null_count:
            found.where(cells.is_null(), wanted.name, "missing")
        values = read_values(wanted, cells, self.source.times, self.today)
        for row, reason in values.faults:
            found.add(row, wanted.name, reason)
        return values.array

    def _check_references(self, columns: Mapping[str, pa.Array], found: _Faults) -> None:
        kind = self.source.kind
        for names, known, noun in (
            (kind.people, self.known.people, "person"),
            (kind.items, self.known.items, "item"),
            (kind.offers, self.known.offers, "offer"),
        ):
            if known is None:
                continue
            for name in names:
                ids = columns[name]
                for row, value in enumerate(ids.to_pylist()):
                    if value is not None and value not in known:
                        found.add(row, name, f"unknown {noun}")

    def _check_repeats(self, columns: Mapping[str, pa.Array], found: _Faults) -> None:
        """A file that describes a person, item or offer twice contradicts itself."""
        name = self.source.kind.describes
        if name is None:
            return
        for row, value in enumerate(columns[name].to_pylist()):
            if value is None or found.bad[row]:
                continue
            line = int(found.lines[row])
            first = self._seen.setdefault(value, line)
            if first != line:
                found.add(row, name, f"already on line {first}")


class _Faults:
    """The faults found in a batch, by row."""

    def __init__(self, source: Source, batch: Batch) -> None:
        self.bad = np.zeros(len(batch.lines), dtype=np.bool_)
        self.lines = batch.lines
        self._source, self._batch = source, batch
        self._found: list[tuple[int, str, str]] = []

    @property
    def any(self) -> bool:
        return bool(self._found)

    def add(self, row: int, name: str, reason: str) -> None:
        self.bad[row] = True
        self._found.append((row, name, reason))

    def where(self, wrong: pa.Array, name: str, reason: str) -> None:
        """Add the fault for every row where `wrong` is true (null is not)."""
        rows = pc.fill_null(wrong, False).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(rows).tolist():
            self.add(row, name, reason)

    def rejects(self) -> Iterator[Reject]:
        for row, name, reason in sorted(self._found, key=lambda fault: fault[0]):
            cells = self._batch.cells.get(name)
            value = cells[row].as_py() if cells is not None else None
            yield Reject(self._source.path, int(self.lines[row]), name, reason, value or "")


def _check_people_apart(kind: FileKind, columns: Mapping[str, pa.Array], found: _Faults) -> None:
    if kind.distinct is None:
        return
    one, other = kind.distinct
    found.where(pc.equal(columns[one], columns[other]), other, f"the same person as {one}")


def _check_order(kind: FileKind, columns: Mapping[str, pa.Array], found: _Faults) -> None:
    for first, second in kind.ordered:
        if columns[second].null_count == len(columns[second]):
            continue
        start = columns[first]
        default = kind.field(first)
        if default is not None and default.default is not None:
            start = pc.fill_null(start, default.default)
        found.where(pc.less(columns[second], start), second, f"before {first}")


def _check_outcome(columns: Mapping[str, pa.Array], found: _Faults) -> None:
    open_still = pc.equal(pc.fill_null(columns["outcome"], "sent"), "sent")
    untold = pc.and_(open_still, pc.is_valid(columns["outcome_at"]))
    found.where(untold, "outcome_at", "without an outcome")
