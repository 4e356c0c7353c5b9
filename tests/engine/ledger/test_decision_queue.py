"""Decisions that wait to be written: each is, once, whatever the database does meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from engine.domain.errors import LedgerUnavailable
from engine.domain.ids import new_id
from engine.domain.verdicts import DecisionRecord, Effect, FactSet, PackRef, Verdict
from engine.ledger import decision_queue, tables
from engine.ledger.database import Database
from engine.ledger.decision_queue import MOST_AT_ONCE, DecisionQueue

VERDICT = Verdict("gift_send", Effect.ALLOW, (), PackRef("gift_send", 1, "0" * 64))


def _records(count: int) -> list[DecisionRecord]:
    facts = FactSet({"gift.price_fen": 900})
    return [DecisionRecord(new_id("dec", 5), "check", 5, VERDICT, facts, 100) for _ in range(count)]


def _ids(records: list[DecisionRecord]) -> list[str]:
    return sorted(record.decision_id for record in records)


def _kept(database: Database) -> list[str]:
    with database.reading() as unit:
        return sorted(unit.execute(select(tables.decisions.c.decision_id)).scalars())


def _rename(database: Database, one: str, other: str) -> None:
    with database.writing() as unit:
        unit.execute(text(f"ALTER TABLE {one} RENAME TO {other}"))


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def _writers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "decisions"]


@pytest.fixture
def queue(database: Database) -> Iterator[DecisionQueue]:
    made = DecisionQueue(database)
    yield made
    made.close()


def test_what_is_put_is_written_a_moment_later(database, queue) -> None:
    records = _records(3)
    queue.put(records)
    _wait_until(lambda: _kept(database) == _ids(records))
    assert queue.waiting == 0


def test_more_than_one_batch_is_written_whole_and_in_order(database, queue) -> None:
    records = _records(2 * MOST_AT_ONCE + 77)
    for begin in range(0, len(records), 100):
        queue.put(records[begin : begin + 100])
    queue.flush()
    assert _kept(database) == _ids(records)


def test_flush_returns_only_when_everything_before_it_is_written(database, queue) -> None:
    for _ in range(20):
        records = _records(2)
        queue.put(records)
        queue.flush()
        assert set(_ids(records)) <= set(_kept(database))


def test_close_writes_all_and_what_comes_later_is_written_at_once(database) -> None:
    queue = DecisionQueue(database)
    early, late = _records(50), _records(2)
    queue.put(early)
    queue.close()
    assert _kept(database) == _ids(early)
    queue.put(late)
    assert _kept(database) == _ids([*early, *late])


def test_writer_ends_when_nothing_comes_and_another_begins(database, queue, monkeypatch) -> None:
    monkeypatch.setattr(decision_queue, "IDLE_SECONDS", 0.05)
    for _ in range(2):
        records = _records(1)
        queue.put(records)
        _wait_until(lambda: queue.waiting == 0 and queue._writer is None)
    assert len(_kept(database)) == 2


def _without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_writer_that_cannot_begin_costs_nothing_and_the_next_decision_tries_again(
    database, queue, monkeypatch
) -> None:
    records = _records(5)
    with monkeypatch.context() as patch:
        _without_threads(patch)
        queue.put(records[:2])
        queue.put(records[2:4])
    assert (queue.waiting, _kept(database)) == (4, [])
    queue.put(records[4:])
    _wait_until(lambda: queue.waiting == 0)
    assert _kept(database) == _ids(records)


def test_close_writes_what_no_writer_could_be_begun_for(database, monkeypatch) -> None:
    queue, records = DecisionQueue(database), _records(3)
    with monkeypatch.context() as patch:
        _without_threads(patch)
        queue.put(records)
    queue.close()
    assert _kept(database) == _ids(records)


def test_many_threads_put_each_decision_once(database, queue) -> None:
    parts = [_records(5) for _ in range(200)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(queue.put, parts))
    queue.flush()
    assert _kept(database) == _ids([record for part in parts for record in part])


def test_while_the_database_refuses_decisions_are_kept_and_then_written(
    database, queue, monkeypatch
) -> None:
    monkeypatch.setattr(decision_queue, "RETRY_SECONDS", 0.05)
    records = _records(30)
    _rename(database, "decisions", "elsewhere")
    for record in records:
        queue.put([record])
    with pytest.raises(LedgerUnavailable):
        queue.flush()
    time.sleep(0.3)
    assert queue.waiting == 30
    _rename(database, "elsewhere", "decisions")
    _wait_until(lambda: queue.waiting == 0)
    assert _kept(database) == _ids(records)


def test_decisions_survive_a_database_that_somebody_holds_for_a_while(sqlite_database) -> None:
    queue = DecisionQueue(sqlite_database)
    records = _records(20)
    with sqlite_database.writing():
        queue.put(records[:10])
        time.sleep(0.5)
        queue.put(records[10:])
        assert queue.waiting == 20
    queue.close()
    assert _kept(sqlite_database) == _ids(records)


def test_beyond_the_bound_the_caller_writes_and_nothing_is_lost(database, monkeypatch) -> None:
    monkeypatch.setattr(decision_queue, "GATHER_SECONDS", 3_600.0)
    queue = DecisionQueue(database, most=10)
    waiting, more = _records(8), _records(3)
    queue.put(waiting)
    queue.put(more)
    assert _kept(database) == _ids(more)
    assert queue.waiting == 8
    queue.close()
    assert _kept(database) == _ids([*waiting, *more])


def test_beyond_the_bound_a_refusing_database_is_the_callers_error(database, monkeypatch) -> None:
    monkeypatch.setattr(decision_queue, "RETRY_SECONDS", 0.05)
    queue = DecisionQueue(database, most=10)
    _rename(database, "decisions", "elsewhere")
    waiting, refused = _records(10), _records(1)
    queue.put(waiting)
    with pytest.raises(LedgerUnavailable):
        queue.put(refused)
    _rename(database, "elsewhere", "decisions")
    queue.close()
    assert _kept(database) == _ids(waiting)


def test_close_on_a_database_that_never_comes_back_says_what_is_lost(database, monkeypatch) -> None:
    monkeypatch.setattr(decision_queue, "CLOSING_SECONDS", 0.3)
    queue = DecisionQueue(database)
    _rename(database, "decisions", "elsewhere")
    queue.put(_records(4))
    with pytest.raises(LedgerUnavailable, match="4 decisions could not be written"):
        queue.close()
    _rename(database, "elsewhere", "decisions")


def test_followers_are_told_how_many_wait_down_to_none(database, queue) -> None:
    told: list[int] = []
    queue.follow(told.append)
    queue.put(_records(7))
    _wait_until(lambda: queue.waiting == 0 and told[-1] == 0)
    assert 7 in told
