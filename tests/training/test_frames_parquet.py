"""A frame of ties as a file: the features the model would read, their meaning, and the labels."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from api.cli import main
from engine.domain.clock import DAY, format_time
from engine.domain.errors import InvalidInput
from engine.domain.events import FriendshipChanged, Interacted
from engine.domain.pair_state import DEFAULT_LAYOUT
from engine.ledger import intake
from engine.ledger.database import Database
from models.features.pair import pair_features, pair_matrix
from training.frames.parquet import write_tie_frame
from training.frames.ties import TieFrames

CUTOFF = 20_000 * DAY


@pytest.fixture
def frame(write_log):
    """`an` and `bo` call on before and after the cut-off, `cy` and `di` before it only."""
    called = [
        ("an", "bo", -3),
        ("bo", "an", -1),
        ("an", "bo", 2),
        ("an", "bo", 9),
        ("di", "cy", -5),
    ]
    rows = [
        {"sender": one, "recipient": other, "occurred_at": CUTOFF + days * DAY}
        for one, other, days in called
    ]
    return TieFrames(write_log(interactions=rows)).at(CUTOFF, 7 * DAY)


def test_frame_in_a_file_has_every_feature_by_name_as_the_model_reads_it(
    frame, tmp_path: Path
) -> None:
    path = tmp_path / "frame.parquet"
    assert write_tie_frame(frame, path, CUTOFF, 7 * DAY) == 2
    table = pq.read_table(path)
    names = pair_features().names
    assert table.column_names == ["first", "second", *names, "amount", "exchanged"]
    pairs = zip(table["first"].to_pylist(), table["second"].to_pylist(), strict=True)
    assert dict(zip(pairs, table["amount"].to_pylist(), strict=True)) == {
        ("an", "bo"): 1.0,
        ("cy", "di"): 0.0,
    }
    assert table["exchanged"].to_pylist() == [a > 0 for a in table["amount"].to_pylist()]
    rows = frame.rows
    expected = pair_matrix(DEFAULT_LAYOUT, rows.out, rows.back, rows.structure, CUTOFF)
    found = np.column_stack([table[name].to_numpy() for name in names])
    np.testing.assert_array_equal(found, expected)
    assert expected.any()


def test_columns_of_a_frame_say_what_they_are(frame, tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    write_tie_frame(frame, path, CUTOFF, 7 * DAY)
    schema = pq.read_schema(path)
    assert schema.metadata[b"cutoff"].decode() == format_time(CUTOFF)
    assert int(schema.metadata[b"horizon_us"]) == 7 * DAY
    for feature in pair_features().features:
        told = schema.field(feature.name).metadata
        assert told[b"meaning"].decode() == feature.meaning
        assert told[b"unit"].decode() == feature.unit
    assert all(b"meaning" in field.metadata for field in schema)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_frame_replaces_no_file(frame, tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    path.write_text("mine")
    with pytest.raises(InvalidInput, match="exists already"):
        write_tie_frame(frame, path, CUTOFF, 7 * DAY)
    assert path.read_text() == "mine"


def test_frames_command_builds_from_the_ledger_what_was_known_then(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path
) -> None:
    calls = [
        Interacted(f"c{days}", CUTOFF + days * DAY, "an", "bo", "call", 2.0) for days in (-3, 2, 9)
    ]
    pairs = [("cy", "di"), ("di", "cy")]
    friends = [FriendshipChanged(f"f{p}", CUTOFF - DAY, *p, True) for p in pairs]
    with sqlite_database.writing() as unit:
        intake.receive(unit, [*calls[:1], *friends], CUTOFF - 1)
        intake.receive(unit, calls[1:], CUTOFF + 10 * DAY)
    path = tmp_path / "frame.parquet"
    env = {"LISHANG_DATABASE_URL": sqlite_url, "LISHANG_HOME": str(tmp_path)}
    asked = ["frames", "build", "ties", "--cutoff", format_time(CUTOFF), "--out", str(path)]
    done = CliRunner().invoke(main, [*asked, "--horizon", "7"], env=env)
    assert done.exit_code == 0, done.output
    table = pq.read_table(path).select(["first", "second", "amount", "exchanged"])
    assert sorted(table.to_pylist(), key=lambda row: str(row["first"])) == [
        {"first": "an", "second": "bo", "amount": 2.0, "exchanged": True},
        {"first": "cy", "second": "di", "amount": 0.0, "exchanged": False},
    ]
    beyond = CliRunner().invoke(main, [*asked, "--horizon", "100000"], env=env)
    never = CliRunner().invoke(main, [*asked, "--horizon", "0"], env=env)
    assert (beyond.exit_code, never.exit_code) == (2, 2)
    assert "nobody knows yet" in beyond.stderr
