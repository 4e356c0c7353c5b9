"""The presets on the real data they are for."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.domain.errors import FileRefused, InvalidInput
from engine.ledger.database import Database
from training.importing import RESEARCH_CONSENTS, ImportOptions, import_sources, preset_sources


def count(database: Database, query: str) -> int:
    with database.reading() as connection:
        return int(connection.execute(text(query)).scalar_one())


def bring(database: Database, name: str, folder: Path) -> list[tuple[int, int, int]]:
    options = ImportOptions(consents=RESEARCH_CONSENTS, rejects=folder / "never")
    report = import_sources(database, preset_sources(name, folder), options)
    return [(file.read, file.new, file.bad) for file in report.files]


def test_copenhagen_goes_in_whole_and_once(database: Database, lishang_data: Path) -> None:
    folder = lishang_data / "copenhagen"
    listing = sorted(folder.iterdir())
    # 6,429 edges, 11 of them from a person to themselves, both ways.
    expected = [787, 2 * (6_429 - 11), 24_333, 3_600]
    assert bring(database, "copenhagen", folder) == [(n, n, 0) for n in expected]
    assert bring(database, "copenhagen", folder) == [(n, 0, 0) for n in expected]
    assert sorted(folder.iterdir()) == listing
    assert count(database, "SELECT count(*) FROM interactions WHERE kind = 'message'") == 24_333
    assert count(database, "SELECT count(*) FROM interactions WHERE kind = 'call'") == 3_600
    # 21 messages repeat another in every column and are messages all the same.
    distinct = "SELECT DISTINCT sender, recipient, occurred_at FROM interactions"
    repeated = f"SELECT count(*) FROM ({distinct} WHERE kind = 'message') AS once"
    assert count(database, repeated) == 24_333 - 21
    one_way = (
        "SELECT count(*) FROM friendships f WHERE NOT EXISTS (SELECT 1 FROM friendships b"
        " WHERE b.person = f.friend AND b.friend = f.person)"
    )
    assert count(database, one_way) == 0
    people = count(database, "SELECT count(*) FROM people")
    assert count(database, "SELECT count(*) FROM consents") == 3 * people


def test_copenhagen_calls_weigh_by_their_length(
    sqlite_database: Database, lishang_data: Path
) -> None:
    bring(sqlite_database, "copenhagen", lishang_data / "copenhagen")
    with sqlite_database.reading() as connection:
        first = connection.execute(
            text("SELECT weight FROM interactions WHERE kind = 'call' AND occurred_at = 184000000")
        ).scalar_one()
    assert first == pytest.approx(1 + math.log2(1 + 121 / 60))
    missed = "SELECT count(*) FROM interactions WHERE weight = 0.5"
    assert count(sqlite_database, missed) == 366


def test_lastfm_goes_in_whole_and_once(database: Database, lishang_data: Path) -> None:
    folder = lishang_data / "lastfm"
    expected = [17_632, 25_434, 92_834]
    assert bring(database, "lastfm", folder) == [(n, n, 0) for n in expected]
    assert bring(database, "lastfm", folder) == [(n, 0, 0) for n in expected]
    assert count(database, "SELECT count(*) FROM people") == 1_892
    unknown = "SELECT count(*) FROM item_events WHERE item NOT IN (SELECT item FROM items)"
    assert count(database, unknown) == 0
    with database.reading() as connection:
        row = connection.execute(
            text("SELECT name, price_fen, tier, category FROM items WHERE item = '1'")
        ).one()
    assert tuple(row) == ("MALICE MIZER", 1_000, "basic", "artist")


def test_preset_unknown_or_elsewhere_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no preset is called 'oslo'"):
        preset_sources("oslo", tmp_path)
    with pytest.raises(InvalidInput, match=r"needs .*genders\.csv"):
        preset_sources("copenhagen", tmp_path)


def test_copenhagen_made_like_leaves_out_loops_and_finds_faults(
    sqlite_database: Database, tmp_path: Path
) -> None:
    (tmp_path / "genders.csv").write_text("user,female\n1,0\n2,1\n")
    (tmp_path / "fb_friends.csv").write_text(" user_a,user_b\n1,1\n1,2\n")
    (tmp_path / "sms.csv").write_text("timestamp,sender,recipient\n5,1,2\n")
    (tmp_path / "calls.csv").write_text("timestamp,caller,callee,duration\n5,1,2,-1\n6,1,2,60\n")
    assert bring(sqlite_database, "copenhagen", tmp_path) == [
        (2, 2, 0),
        (2, 2, 0),
        (1, 1, 0),
        (2, 2, 0),
    ]
    with sqlite_database.reading() as connection:
        weights = connection.execute(
            text("SELECT weight FROM interactions WHERE kind = 'call' ORDER BY occurred_at")
        ).scalars()
        assert list(weights) == [0.5, 2.0]
    (tmp_path / "calls.csv").write_text("timestamp,caller,callee,duration\n5,1,2,long\n")
    with pytest.raises(FileRefused, match="weight: not a number"):
        bring(sqlite_database, "copenhagen", tmp_path)
