"""A turn is one transaction's at a time."""

from __future__ import annotations

import pytest

from engine.domain.errors import LedgerUnavailable
from engine.ledger.turns import Turn, taken


def test_turn_is_one_transactions_until_it_ends(postgresql_database) -> None:
    with postgresql_database.writing() as one:
        assert taken(one, Turn.PLACING)
        with postgresql_database.writing() as other:
            assert not taken(other, Turn.PLACING)
            assert taken(other, Turn.PRUNING)
    with postgresql_database.writing() as other:
        assert taken(other, Turn.PLACING)


def test_turn_of_a_transaction_that_failed_is_free_again(postgresql_database) -> None:
    with pytest.raises(LedgerUnavailable), postgresql_database.writing() as unit:
        assert taken(unit, Turn.PLACING)
        unit.exec_driver_sql("SELECT 1/0")
    with postgresql_database.writing() as unit:
        assert taken(unit, Turn.PLACING)


def test_turn_on_sqlite_is_whoevers_may_write(sqlite_database) -> None:
    with sqlite_database.writing() as unit:
        assert taken(unit, Turn.PLACING)
        assert taken(unit, Turn.PLACING)
