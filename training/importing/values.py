"""From the text of cells to checked values: a column at once, one by one only to find faults."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.clock import DAY, SECOND, parse_time, zone_of
from engine.domain.errors import InvalidInput
from engine.domain.people import REGION_PATTERN
from training.importing.fields import Field, Read

TimeUnit = Literal["s", "ms", "us", "d"]
MICROSECONDS: dict[TimeUnit, int] = {"s": SECOND, "ms": 1_000, "us": 1, "d": DAY}
"""How long a unit of numeric time is."""


@dataclass(frozen=True, slots=True)
class NumericTimes:
    """How numbers are read as times: so many of `unit` since `epoch` (microseconds since 1970)."""

    unit: TimeUnit = "s"
    epoch: int = 0


LATEST = 253_402_300_799_999_999
"""The last microsecond of the year 9999: no calendar here goes further."""

_ID_LENGTH = 128
_TEXT_LENGTH = 256
_LARGEST = 10**15
_HEAVIEST = 1e9
_MOST = 2**63 - 1
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DIGITS = r"^\d{1,18}$"
_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ZONED = r"([Zz]|[+-]\d{2}:?\d{2})$"


@dataclass(frozen=True, slots=True)
class Values:
    """A column of n values, null where missing or at fault, and the faults by row with reasons."""

    array: pa.Array
    faults: tuple[tuple[int, str], ...] = ()


def read_values(field: Field, cells: pa.Array, times: NumericTimes, today: date) -> Values:
    """Return what `cells` (n texts, trimmed, null when empty) say in `field`.

    Parameters
    ----------
    times
        How numbers are read as times; RFC 3339 texts and dates speak for themselves.
    today
        No date of birth lies after it.
    """
    if field.read is Read.TIME:
        return _times(cells, times)
    readers: dict[Read, Callable[[pa.Array], Values]] = {
        Read.ID: partial(_texts, longest=_ID_LENGTH),
        Read.TEXT: partial(_texts, longest=_TEXT_LENGTH),
        Read.WORD: partial(_distinct, read=_word),
        Read.CHOICE: partial(_distinct, read=partial(_choice, field.choices)),
        Read.CHOICES: partial(_distinct, read=partial(_some, field.choices)),
        Read.ZONE: partial(_distinct, read=_zone),
        Read.REGION: partial(_distinct, read=_region),
        Read.TRUTH: _truths,
        Read.DATE: partial(_distinct, read=partial(_birth_date, today)),
        Read.WHOLE: _whole,
        Read.WEIGHT: _weights,
    }
    return readers[field.read](cells)


def _texts(cells: pa.Array, longest: int) -> Values:
    long = pc.greater(pc.utf8_length(cells), longest)
    controlled = pc.match_substring_regex(cells, r"\p{Cc}")
    wrong = pc.fill_null(pc.or_(long, controlled), False)
    if not pc.any(wrong).as_py():
        return Values(cells)
    faults = tuple(
        (row, f"longer than {longest} characters" if long[row].as_py() else "control characters")
        for row in np.flatnonzero(wrong.to_numpy(zero_copy_only=False)).tolist()
    )
    return Values(pc.if_else(wrong, pa.scalar(None, pa.string()), cells), faults)


def _times(cells: pa.Array, times: NumericTimes) -> Values:
    try:
        return Values(_times_at_once(cells, times))
    except pa.ArrowInvalid:
        return _one_by_one(cells, partial(_time, times), pa.int64())


def _times_at_once(cells: pa.Array, numeric: NumericTimes) -> pa.Array:
    factor = MICROSECONDS[numeric.unit]
    if _all(cells, _DIGITS):
        times = pc.multiply_checked(pc.cast(cells, pa.int64()), factor)
        times = pc.add_checked(times, numeric.epoch)
    elif _all(cells, rf"^{_DECIMAL.pattern}$"):
        times = pc.cast(
            pc.round(pc.multiply(pc.cast(cells, pa.float64()), float(factor)), 0, "half_to_even"),
            pa.int64(),
        )
        times = pc.add_checked(times, numeric.epoch)
    else:
        zoned = _all(cells, _ZONED)
        stamp = pa.timestamp("us", tz="UTC") if zoned else pa.timestamp("us")
        times = pc.cast(pc.cast(cells, stamp), pa.int64())
    bounds = pc.min_max(times)
    if (bounds["min"].as_py() or 0) < 0 or (bounds["max"].as_py() or 0) > LATEST:
        raise pa.ArrowInvalid("a time out of range")
    return times


def _time(numeric: NumericTimes, text: str) -> int:
    factor = MICROSECONDS[numeric.unit]
    if _DECIMAL.fullmatch(text):
        whole = int(text) * factor if text.isdecimal() else float(text) * factor
        at = whole if isinstance(whole, int) else round(whole) if abs(whole) < _MOST else _MOST
        at += numeric.epoch
    else:
        try:
            at = parse_time(text)
        except (InvalidInput, OverflowError) as error:
            raise InvalidInput("cannot read the time") from error
    if at < 0:
        raise InvalidInput("time before 1970")
    if at > LATEST:
        raise InvalidInput("time after the year 9999: is the time unit right?")
    return at


def _whole(cells: pa.Array) -> Values:
    if _all(cells, _DIGITS):
        numbers = pc.cast(cells, pa.int64())
        if (pc.max(numbers).as_py() or 0) <= _LARGEST:
            return Values(numbers)
    return _one_by_one(cells, _whole_number, pa.int64())


def _whole_number(text: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise InvalidInput("not a whole number")
    number = float(text)
    if number < 0:
        raise InvalidInput("negative")
    if number > _LARGEST:
        raise InvalidInput("too large")
    if not number.is_integer():
        raise InvalidInput("not a whole number")
    return int(number)


def _weights(cells: pa.Array) -> Values:
    try:
        weights = pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:
        return _one_by_one(cells, _weight, pa.float64())
    positive = pc.greater_equal(weights, 0.0)
    sound = pc.and_(positive, pc.less_equal(weights, _HEAVIEST))
    if pc.all(sound, min_count=0).as_py():
        return Values(weights)
    return _one_by_one(cells, _weight, pa.float64())


def _weight(text: str) -> float:
    number = float(text) if _DECIMAL.fullmatch(text) else float("nan")
    if not np.isfinite(number):
        raise InvalidInput("not a number")
    if number < 0:
        raise InvalidInput("negative")
    if number > _HEAVIEST:
        raise InvalidInput("too large")
    return number


def _word(text: str) -> str:
    if not _WORD.fullmatch(text.lower()):
        raise InvalidInput("not a short name of letters, digits and underscores")
    return text.lower()


def _choice(choices: tuple[str, ...], text: str) -> str:
    if text.lower() not in choices:
        raise InvalidInput(f"not one of {', '.join(choices)}")
    return text.lower()


def _some(choices: tuple[str, ...], text: str) -> str:
    names = [name.strip() for name in re.split("[;,]", text) if name.strip()]
    return ",".join(dict.fromkeys(_choice(choices, name) for name in names))


def _zone(text: str) -> str:
    try:
        zone_of(text)
    except InvalidInput as error:
        raise InvalidInput("unknown time zone") from error
    return text


def _region(text: str) -> str:
    if not (text.isascii() and re.fullmatch(REGION_PATTERN, text.upper())):
        raise InvalidInput("not a region such as CN or CN-HK")
    return text.upper()


def _truths(cells: pa.Array) -> Values:
    return _one_by_one(cells, _truth, pa.bool_())


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise InvalidInput("not true or false")
    return _TRUTHS[text.lower()]


def _birth_date(today: date, text: str) -> str:
    try:
        born = date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("not a date such as 1990-05-31") from error
    if born > today:
        raise InvalidInput("date of birth in the future")
    return born.isoformat()


def _all(cells: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern), min_count=0).as_py())


def _one_by_one(
    cells: pa.Array, read: Callable[[str], int | float], value_type: pa.DataType
) -> Values:
    values: list[int | float | None] = []
    faults: list[tuple[int, str]] = []
    for row, text in enumerate(cells.to_pylist()):
        try:
            values.append(None if text is None else read(text))
        except InvalidInput as error:
            values.append(None)
            faults.append((row, error.message))
    return Values(pa.array(values, value_type), tuple(faults))


def _distinct(cells: pa.Array, read: Callable[[str], str]) -> Values:
    """Read each different text once: such columns repeat few of them."""
    encoded = pc.dictionary_encode(cells)
    values: list[str | None] = []
    reasons: dict[int, str] = {}
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            values.append(read(text) or None)
        except InvalidInput as error:
            values.append(None)
            reasons[code] = error.message
    array = pa.array(values, pa.string()).take(encoded.indices)
    faults = tuple(
        (row, reasons[code])
        for row, code in enumerate(encoded.indices.to_pylist() if reasons else ())
        if code in reasons
    )
    return Values(array, faults)
