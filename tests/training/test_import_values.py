"""Reading a column at once gives what reading each cell alone gives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import parse_time
from training.importing.fields import FILE_KINDS, Field, Read
from training.importing.values import (
    LATEST,
    MICROSECONDS,
    NumericTimes,
    TimeUnit,
    Values,
    read_values,
)

TODAY = date(2026, 1, 1)


def read(kind: Read, *cells: str | None, unit: TimeUnit = "s") -> Values:
    field = Field("x", kind, choices=("offers", "tie_scoring"))
    return read_values(field, pa.array(cells, pa.string()), NumericTimes(unit), TODAY)


def one_by_one(kind: Read, *cells: str | None, unit: TimeUnit = "s") -> Values:
    """A cell that cannot be read sends the whole column the slow way."""
    values = read(kind, *cells, "no number, no time", unit=unit)
    assert values.faults[-1][0] == len(cells)
    return Values(values.array.slice(0, len(cells)), values.faults[:-1])


def alike(kind: Read, *cells: str | None, unit: TimeUnit = "s") -> list[object]:
    fast, slow = read(kind, *cells, unit=unit), one_by_one(kind, *cells, unit=unit)
    assert fast.array.to_pylist() == slow.array.to_pylist()
    assert fast.faults == slow.faults
    return list(fast.array.to_pylist())


MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))


@given(st.lists(st.one_of(st.none(), MOMENTS.map(lambda at: at.replace(tzinfo=UTC)))))
def test_times_in_rfc_3339_are_instants(moments: list[datetime | None]) -> None:
    texts = [None if at is None else at.isoformat().replace("+00:00", "Z") for at in moments]
    expected = [None if text is None else parse_time(text) for text in texts]
    assert alike(Read.TIME, *texts) == expected


@given(st.lists(MOMENTS), st.lists(st.tuples(MOMENTS, ZONES)))
def test_times_with_and_without_zones_may_stand_together(
    bare: list[datetime], zoned: list[tuple[datetime, timezone]]
) -> None:
    texts = [at.isoformat(" ") for at in bare]
    texts += [at.replace(tzinfo=zone).isoformat() for at, zone in zoned]
    assert alike(Read.TIME, *texts) == [parse_time(text) for text in texts]


@given(
    st.sampled_from(list(MICROSECONDS)),
    st.lists(st.one_of(st.integers(0, 10**18 - 1), st.integers(0, 10**10)).map(str)),
)
def test_times_in_whole_units_are_exact_or_out_of_range(unit: TimeUnit, texts: list[str]) -> None:
    exact = [int(text) * MICROSECONDS[unit] for text in texts]
    expected = [at if at <= LATEST else None for at in exact]
    assert alike(Read.TIME, *texts, unit=unit) == expected


@given(st.lists(st.floats(0, 4e9, allow_subnormal=False).map(repr), min_size=1))
def test_times_in_parts_of_a_unit_are_rounded_to_the_microsecond(texts: list[str]) -> None:
    values = alike(Read.TIME, *texts)
    for text, at in zip(texts, values, strict=True):
        assert isinstance(at, int)
        assert abs(at - float(text) * 1e6) <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("noon", "cannot read the time"),
        ("nan", "cannot read the time"),
        ("inf", "cannot read the time"),
        ("0x1f", "cannot read the time"),
        ("31/12/2024", "cannot read the time"),
        ("2025-02-29", "cannot read the time"),
        ("-1", "time before 1970"),
        ("-0.5", "time before 1970"),
        ("1969-12-31T23:59:59Z", "time before 1970"),
        ("1700000000000", "time after the year 9999: is the time unit right?"),
        ("1e300", "time after the year 9999: is the time unit right?"),
        ("9" * 30, "time after the year 9999: is the time unit right?"),
        ("0001-01-01T00:00:00+14:00", "time before 1970"),
    ],
)
def test_times_that_mean_nothing_say_why(text: str, reason: str) -> None:
    values = read(Read.TIME, "5", text)
    assert values.faults == ((1, reason),)
    assert values.array.to_pylist() == [5_000_000, None]
    assert read(Read.TIME, text).faults == ((0, reason),)


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**15).map(str))))
def test_whole_numbers_are_read_exactly(texts: list[str | None]) -> None:
    assert alike(Read.WHOLE, *texts) == [None if text is None else int(text) for text in texts]


@given(st.lists(st.floats(0, 1e9).map(repr)))
def test_weights_are_read_exactly(texts: list[str]) -> None:
    assert alike(Read.WEIGHT, *texts) == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        (Read.WHOLE, "-1", "negative"),
        (Read.WHOLE, "1.5", "not a whole number"),
        (Read.WHOLE, "1_000", "not a whole number"),
        (Read.WHOLE, "nan", "not a whole number"),
        (Read.WHOLE, "1e99", "too large"),
        (Read.WHOLE, "0x1f", "not a whole number"),
        (Read.WEIGHT, "-0.1", "negative"),
        (Read.WEIGHT, "nan", "not a number"),
        (Read.WEIGHT, "inf", "not a number"),
        (Read.WEIGHT, "1e999", "not a number"),
        (Read.WEIGHT, "1,5", "not a number"),
        (Read.DATE, "31.5.1990", "not a date such as 1990-05-31"),
        (Read.DATE, "2026-01-02", "date of birth in the future"),
        (Read.ZONE, "Mars/Olympus", "unknown time zone"),
        (Read.ZONE, "../etc/passwd", "unknown time zone"),
        (Read.CHOICE, "spam", "not one of offers, tie_scoring"),
        (Read.CHOICES, "offers;spam", "not one of offers, tie_scoring"),
        (Read.WORD, "see you at 8?", "not a short name of letters, digits and underscores"),
        (Read.ID, "x" * 129, "longer than 128 characters"),
        (Read.ID, "a\x00b", "control characters"),
        (Read.ID, "a\x85b", "control characters"),
        (Read.TEXT, "x" * 257, "longer than 256 characters"),
        (Read.WHOLE, "9" * 17, "too large"),
        (Read.WEIGHT, "1e10", "too large"),
    ],
)
def test_values_that_mean_nothing_say_why(kind: Read, text: str, reason: str) -> None:
    values = read(kind, None, text)
    assert values.faults == ((1, reason),)
    assert values.array.to_pylist() == [None, None]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Read.WHOLE, "100.0", 100),
        (Read.WEIGHT, "+1.5e1", 15.0),
        (Read.CHOICE, "Offers", "offers"),
        (Read.CHOICES, "tie_scoring; offers,tie_scoring", "tie_scoring,offers"),
        (Read.CHOICES, ";", None),
        (Read.WORD, "Message", "message"),
        (Read.ID, "礼尚往来" * 32, "礼尚往来" * 32),
        (Read.TIME, "2026-02-17", parse_time("2026-02-17T00:00:00Z")),
        (Read.TIME, "20260217T080000+0800", parse_time("2026-02-17T00:00:00Z")),
    ],
)
def test_values_in_other_spellings_are_understood(kind: Read, text: str, value: object) -> None:
    assert read(kind, text).array.to_pylist() == [value]
    assert read(kind, text).faults == ()


def test_every_default_is_a_value_its_field_accepts() -> None:
    for kind in FILE_KINDS.values():
        for field in kind.fields:
            if field.default is not None:
                cells = pa.array([str(field.default)], pa.string())
                values = read_values(field, cells, NumericTimes("us"), TODAY)
                assert values.array.to_pylist() == [field.default], (kind.name, field.name)


def test_numeric_times_count_from_the_epoch_and_texts_do_not() -> None:
    epoch = parse_time("2026-10-25T00:00:00Z")
    field = Field("x", Read.TIME)

    def times(*cells: str) -> list[int | None]:
        numeric = NumericTimes("d", epoch)
        return read_values(field, pa.array(cells, pa.string()), numeric, TODAY).array.to_pylist()

    day = MICROSECONDS["d"]
    assert times("0", "2") == [epoch, epoch + 2 * day]
    assert times("0.5", "2") == [epoch + day // 2, epoch + 2 * day]
    assert times("2026-10-25T00:00:00Z") == [epoch]
    # Mixed columns are read one by one and must agree.
    assert times("1", "2026-10-25") == [epoch + day, epoch]
