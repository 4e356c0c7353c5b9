"""Backtests as jobs: what was asked, how far it is, what came of it; any process may look."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from engine.ledger.statements import Statement

_COLUMNS = """backtest, state, decision, candidate, since, until, replayed, total, report, fault,
  key_id, created_at, alive_at"""
_INSERT = Statement(f"""
INSERT INTO backtests ({_COLUMNS})
VALUES (:backtest, :state, :decision, :candidate, :since, :until, :replayed, :total, :report,
  :fault, :key_id, :created_at, :alive_at)
""")
_FIND = Statement(f"SELECT {_COLUMNS} FROM backtests WHERE backtest = :backtest")
# What has ended is never changed again, whoever thinks it still goes on.
_OPEN = "state IN ('waiting', 'running')"
_BEGIN = Statement(f"""
UPDATE backtests SET state = 'running', alive_at = :at WHERE backtest = :backtest AND {_OPEN}
""")
_ADVANCE = Statement(f"""
UPDATE backtests SET replayed = :replayed, total = :total, alive_at = :at
WHERE backtest = :backtest AND {_OPEN}
""")
_FINISH = Statement(f"""
UPDATE backtests
SET state = 'done', report = :report, fault = :fault, replayed = :replayed, total = :replayed,
  alive_at = :at
WHERE backtest = :backtest AND {_OPEN}
""")
_FAIL = Statement(f"""
UPDATE backtests SET state = 'failed', fault = :fault WHERE backtest = :backtest AND {_OPEN}
""")
_FAIL_SILENT = Statement(f"""
UPDATE backtests SET state = 'failed', fault = :fault WHERE alive_at < :before AND {_OPEN}
""")
_FORGET = Statement(f"DELETE FROM backtests WHERE created_at < :before AND NOT ({_OPEN})")


class JobState(StrEnum):
    """How it goes with a backtest."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BacktestJob:
    """A backtest that was asked for; times in microseconds."""

    backtest: str
    decision: str
    candidate: str
    """The pack's YAML."""
    since: int | None
    until: int | None
    key_id: str
    created_at: int
    alive_at: int
    """When the process that runs it last gave a sign."""
    state: JobState = JobState.WAITING
    replayed: int = 0
    total: int | None = None
    """Decisions there are to replay; None until they are counted."""
    report: str | None = None
    """JSON, once it is done."""
    fault: str | None = None
    """Why it failed; or, if it is done, what else did not work."""

    @property
    def ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state in (JobState.DONE, JobState.FAILED)


def add(connection: Connection, job: BacktestJob) -> None:
    """Record a job that waits."""
    _INSERT.run(
        connection,
        backtest=job.backtest,
        state=job.state.value,
        decision=job.decision,
        candidate=job.candidate,
        since=job.since,
        until=job.until,
        replayed=job.replayed,
        total=job.total,
        report=job.report,
        fault=job.fault,
        key_id=job.key_id,
        created_at=job.created_at,
        alive_at=job.alive_at,
    )


def find(connection: Connection, backtest: str) -> BacktestJob | None:
    """Return the job with this id, if there is one."""
    row = _FIND.run(connection, backtest=backtest).one_or_none()
    return None if row is None else _job(row)


def begin(connection: Connection, backtest: str, at: int) -> bool:
    """Note that it runs; False if it has ended already."""
    return _BEGIN.run(connection, backtest=backtest, at=at).rowcount == 1


def advance(
    connection: Connection, backtest: str, replayed: int, total: int | None, at: int
) -> bool:
    """Note how far it is and that its process lives; False if it has ended already."""
    found = _ADVANCE.run(connection, backtest=backtest, replayed=replayed, total=total, at=at)
    return found.rowcount == 1


def finish(
    connection: Connection,
    backtest: str,
    report: str,
    replayed: int,
    at: int,
    fault: str | None = None,
) -> bool:
    """Keep its report; False if it has ended already, and then nothing is kept."""
    found = _FINISH.run(
        connection, backtest=backtest, report=report, fault=fault, replayed=replayed, at=at
    )
    return found.rowcount == 1


def fail(connection: Connection, backtest: str, fault: str) -> bool:
    """Note why it came to nothing; False if it has ended already."""
    return _FAIL.run(connection, backtest=backtest, fault=fault).rowcount == 1


def fail_silent(connection: Connection, before: int, fault: str) -> None:
    """End every job whose process gave its last sign before that instant (microseconds)."""
    _FAIL_SILENT.run(connection, before=before, fault=fault)


def forget(connection: Connection, before: int) -> None:
    """Drop ended jobs that were asked for before that instant (microseconds)."""
    _FORGET.run(connection, before=before)


def _job(row: Row[*tuple[Any, ...]]) -> BacktestJob:
    return BacktestJob(
        backtest=str(row.backtest),
        decision=str(row.decision),
        candidate=str(row.candidate),
        since=row.since,
        until=row.until,
        key_id=str(row.key_id),
        created_at=int(row.created_at),
        alive_at=int(row.alive_at),
        state=JobState(row.state),
        replayed=int(row.replayed),
        total=row.total,
        report=row.report,
        fault=row.fault,
    )
