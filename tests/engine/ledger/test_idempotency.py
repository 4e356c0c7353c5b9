"""Answers kept for retries: what is pruned is old, also when it is taken anew at that moment."""

from __future__ import annotations

import threading
import time

from sqlalchemy import text

from engine.domain.clock import DAY
from engine.ledger import idempotency
from engine.ledger.database import Database
from engine.ledger.idempotency import KEPT_FOR, RequestKey

KEY = RequestKey("service", "key", "body")
AT = 100 * DAY


def _answered(database: Database, at: int, told: str) -> None:
    with database.writing() as unit:
        assert idempotency.claim(unit, KEY, at) is None
        idempotency.answer(unit, KEY, told)


def _prune(database: Database) -> int:
    with database.writing() as unit:
        return idempotency.prune(unit, AT, 500)


def test_answer_is_pruned_once_its_time_is_over(database: Database) -> None:
    _answered(database, AT - KEPT_FOR + 1, "young")
    assert _prune(database) == 0
    with database.writing() as unit:
        unit.execute(text("UPDATE idempotency SET recorded_at = recorded_at - 1"))
    assert _prune(database) == 1


def test_key_that_is_taken_anew_while_it_is_pruned_keeps_its_new_answer(
    postgresql_database: Database,
) -> None:
    database = postgresql_database
    _answered(database, AT - 2 * DAY, "old")
    pruned: list[int] = []
    pruning = threading.Thread(target=lambda: pruned.append(_prune(database)))
    with database.writing() as unit:
        assert idempotency.claim(unit, KEY, AT) is None
        pruning.start()
        _until_somebody_waits(database)
        idempotency.answer(unit, KEY, "new")
    pruning.join()
    with database.writing() as unit:
        assert (pruned, idempotency.claim(unit, KEY, AT + 1)) == ([0], "new")


def _until_somebody_waits(database: Database) -> None:
    until = time.monotonic() + 60
    asked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with database.reading() as unit:
        while not unit.execute(asked).scalar():
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.01)
