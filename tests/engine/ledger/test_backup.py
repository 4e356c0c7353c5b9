"""A backup and its return: the same ledger on either database, all of it or nothing."""

from __future__ import annotations

import json
import os
import random
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from engine.domain.clock import HOUR
from engine.domain.errors import Conflict, InvalidInput, LedgerUnavailable, LishangError
from engine.ledger import backup as backing
from engine.ledger import backup_restore as restoring
from engine.ledger import tables
from engine.ledger.audit import audit
from engine.ledger.backup import backup
from engine.ledger.backup_restore import restore
from engine.ledger.database import Database
from engine.ledger.feed import Feed
from engine.ledger.migration import head

PERSON = {"person": "an", "recorded_at": 0}


def _content(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, the outbox by place in the feed."""
    found = {}
    with database.reading(snapshot=True) as unit:
        for table in tables.metadata.sorted_tables:
            columns = [c for c in table.columns if c.name not in {"seq", "position"}]
            rows = unit.execute(select(*columns if table is tables.outbox else table.columns))
            found[table.name] = sorted(tuple(row) for row in rows)
    return found


def _positions(database: Database) -> list[tuple[int, str, int]]:
    return [(e.position, e.event.gift, e.event.number) for e in Feed(database).page(None, 1_000)]


def _assert_clean(house: Any, database: Database) -> None:
    with database.reading(snapshot=True) as unit:
        assert audit(unit, house.now).first == ()


@pytest.fixture
def saved(house, lived, tmp_path: Path) -> Path:
    """A backup of a ledger that was lived on, on each database in turn."""
    path = tmp_path / "saved.zip"
    backup(house.database, path, house.now)
    return path


@pytest.fixture
def empty(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path, sqlite_copy
) -> Database:
    """A migrated, empty ledger of the other kind than the one that a backup is of."""
    if database.is_sqlite:
        return request.getfixturevalue("another_postgresql_database")
    return sqlite_copy(tmp_path / "other.db")


def test_backup_restored_on_the_other_database_is_the_same_ledger(house, saved, empty) -> None:
    manifest = restore(empty, saved, replace=False)
    assert _content(empty) == _content(house.database)
    assert manifest.rows == sum(map(len, _content(empty).values()))
    assert _positions(empty) == _positions(house.database)
    _assert_clean(house, empty)


def test_restored_ledger_goes_on_where_it_was(house, saved, empty, lived) -> None:
    restore(empty, saved, replace=False)
    again = type(house)(type(house.world)(empty), house.policy)
    again._keys = house._keys  # answers to those of before came back, too
    before = _positions(empty)
    sent = again.send("cake", "bo", "an")
    again.moving.accept(lived["sent"], "bo", None, None, house.now + HOUR)
    after = _positions(empty)
    assert after[: len(before)] == before
    numbered = [(gift, number) for _, gift, number in after[len(before) :]]
    assert numbered == [(sent, 1), (lived["sent"], 2)]
    assert [place for place, _, _ in after] == list(range(1, len(after) + 1))
    _assert_clean(house, empty)


def test_places_in_the_feed_are_the_same_when_its_beginning_is_pruned(
    house, lived, empty, tmp_path
) -> None:
    kept = _positions(house.database)[7:]
    place = tables.outbox.c.seq if house.database.is_sqlite else tables.outbox.c.position
    with house.database.writing() as unit:
        unit.execute(delete(tables.outbox).where(place <= 7))
    backup(house.database, tmp_path / "pruned.zip", house.now)
    restore(empty, tmp_path / "pruned.zip", replace=False)
    assert _positions(empty) == kept
    assert kept[0][0] == 8
    _assert_clean(house, empty)


def test_events_without_a_place_come_after_all_others(house, lived, empty, tmp_path) -> None:
    _positions(house.database)  # everything has its place now
    late = [house.send("cake", sender="bo", recipient="an") for _ in range(3)]
    backup(house.database, tmp_path / "late.zip", house.now)
    restore(empty, tmp_path / "late.zip", replace=False)
    assert [gift for _, gift, _ in _positions(empty)][-3:] == late
    assert _positions(empty) == _positions(house.database)


def test_backup_is_one_snapshot_whatever_is_written_meanwhile(
    house, lived, empty, tmp_path, monkeypatch
) -> None:
    before, meanwhile = _content(house.database), iter((1, 2, 1, 2))
    write_table = backing._write_table

    def send_first(*arguments: Any) -> Any:
        for _ in range(next(meanwhile, 0)):
            house.send("gratis", sender="bo", recipient="an")
        return write_table(*arguments)

    monkeypatch.setattr(backing, "_write_table", send_first)
    backup(house.database, tmp_path / "meanwhile.zip", house.now)
    assert len(_content(house.database)["gifts"]) == len(before["gifts"]) + 6
    restore(empty, tmp_path / "meanwhile.zip", replace=False)
    assert _content(empty) == before


def test_file_is_its_owners_alone_and_says_what_it_holds(house, saved) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    with zipfile.ZipFile(saved) as archive:
        told = json.loads(archive.read("manifest.json"))
        assert archive.testzip() is None
        assert {name.removesuffix(".parquet") for name in archive.namelist()} - {
            "manifest.json"
        } == set(tables.metadata.tables)
    assert told["database"] == house.database.engine.dialect.name
    assert told["tables"]["gifts"]["rows"] == len(_content(house.database)["gifts"])


def test_backup_replaces_no_file_and_leaves_none_behind_that_is_not_whole(
    sqlite_database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "there.zip"
    path.write_text("dear")
    with pytest.raises(InvalidInput, match="exists already"):
        backup(sqlite_database, path, 0)
    assert path.read_text() == "dear"
    with pytest.raises(InvalidInput, match="No such file or directory"):
        backup(sqlite_database, tmp_path / "nowhere" / "b.zip", 0)
    with sqlite_database.writing() as unit:
        unit.exec_driver_sql("DROP TABLE vouchers")
    with pytest.raises(LedgerUnavailable):
        backup(sqlite_database, tmp_path / "half.zip", 0)
    assert not list(tmp_path.glob("*half*"))


def test_ledger_that_is_not_empty_is_replaced_only_on_demand(house, saved, empty) -> None:
    with empty.writing() as unit:
        unit.execute(insert(tables.people).values({**PERSON, "person": "new"}))
    with pytest.raises(Conflict, match="not empty: there are people"):
        restore(empty, saved, replace=False)
    assert [row[0] for row in _content(empty)["people"]] == ["new"]
    restore(empty, saved, replace=True)
    assert _content(empty) == _content(house.database)


def test_ledger_restored_over_itself_is_what_it_was(house, lived, saved) -> None:
    before, places = _content(house.database), _positions(house.database)
    for n in range(3):
        house.send("cake", sender="bo", recipient="an", at=house.now + n)
    restore(house.database, saved, replace=True)
    assert _content(house.database) == before
    assert _positions(house.database) == places
    house.send("cake", "bo", "an")
    _assert_clean(house, house.database)


def test_backup_of_another_schema_is_refused_with_what_to_do(
    sqlite_database: Database, tmp_path: Path
) -> None:
    with sqlite_database.writing() as unit:
        unit.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    backup(sqlite_database, tmp_path / "old.zip", 0)
    with sqlite_database.writing() as unit:
        unit.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{head()}'")
    with pytest.raises(InvalidInput, match="revision 0001") as refused:
        restore(sqlite_database, tmp_path / "old.zip", replace=True)
    assert "lishang migrate" in refused.value.hint


def test_no_damaged_file_is_restored(house, saved, empty, tmp_path) -> None:
    whole = saved.read_bytes()
    chance = random.Random(4)
    with empty.writing() as unit:
        unit.execute(insert(tables.people).values({**PERSON, "person": "kept"}))
    damaged = [whole[:-1], whole[: len(whole) // 2], b"", b"PK", whole[1:]]
    for _ in range(60):
        place = chance.randrange(len(whole))
        damaged.append(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
    refused = 0
    for content in damaged:
        path = tmp_path / "damaged.zip"
        path.write_bytes(content)
        try:
            restore(empty, path, replace=True)
        except LishangError as error:
            assert isinstance(error, InvalidInput)
            assert [row[0] for row in _content(empty)["people"]] == ["kept"]
            refused += 1
            continue
        # Some bytes of a zip mean nothing: then it is the same ledger.
        assert _content(empty) == _content(house.database)
        _empty_but_one(empty)
    assert refused > len(damaged) * 3 // 4


def _empty_but_one(database: Database) -> None:
    with database.writing() as unit:
        for table in reversed(tables.metadata.sorted_tables):
            unit.execute(table.delete())
        unit.execute(insert(tables.people).values({**PERSON, "person": "kept"}))


def test_file_changed_on_purpose_is_not_restored(house, saved, empty, tmp_path) -> None:
    """Another table's content under a true checksum, a repeated name, a packed file."""

    def rewritten(change: Callable[[dict[str, bytes]], None], packing: int) -> Path:
        path = tmp_path / "changed.zip"
        with zipfile.ZipFile(saved) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
        change(found)
        with zipfile.ZipFile(path, "w", packing) as archive:
            for name, content in found.items():
                archive.writestr(name, content)
        return path

    def swapped(found: dict[str, bytes]) -> None:
        told = json.loads(found["manifest.json"])
        told["tables"]["gifts"] = told["tables"]["people"]
        found["gifts.parquet"] = found["people.parquet"]
        found["manifest.json"] = json.dumps(told).encode()

    def fewer(found: dict[str, bytes]) -> None:
        told = json.loads(found["manifest.json"])
        del told["tables"]["gifts"]
        found["manifest.json"] = json.dumps(told).encode()

    for change, packing, said in (
        (swapped, zipfile.ZIP_STORED, "other columns or rows"),
        (fewer, zipfile.ZIP_STORED, "other tables"),
        (lambda found: found.pop("gifts.parquet"), zipfile.ZIP_STORED, "cannot be trusted"),
        (lambda found: None, zipfile.ZIP_DEFLATED, "packed anew"),
    ):
        with pytest.raises(InvalidInput, match=said):
            restore(empty, rewritten(change, packing), replace=False)
        with empty.reading() as unit:
            assert unit.execute(select(func.count()).select_from(tables.gifts)).scalar() == 0


def test_failure_in_the_middle_leaves_the_ledger_as_it_was(
    house, saved, lived, monkeypatch
) -> None:
    before = _content(house.database)
    inserted = restoring.BulkWriter.insert_new

    def fail_late(self: Any, name: str, *arguments: Any) -> Any:
        if name == "vouchers":
            raise LedgerUnavailable("torn")
        return inserted(self, name, *arguments)

    monkeypatch.setattr(restoring.BulkWriter, "insert_new", fail_late)
    with pytest.raises(LedgerUnavailable, match="torn"):
        restore(house.database, saved, replace=True)
    monkeypatch.undo()
    assert _content(house.database) == before
    house.send("cake", "bo", "an")  # the sequence of events is no lower than it was
    _assert_clean(house, house.database)


def test_large_tables_go_through_in_parts(database: Database, tmp_path, sqlite_copy) -> None:
    people = [{**PERSON, "person": f"p{n}"} for n in range(25_001)]
    with database.writing() as unit:
        unit.execute(insert(tables.people), people)
    backup(database, tmp_path / "many.zip", 0)
    other = sqlite_copy(tmp_path / "other.db")
    assert restore(other, tmp_path / "many.zip", replace=False).tables["people"].rows == 25_001
    assert _content(other)["people"] == _content(database)["people"]


@pytest.mark.parametrize("links", [True, False])
def test_of_two_backups_at_once_to_one_name_one_is_made(
    house, lived, tmp_path, monkeypatch, links
) -> None:
    path, write = tmp_path / "one.zip", backing._write
    if not links:
        monkeypatch.setattr(os, "link", _no_link)

    def overtaken(*given: Any) -> Any:
        manifest = write(*given)
        path.write_bytes(b"of the other one")
        return manifest

    monkeypatch.setattr(backing, "_write", overtaken)
    with pytest.raises(InvalidInput, match="exists already"):
        backup(house.database, path, house.now)
    assert path.read_bytes() == b"of the other one"
    assert list(tmp_path.glob(".one.zip*")) == []


def test_backup_is_made_where_a_file_has_one_name_only(
    house, lived, empty, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(os, "link", _no_link)
    path = tmp_path / "saved.zip"
    backup(house.database, path, house.now)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    restore(empty, path, replace=False)
    assert _content(empty) == _content(house.database)


def _no_link(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE postings SET fen = 'free'", "postings.fen"),
        ("UPDATE gifts SET price_fen = 0.5", "gifts.price_fen"),
        ("UPDATE vouchers SET code_hash = x'ff' WHERE redeemed_at > 0", "vouchers.code_hash"),
    ],
)
def test_backup_of_what_its_column_is_not_for_says_which(
    house, lived, tmp_path, change, named
) -> None:
    if not house.database.is_sqlite:
        pytest.skip("PostgreSQL keeps nothing else in a column than what it is for")
    with house.database.writing() as unit:
        unit.exec_driver_sql(change)
    with pytest.raises(InvalidInput, match=named):
        backup(house.database, tmp_path / "odd.zip", house.now)
    assert list(tmp_path.glob("*.zip*")) == []
