"""Backtests as rows: what has ended stays as it ended, whoever still writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.domain.clock import DAY, SECOND
from engine.ledger import backtests
from engine.ledger.backtests import BacktestJob, JobState
from engine.ledger.database import Database

AT = 20_000 * DAY
JOB = BacktestJob("bt_1", "gift_send", "pack: x", None, AT, "k1", AT, AT)


@pytest.fixture
def kept(database: Database) -> Database:
    with database.writing() as unit:
        backtests.add(unit, JOB)
    return database


def _find(database: Database, backtest: str = "bt_1") -> BacktestJob | None:
    with database.reading() as unit:
        return backtests.find(unit, backtest)


def test_job_is_found_as_it_was_added(kept: Database) -> None:
    assert _find(kept) == JOB
    assert _find(kept, "bt_2") is None


def test_job_goes_its_way_and_tells_how_far_it_is(kept: Database) -> None:
    with kept.writing() as unit:
        assert backtests.begin(unit, "bt_1", AT + 1)
        assert backtests.advance(unit, "bt_1", 2_000, 5_000, AT + 2)
    running = replace(JOB, state=JobState.RUNNING, replayed=2_000, total=5_000, alive_at=AT + 2)
    assert _find(kept) == running
    with kept.writing() as unit:
        assert backtests.finish(unit, "bt_1", '{"decisions": 5001}', 5_001, AT + 3)
    assert _find(kept) == replace(
        running,
        state=JobState.DONE,
        replayed=5_001,
        total=5_001,
        report='{"decisions": 5001}',
        alive_at=AT + 3,
    )


@pytest.mark.parametrize("ended", [JobState.DONE, JobState.FAILED])
def test_job_that_has_ended_takes_no_change(kept: Database, ended: JobState) -> None:
    with kept.writing() as unit:
        if ended is JobState.DONE:
            backtests.finish(unit, "bt_1", "{}", 1, AT)
        else:
            backtests.fail(unit, "bt_1", "its worker ended")
    before = _find(kept)
    assert before is not None
    assert before.ended
    with kept.writing() as unit:
        assert not backtests.begin(unit, "bt_1", AT + DAY)
        assert not backtests.advance(unit, "bt_1", 9, 9, AT + DAY)
        assert not backtests.finish(unit, "bt_1", '{"late": true}', 9, AT + DAY)
        assert not backtests.fail(unit, "bt_1", "late")
        backtests.fail_silent(unit, AT + 2 * DAY, "late")
    assert _find(kept) == before


def test_jobs_fail_where_their_process_fell_silent_and_nowhere_else(kept: Database) -> None:
    with kept.writing() as unit:
        backtests.add(unit, replace(JOB, backtest="bt_2", alive_at=AT + 60 * SECOND))
        backtests.fail_silent(unit, AT + 30 * SECOND, "its worker ended")
    silent, alive = _find(kept), _find(kept, "bt_2")
    assert silent is not None
    assert alive is not None
    assert (silent.state, silent.fault) == (JobState.FAILED, "its worker ended")
    assert alive.state is JobState.WAITING


def test_jobs_are_forgotten_when_old_and_ended_only(kept: Database) -> None:
    with kept.writing() as unit:
        backtests.add(unit, replace(JOB, backtest="bt_2"))
        backtests.add(unit, replace(JOB, backtest="bt_3", created_at=AT + DAY))
        backtests.fail(unit, "bt_2", "no")
        backtests.fail(unit, "bt_3", "no")
        backtests.forget(unit, AT + 1)
    assert [_find(kept, f"bt_{n}") is not None for n in (1, 2, 3)] == [True, False, True]
