"""Writing the town: columns turned into CSV bytes that are the same wherever they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from training.simulate.chance import Floats, Ints
from training.simulate.timeline import DAY, NEVER

_CHUNK = 500_000
"""Rows turned into text at a time, which bounds the memory."""
_DECIMALS = 6
"""Places kept of a real number: far fewer than two machines could disagree on."""

Column = Callable[[slice], pa.Array]
"""Gives the texts or numbers of a range of rows."""


def _fixed_width(characters: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return texts from their bytes (rows × width, ASCII), null where `mask` is true."""
    rows, width = characters.shape
    ends = np.arange(rows + 1, dtype=np.int32) * width
    buffers = [
        None if mask is None else pa.array(~mask, pa.bool_()).buffers()[1],
        pa.py_buffer(ends.tobytes()),
        pa.py_buffer(np.ascontiguousarray(characters).tobytes()),
    ]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def _digits(values: Ints, width: int) -> NDArray[np.uint8]:
    """Return the last `width` decimal digits of each value as ASCII (rows × width)."""
    powers = 10 ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return (values[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def numbered(prefix: str, numbers: Ints, width: int) -> Column:
    """Return a column of ids such as `p000001`; a negative number is an empty cell."""
    head = np.frombuffer(prefix.encode(), dtype=np.uint8)

    def column(rows: slice) -> pa.Array:
        part = numbers[rows]
        text = np.hstack([np.broadcast_to(head, (len(part), len(head))), _digits(part, width)])
        return _fixed_width(text, part < 0)

    return column


def counted(prefix: str, count: int, width: int) -> Column:
    """Return a column of ids numbered from 1 to `count`."""
    return numbered(prefix, np.arange(1, count + 1), width)


def times(seconds: Ints) -> Column:
    """Return a column of RFC 3339 times in UTC; `NEVER` is an empty cell."""

    def column(rows: slice) -> pa.Array:
        part = seconds[rows]
        missing = part == NEVER
        part = np.where(missing, 0, part)
        day, second = part // DAY, part % DAY
        days, place = np.unique(day, return_inverse=True)
        dates = np.datetime_as_string(days.astype("datetime64[D]")).astype("S10")
        text = np.empty((len(part), 20), dtype=np.uint8)
        text[:, :10] = dates.view(np.uint8).reshape(-1, 10)[place]
        text[:, 10], text[:, 13], text[:, 16], text[:, 19] = (ord(c) for c in "T::Z")
        for start, value in ((11, second // 3_600), (14, second // 60 % 60), (17, second % 60)):
            text[:, start : start + 2] = _digits(value, 2)
        return _fixed_width(text, missing)

    return column


def labels(codes: Ints, names: Sequence[str | None]) -> Column:
    """Return a column of names by index; −1 is an empty cell."""
    texts = pa.array([*names, None], pa.string())
    return lambda rows: texts.take(pa.array(np.where(codes[rows] < 0, len(names), codes[rows])))


def texts(values: Sequence[str | None]) -> Column:
    """Return a column of texts; None is an empty cell."""
    return lambda rows: pa.array(values[rows], pa.string())


def whole(values: Ints) -> Column:
    """Return a column of whole numbers; `NEVER` is an empty cell."""
    return lambda rows: pa.array(values[rows], mask=values[rows] == NEVER)


def real(values: Floats) -> Column:
    """Return a column of real numbers, rounded to six places."""
    return lambda rows: pa.array(np.round(values[rows], _DECIMALS) + 0.0)


def write_csv(path: Path, columns: Mapping[str, Column], rows: int) -> None:
    """Write columns as plain CSV: UTF-8, a header, unquoted, lines ended by a newline.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a text holds a comma, a quote or a line break, which an unquoted cell cannot.
    """
    options = csv.WriteOptions(quoting_style="none", quoting_header="none")
    names = list(columns)

    def part(start: int) -> pa.Table:
        chosen = slice(start, min(start + _CHUNK, rows))
        return pa.table([columns[name](chosen) for name in names], names=names)

    first = part(0)
    with csv.CSVWriter(path, first.schema, write_options=options) as writer:
        writer.write_table(first)
        for start in range(_CHUNK, rows, _CHUNK):
            writer.write_table(part(start))
