"""Files of every form give the same rows, and every fault its true line."""

from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.clock import DAY, SECOND
from engine.domain.errors import FileRefused, InvalidInput
from training.importing import FILE_KINDS, read_interactions, reading
from training.importing.fields import mapping_of
from training.importing.reading import Source

KIND = FILE_KINDS["interactions"]
TEXT = "sender,recipient,weight,occurred_at\na,b,1.5,100\nb,a,,200\n"


def seen(path: Path, mapping: dict[str, str] | None = None) -> list[tuple[str, str, float, int]]:
    columns = read_interactions(path, mapping)
    return list(
        zip(
            columns.sender.tolist(),
            columns.recipient.tolist(),
            columns.weight.tolist(),
            columns.occurred_at.tolist(),
            strict=True,
        )
    )


EXPECTED = [("a", "b", 1.5, 100 * SECOND), ("b", "a", 1.0, 200 * SECOND)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.csv", TEXT.encode()),
        ("bom.csv", b"\xef\xbb\xbf" + TEXT.encode()),
        ("dos.csv", TEXT.replace("\n", "\r\n").encode()),
        ("tabs.tsv", TEXT.replace(",", "\t").encode()),
        ("tabs.tsv.gz", gzip.compress(TEXT.replace(",", "\t").encode(), mtime=0)),
        ("tabs.inter", TEXT.replace(",", "\t").encode()),
        ("semicolons.csv", TEXT.replace(",", ";").encode()),
        ("packed.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),
        ("packed_without_saying.csv", gzip.compress(TEXT.encode(), mtime=0)),
        ("no_last_newline.csv", TEXT.rstrip("\n").encode()),
        ("blank_lines.csv", TEXT.replace("\n", "\n\n").encode()),
        ("spaced.csv", TEXT.replace(",", " , ").encode()),
        ("capitals.csv", TEXT.replace("sender", " Sender").encode()),
        (
            "quoted.csv",
            b'"sender",recipient,weight,occurred_at\n"a","b",1.5,100\nb,a,"",200\n',
        ),
        ("more_columns.csv", b"x,occurred_at,weight,recipient,sender\n,100,1.5,b,a\n,200,,a,b\n"),
    ],
)
def test_reading_any_form_gives_the_same_rows(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert seen(path) == EXPECTED


@pytest.mark.parametrize("packed", [False, True])
def test_reading_parquet_understands_its_types(tmp_path: Path, packed: bool) -> None:
    table = pa.table(
        {
            "sender": pa.array([1, 2], pa.int32()),
            "recipient": pa.array(["x", "y"]).dictionary_encode(),
            "weight": pa.array([1.5, None]),
            "occurred_at": pa.array(
                [datetime(1970, 1, 2, tzinfo=UTC), datetime(1970, 1, 3, tzinfo=UTC)],
                pa.timestamp("ms", tz="UTC"),
            ),
        }
    )
    path = tmp_path / "m.parquet"
    pq.write_table(table, path)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert seen(path) == [("1", "x", 1.5, DAY), ("2", "y", 1.0, 2 * DAY)]


def test_reading_parquet_lists_are_sets_of_names(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    pq.write_table(
        pa.table({"person": ["a", "b"], "consents": [["offers", "tie_scoring"], []]}), path
    )
    (batch,) = Source(FILE_KINDS["people"], path).batches()
    assert batch.cells["consents"].to_pylist() == ["offers,tie_scoring", None]


def test_reading_parquet_counts_rows_from_one(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    times = pa.array([1.0, float("nan")])
    pq.write_table(
        pa.table({"sender": ["a"] * 2, "recipient": ["b"] * 2, "occurred_at": times}), path
    )
    with pytest.raises(FileRefused, match=r"m\.parquet:2: occurred_at: cannot read the time"):
        read_interactions(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    notes=st.lists(st.text(st.sampled_from('ab,"\n\r;'), max_size=6), min_size=1, max_size=30),
    broken=st.integers(0, 29),
)
def test_reading_quoted_line_breaks_keeps_true_line_numbers(
    tmp_path: Path, notes: list[str], broken: int
) -> None:
    """Whatever an unused column holds, a bad row is reported at the line where it begins."""
    broken %= len(notes)
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["note", "sender", "recipient", "occurred_at"])
    for index, note in enumerate(notes):
        if index == broken:
            starts_at = len(_lines(out.getvalue()))
        writer.writerow([note, "a", "b", "noon" if index == broken else "1"])
    path = tmp_path / "m.csv"
    path.write_bytes(out.getvalue().encode())
    with pytest.raises(FileRefused, match=rf"m\.csv:{starts_at + 1}: occurred_at: "):
        read_interactions(path)


def _lines(text: str) -> list[str]:
    return io.StringIO(text, newline="").readlines()


def test_reading_an_open_quotation_mark_is_a_bad_row_not_lost_rows(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(TEXT + '"a,b,1,300\nc,d,1,400\n')
    with pytest.raises(FileRefused, match=r"m\.csv:4: not CSV: unexpected end of data"):
        read_interactions(path)


def test_reading_goes_on_after_a_row_that_is_no_csv(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text('sender,recipient,occurred_at\n"a"x,b,1\nc,d,2\nc,d\ne,f,3\n')
    batches = list(Source(KIND, path).batches())
    assert [line for batch in batches for line in batch.lines.tolist()] == [3, 5]
    assert [(r.line, r.reason) for batch in batches for r in batch.misfits] == [
        (2, "not CSV: ',' expected after '\"'"),
        (4, "2 columns where 3 are named"),
    ]


def test_reading_tsv_takes_quotation_marks_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "items.tsv"
    path.write_text('item\tname\tprice_fen\n1\t"Weird Al\t5\n2\tEat "It"\t5\n')
    (batch,) = Source(FILE_KINDS["items"], path).batches()
    assert batch.cells["name"].to_pylist() == ['"Weird Al', 'Eat "It"']


def test_reading_rows_that_are_not_utf8_finds_just_those(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes("sender,recipient,occurred_at\n礼,b,1\n".encode() + b"\xff,b,2\nc,d,3\n")
    (batch,) = Source(KIND, path).batches()
    assert batch.cells["sender"].to_pylist() == ["礼", "c"]
    assert [(r.line, r.reason) for r in batch.misfits] == [(3, "not UTF-8 text")]


def test_reading_in_many_batches_is_reading_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.csv"
    rows = [f"s{n},r{n % 7},{n}" if n % 50 else f"s{n}" for n in range(1, 500)]
    path.write_text("\n".join(["sender,recipient,occurred_at", *rows]) + "\n")
    (whole,) = Source(KIND, path).batches()
    monkeypatch.setattr(reading, "CHUNK", 64)
    monkeypatch.setattr(reading, "_PIECE", 10)
    parts = list(Source(KIND, path).batches())
    assert len(parts) > 5
    assert np.concatenate([p.lines for p in parts]).tolist() == whole.lines.tolist()
    assert [s for p in parts for s in p.cells["sender"].to_pylist()] == whole.cells[
        "sender"
    ].to_pylist()
    assert [r.line for p in parts for r in p.misfits] == [r.line for r in whole.misfits]
    assert [p.share for p in parts] == sorted(p.share for p in parts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no header"),
        (b"sender,occurred_at\na,1\n", "has no column for recipient"),
        (b"sender,sender,recipient,occurred_at\n", "more than one column 'sender'"),
        (gzip.compress(TEXT.encode() * 9_000, mtime=0)[:-20], "cannot be decompressed"),
        (b"PAR1 but no more", "no readable Parquet"),
        (TEXT.encode("utf-16"), "not UTF-8 text"),
    ],
)
def test_reading_what_is_no_such_file_says_why(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(content)
    with pytest.raises(FileRefused, match=message):
        read_interactions(path)


def test_reading_a_missing_file_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read"):
        read_interactions(tmp_path / "none.csv")


def test_reading_a_header_alone_gives_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("sender,recipient,occurred_at\n")
    columns = read_interactions(path)
    assert len(columns.sender) == len(columns.weight) == len(columns.occurred_at) == 0


def test_reading_with_a_mapping_takes_the_named_columns(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("from,to,when\na,b,100\n")
    mapping = {"sender": "from", "recipient": "to", "interactions.occurred_at": "When"}
    assert seen(path, mapping) == [("a", "b", 1.0, 100 * SECOND)]


def test_mapping_of_one_kind_outranks_that_of_all() -> None:
    mapping = {"item": "product", "gifts.item": "sku", "item-events.person": "user"}
    assert mapping_of(FILE_KINDS["gifts"], mapping) == {"item": ("sku", True)}
    assert mapping_of(FILE_KINDS["items"], mapping) == {"item": ("product", False)}
    assert mapping_of(FILE_KINDS["item_events"], mapping) == {
        "item": ("product", False),
        "person": ("user", True),
    }


def test_fingerprint_is_that_of_the_content(tmp_path: Path) -> None:
    plain, packed, other = (tmp_path / name for name in ("a.csv", "b.csv.gz", "c.csv"))
    plain.write_text(TEXT)
    packed.write_bytes(gzip.compress(TEXT.encode(), mtime=1))
    other.write_text(TEXT + "c,d,1,1\n")
    prints = [Source(KIND, path).fingerprint() for path in (plain, packed, other)]
    assert prints[0] == prints[1] != prints[2]
