"""The backtesting job: a candidate tried on recorded decisions, in the background of one process.

Read the candidate → replay, telling progress → keep the report. What becomes of it stands in the
ledger, so that any process can tell; a job whose process ended is ended by whoever looks next.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

import orjson

from engine.domain.clock import DAY, SECOND, Clock
from engine.domain.errors import (
    Conflict,
    InvalidInput,
    LedgerUnavailable,
    LishangError,
    PackInvalid,
    UnknownReference,
)
from engine.domain.ids import new_id
from engine.domain.pack_life import Actor
from engine.domain.verdicts import PackRef
from engine.domain.versions import RecordedRow
from engine.ledger import backtests
from engine.ledger.backtests import BacktestJob
from engine.ledger.database import Database, Unit
from engine.policy.backtest import backtest
from engine.policy.compiling import check_compilable
from engine.policy.decisions import CATALOGUES
from engine.policy.packs import Pack, read_pack
from engine.policy.ports import DecisionLog
from engine.shipping import Shipping, attach_backtest

MOST_AT_ONCE: Final = 4
"""Jobs that one process takes on; one of them runs, the others wait."""
BEAT_SECONDS: Final = 2.0
"""How often a job's progress and its process's sign of life are noted."""
SILENT: Final = 30 * SECOND
"""Without a sign for so long (microseconds) its process is taken to have ended."""
KEPT: Final = 30 * DAY
"""How long (microseconds) an ended job is kept; reports stay with the versions they belong to."""
_GIVE_WAY_SECONDS = 0.001
_SWITCH_SECONDS = 0.0005
_ENDED = "its worker ended"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is tried: a pack, and the stored version that its report belongs to, if it is one."""

    pack: Pack
    version: PackRef | None = None


