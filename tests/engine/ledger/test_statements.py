"""Statements on the drivers' own cursors: the transaction is SQLAlchemy's, the errors are ours."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from engine.domain.errors import LedgerUnavailable
from engine.ledger import tables
from engine.ledger.statements import Insertion, Statement

_COLUMNS = ("person", "blocked", "since", "recorded_at")
_BLOCK = Insertion("blocks", _COLUMNS)
_COUNT = Statement("SELECT count(*) FROM blocks WHERE since >= :since")
_LISTED = Statement(
    "SELECT CAST(value ->> 0 AS INTEGER), value ->> 1 FROM {each:listed} ORDER BY 1"
)
_MISSING = Statement("SELECT 1 FROM nowhere WHERE a = :a")


def _rows(count: int) -> list[tuple[str, str, int, int]]:
    return [(f"p{n}", "q", n, 0) for n in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 13, 128, 300])
def test_insertion_writes_any_number_of_rows_once(database, count) -> None:
    with database.writing() as unit:
        _BLOCK.run(unit, _rows(count))
    with database.reading() as unit:
        found = unit.execute(select(*(tables.blocks.c[name] for name in _COLUMNS))).all()
    assert sorted(map(tuple, found)) == sorted(_rows(count))


def test_what_the_driver_wrote_is_undone_with_the_rest_of_the_transaction(database) -> None:
    with pytest.raises(ZeroDivisionError), database.writing() as unit:
        _BLOCK.run(unit, _rows(3))
        assert _COUNT.rows(unit, since=0) == [(3,)]
        raise ZeroDivisionError
    with database.reading() as unit:
        assert _COUNT.row(unit, since=0) == (0,)


def test_savepoint_undoes_what_the_driver_wrote_inside_it(database) -> None:
    with database.writing() as unit:
        _BLOCK.run(unit, _rows(1))
        with unit.begin_nested() as savepoint:
            assert Statement("DELETE FROM blocks WHERE since = :since").change(unit, since=0) == 1
            savepoint.rollback()
    with database.reading() as unit:
        assert _COUNT.row(unit, since=0) == (1,)


def test_list_is_one_statement_whatever_its_length_and_its_letters(database) -> None:
    with database.reading() as unit:
        for listed in ("[]", '[[1, "a\'b"], [0, "礼 \\"x\\" %s :name ?"]]'):
            found = _LISTED.rows(unit, listed=listed)
            assert found == ([] if listed == "[]" else [(0, '礼 "x" %s :name ?'), (1, "a'b")])


@pytest.mark.parametrize("way", ["reading", "writing"])
def test_drivers_error_is_ours_and_the_next_unit_of_work_is_sound(database, way) -> None:
    for _ in range(4):
        with pytest.raises(LedgerUnavailable, match="nowhere"), getattr(database, way)() as unit:
            _MISSING.rows(unit, a=1)
    with database.reading() as unit:
        assert _COUNT.rows(unit, since=0) == [(0,)]


def test_units_of_work_at_once_have_connections_of_their_own(database) -> None:
    with database.reading() as one, database.reading() as other:
        assert one.connection.dbapi_connection is not other.connection.dbapi_connection
        assert _COUNT.rows(one, since=0) == _COUNT.rows(other, since=0)


def test_reading_sees_what_was_written_since_the_last_one(database) -> None:
    for n in range(3):
        with database.writing() as unit:
            _BLOCK.run(unit, [(f"p{n}", "q", n, 0)])
        with database.reading() as unit:
            assert _COUNT.row(unit, since=0) == (n + 1,)


def test_reading_keeps_nothing_that_is_written_in_it_on_sqlite(sqlite_database) -> None:
    with sqlite_database.reading() as unit:
        _BLOCK.run(unit, _rows(2))
    with sqlite_database.reading() as unit:
        assert _COUNT.row(unit, since=0) == (0,)


def test_connection_that_died_under_a_statement_is_not_lent_again(postgresql_database) -> None:
    pid_of = Statement("SELECT pg_backend_pid() WHERE :one = 1")
    with (
        pytest.raises(LedgerUnavailable, match=r"AdminShutdown|OperationalError"),
        postgresql_database.reading() as unit,
    ):
        [(dead,)] = pid_of.rows(unit, one=1)
        with postgresql_database.writing() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": dead})
        _COUNT.rows(unit, since=0)
    with postgresql_database.reading() as unit:
        [(alive,)] = pid_of.rows(unit, one=1)
        assert alive != dead
        assert _COUNT.rows(unit, since=0) == [(0,)]