class Backtesting:
    """Runs backtests in threads of this process, one at a time.

    Parameters
    ----------
    database
        Where jobs are noted.
    log
        The recorded decisions.
    shipping
        Knows the stored versions and keeps their reports.
    clock
        Tells the present.
    """

    def __init__(
        self, database: Database, log: DecisionLog, shipping: Shipping, clock: Clock
    ) -> None:
        self._database = database
        self._log = log
        self._shipping = shipping
        self._clock = clock
        self._taken: set[str] = set()
        self._taking = threading.Lock()
        self._turn = threading.Lock()
        self._stopping = threading.Event()

    def candidate(self, text: str) -> Candidate:
        """Return the pack of a text that is not kept anywhere.

        Raises
        ------
        InvalidInput
            If it is no pack; the message begins with `candidate:line:column`.
        """
        return Candidate(_read(text, "candidate"))

    def stored(self, pack: str, version: int) -> Candidate:
        """Return a stored version.

        Raises
        ------
        UnknownReference
            If there is none.
        InvalidInput
            If this code cannot read it any more.
        """
        found = self._shipping.find(pack, version)
        return Candidate(_read(found.text, str(found)), found.ref)

    def begin(
        self, candidate: Candidate, since: int | None, until: int | None, actor: Actor
    ) -> BacktestJob:
        """Begin to try a candidate on the decisions from `since` to before `until` (microseconds).

        Raises
        ------
        InvalidInput
            If the window is empty.
        Conflict
            If this process has taken on as many as it may.
        LedgerUnavailable
            If the job cannot be noted.
        """
        if since is not None and until is not None and since >= until:
            raise InvalidInput("the window is empty", "`since` must come before `until`")
        at = self._clock()
        pack = candidate.pack
        job = BacktestJob(new_id("bt", at), pack.decides, pack.text, since, until, actor.id, at, at)
        with self._taking:
            if len(self._taken) >= MOST_AT_ONCE:
                raise Conflict(
                    f"{MOST_AT_ONCE} backtests run or wait here", "ask again when one has ended"
                )
            with self._database.writing() as unit:
                backtests.forget(unit, at - KEPT)
                backtests.add(unit, job)
            self._taken.add(job.backtest)
        run = _Run(job, candidate, actor, self._stopping)
        threading.Thread(target=self._live, args=(run,), name=job.backtest, daemon=True).start()
        return job

    def find(self, backtest: str) -> BacktestJob:
        """Return what is known of a job; one whose process ended has failed.

        Raises
        ------
        UnknownReference
            If there is no such job.
        LedgerUnavailable
            If the database cannot say.
        """
        job = self._look(backtest)
        silent_before = self._clock() - SILENT
        if not job.ended and job.alive_at < silent_before:
            with self._database.writing() as unit:
                backtests.fail_silent(unit, silent_before, _ENDED)
            job = self._look(backtest)
        return job

    def stop(self) -> None:
        """Let whatever runs or waits here fail soon."""
        self._stopping.set()

    def _look(self, backtest: str) -> BacktestJob:
        with self._database.reading() as unit:
            job = backtests.find(unit, backtest)
        if job is None:
            raise UnknownReference(f"no backtest {backtest!r}", "ended ones are kept for 30 days")
        return job

    def _live(self, run: _Run) -> None:
        """See a job through, in a thread of its own."""
        beating = threading.Thread(target=self._beat, args=(run,), daemon=True)
        beating.start()
        fault = "the replay broke off"
        try:
            with self._turn, _quick_to_switch():
                self._replay(run)
        except LishangError as error:
            fault = str(error)
        finally:
            run.over.set()
            beating.join()
            with self._taking:
                self._taken.discard(run.job.backtest)
            # Whatever ended the thread, nothing is left that seems to run.
            self._fail(run, fault)

    def _replay(self, run: _Run) -> None:
        with self._database.writing() as unit:
            if not backtests.begin(unit, run.job.backtest, self._clock()):
                return
        job, pack = run.job, run.candidate.pack
        report = backtest(pack, _Followed(self._log, run), job.since, job.until)
        text = orjson.dumps(report.as_json()).decode()
        with self._shipping.changing() as unit:
            fault = self._attach(unit, run, text)
            at = self._clock()
            if not backtests.finish(unit, job.backtest, text, report.decisions, at, fault):
                raise Conflict("the job was given up meanwhile", "nothing of it is kept")

    def _attach(self, unit: Unit, run: _Run, report: str) -> str | None:
        version = run.candidate.version
        if version is None:
            return None
        try:
            attach_backtest(unit, version.pack, version.version, report, run.actor, self._clock())
        except Conflict as error:
            # A version that decides already: worth trying, but its approver's report stays.
            return f"the report is not kept with the version: {error.message}"
        return None

    def _beat(self, run: _Run) -> None:
        while not run.over.wait(BEAT_SECONDS):
            try:
                with self._database.writing() as unit:
                    alive = backtests.advance(
                        unit, run.job.backtest, run.replayed, run.total, self._clock()
                    )
            except LishangError:
                continue  # the next beat may get through
            run.given_up = not alive

    def _fail(self, run: _Run, fault: str) -> None:
        """End a job that has not ended; if that cannot be noted, it falls silent."""
        with suppress(LedgerUnavailable), self._database.writing() as unit:
            backtests.fail(unit, run.job.backtest, fault)


class _Run:
    """One job on its way through this process."""

    def __init__(
        self, job: BacktestJob, candidate: Candidate, actor: Actor, stopping: threading.Event
    ) -> None:
        self.job = job
        self.candidate = candidate
        self.actor = actor
        self.replayed = 0
        self.total: int | None = None
        self.given_up = False
        """Others took this process for ended: whatever it finds is not asked for any more."""
        self.over = threading.Event()
        self._stopping = stopping

    def go_on(self) -> None:
        """Let others of this process run.

        Raises
        ------
        LishangError
            If nobody waits for the job any more.
        """
        if self.given_up or self._stopping.is_set():
            raise LishangError(_ENDED)
        time.sleep(_GIVE_WAY_SECONDS)


class _Followed:
    """A log that notes how far it was read and, between its parts, lets checks of others pass."""

    def __init__(self, log: DecisionLog, run: _Run) -> None:
        self._log = log
        self._run = run

    def recorded(
        self, decision: str, since: int | None, until: int | None
    ) -> Iterator[Sequence[RecordedRow]]:
        self._run.total = self.count(decision, since, until)
        for part in self._log.recorded(decision, since, until):
            yield part
            self._run.replayed += len(part)
            self._run.go_on()

    def count(self, decision: str, since: int | None, until: int | None) -> int:
        return self._log.count(decision, since, until)


@contextmanager
def _quick_to_switch() -> Iterator[None]:
    """Let others have the interpreter within half a millisecond: a check asks for it many times."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _read(text: str, file: str) -> Pack:
    try:
        pack = read_pack(text, file, CATALOGUES)
        check_compilable(pack)
    except PackInvalid as error:
        raise InvalidInput(error.message, error.hint) from None
    return pack
