"""Backtests as jobs: they go on by themselves, tell how far they are, and never seem to run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from engine import backtesting
from engine.backtesting import BEAT_SECONDS, MOST_AT_ONCE, SILENT, Backtesting
from engine.domain.clock import DAY, now
from engine.domain.errors import Conflict, InvalidInput, UnknownReference
from engine.domain.pack_life import Actor, PackState, StoredVersion
from engine.domain.versions import RecordedRow
from engine.evaluating import Evaluating
from engine.ledger import packs as stored_packs
from engine.ledger import tables
from engine.ledger.backtests import BacktestJob, JobState
from engine.ledger.database import Database
from engine.ledger.decision_log import RecordedDecisions
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.packs import read_pack
from engine.policy.reasons import read_reasons
from engine.shipping import Shipping

REASONS = read_reasons(
    """
reasons:
  - code: SHOWN_OFTEN
    en: {text: Shown often enough., next_step: Wait a week.}
    zh: {text: 展示次数已够。, next_step: 请等一周。}
""",
    "reasons.yaml",
)
PACK = """
pack: offer_show
decides: offer_show
version: {version}
owner: test
jurisdiction: CN
effective: {{from: 2026-01-01T00:00:00Z}}
params: {{most: {most}}}
rules:
  - id: often
    description: Not too often.
    when: person.shown_7d > params.most
    then: deny
    reason: SHOWN_OFTEN
    cite: {{source: ours, verified: false}}
"""
FACTS = {
    "person.offers_consent": True,
    "person.age_years": None,
    "offer.running": True,
    "offer.category": "tea",
    "person.held_out": False,
    "person.shown_7d": 0,
    "person.offer_redeemed": False,
}
AUTHOR = Actor("k1", "author")
DECISIONS = 100


class GatedLog:
    """A log that is read no further than a test lets it."""

    def __init__(self, log: RecordedDecisions) -> None:
        self._log = log
        self.gate = threading.Event()

    def recorded(
        self, decision: str, since: int | None, until: int | None
    ) -> Iterator[Sequence[RecordedRow]]:
        for part in self._log.recorded(decision, since, until):
            yield part[:10]
            assert self.gate.wait(60)
            yield part[10:]

    def count(self, decision: str, since: int | None, until: int | None) -> int:
        return self._log.count(decision, since, until)


class Bench:
    """A ledger with recorded decisions and a job that replays them."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.shipping = Shipping(database, folder)
        self.log = GatedLog(RecordedDecisions(database))
        self.job = self.another()
        pack = read_pack(PACK.format(version=1, most=50), "v1.yaml", CATALOGUES)
        policy = PolicyEngine([pack], REASONS)
        facts = [{**FACTS, "person.shown_7d": shown} for shown in range(DECISIONS)]
        Evaluating(database, policy).evaluate("offer_show", facts, now())
        policy.close()

    def another(self, ahead: int = 0) -> Backtesting:
        """The job of another process, as it were; its clock may be ahead."""
        return Backtesting(self.database, self.log, self.shipping, lambda: now() + ahead)

    def keep(self, version: int, most: int, state: PackState) -> None:
        text = PACK.format(version=version, most=most)
        pack = read_pack(text, "kept.yaml", CATALOGUES)
        kept = StoredVersion(
            pack.ref, "offer_show", text, state, pack.effective_from, None, AUTHOR, now(), "{}"
        )
        with self.database.writing() as unit:
            stored_packs.add(unit, kept)

    def begin(self, most: int = 20) -> BacktestJob:
        candidate = self.job.candidate(PACK.format(version=2, most=most))
        return self.job.begin(candidate, None, None, AUTHOR)

    def until(self, job: BacktestJob, holds: Callable[[BacktestJob], bool]) -> BacktestJob:
        end = time.monotonic() + 60
        while not holds(found := self.job.find(job.backtest)):
            assert time.monotonic() < end, found
            time.sleep(0.02)
        return found


@pytest.fixture
def bench(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(backtesting, "BEAT_SECONDS", BEAT_SECONDS / 40)
    made = Bench(database, tmp_path)
    yield made
    made.job.stop()
    made.log.gate.set()
    end = time.monotonic() + 60
    while any(thread.name.startswith("bt_") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_backtest_runs_tells_its_progress_and_ends_with_its_report(bench: Bench) -> None:
    job = bench.begin(most=20)
    assert (job.state, job.decision, job.key_id) == (JobState.WAITING, "offer_show", "k1")
    running = bench.until(job, lambda found: found.replayed == 10)
    assert (running.state, running.total, running.report) == (JobState.RUNNING, DECISIONS, None)
    bench.log.gate.set()
    done = bench.until(job, lambda found: found.ended)
    assert (done.state, done.fault, done.replayed) == (JobState.DONE, None, DECISIONS)
    report = orjson.loads(done.report or "")
    assert report["decisions"] == DECISIONS
    # 21 … 50 were allowed and would be denied.
    assert report["changes"]["newly_blocked"] == 30


def test_backtest_of_another_process_is_told_alike(bench: Bench) -> None:
    job = bench.begin()
    bench.log.gate.set()
    bench.until(job, lambda found: found.ended)
    assert bench.another().find(job.backtest) == bench.job.find(job.backtest)


def test_backtest_whose_process_fell_silent_has_failed_for_good(bench: Bench) -> None:
    job = bench.begin()
    bench.until(job, lambda found: found.replayed == 10)
    assert bench.another().find(job.backtest).state is JobState.RUNNING
    failed = bench.another(ahead=2 * SILENT).find(job.backtest)
    assert (failed.state, failed.fault) == (JobState.FAILED, "its worker ended")
    # Whatever the process that runs it still finds out, it stays so.
    bench.log.gate.set()
    _first(threads_of(job), lambda names: not names)
    assert bench.job.find(job.backtest) == failed


def test_report_of_a_backtest_that_was_given_up_is_not_kept_with_its_version(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.keep(2, 20, PackState.DRAFT)
    bench.log.gate.set()
    whole = bench.log.recorded

    def given_up_at_the_end(
        decision: str, since: int | None, until: int | None
    ) -> Iterator[Sequence[RecordedRow]]:
        yield from whole(decision, since, until)
        with bench.database.writing() as unit:
            unit.execute(tables.backtests.update().values(state="failed", fault="given up"))

    monkeypatch.setattr(bench.log, "recorded", given_up_at_the_end)
    job = bench.job.begin(bench.job.stored("offer_show", 2), None, None, AUTHOR)
    _first(threads_of(job), lambda names: not names)
    found = bench.job.find(job.backtest)
    assert (found.state, found.fault, found.report) == (JobState.FAILED, "given up", None)
    assert bench.shipping.find("offer_show", 2).backtest is None


def test_backtest_that_goes_on_is_never_taken_for_silent(bench: Bench) -> None:
    job = bench.begin()
    first = bench.until(job, lambda found: found.alive_at > job.alive_at)
    later = bench.until(job, lambda found: found.alive_at > first.alive_at)
    assert later.state is JobState.RUNNING


def test_backtests_wait_for_their_turn_and_too_many_are_refused(bench: Bench) -> None:
    jobs = [bench.begin() for _ in range(MOST_AT_ONCE)]
    with pytest.raises(Conflict):
        bench.begin()
    signs = [bench.until(job, lambda found: found.alive_at > found.created_at) for job in jobs]
    # Two signs of life later, whatever does not wait for its turn would have begun.
    for job, sign in zip(jobs, signs, strict=True):
        bench.until(job, lambda found, sign=sign: found.alive_at > sign.alive_at)
    states = [bench.job.find(job.backtest).state for job in jobs]
    assert states.count(JobState.RUNNING) == 1
    assert states.count(JobState.WAITING) == MOST_AT_ONCE - 1
    bench.log.gate.set()
    assert {bench.until(job, lambda found: found.ended).state for job in jobs} == {JobState.DONE}
    _first(threads_of(*jobs), lambda names: not names)
    bench.begin()


def test_backtest_of_a_draft_is_kept_with_it(bench: Bench) -> None:
    bench.keep(2, 20, PackState.DRAFT)
    bench.log.gate.set()
    job = bench.job.begin(bench.job.stored("offer_show", 2), None, None, AUTHOR)
    done = bench.until(job, lambda found: found.ended)
    assert (done.state, done.fault) == (JobState.DONE, None)
    assert bench.shipping.find("offer_show", 2).backtest == done.report
    [event] = bench.shipping.events("offer_show")
    assert (event.action.value, event.actor) == ("backtested", AUTHOR)


def test_backtest_of_what_decides_already_says_that_it_is_not_kept_with_it(bench: Bench) -> None:
    bench.keep(2, 20, PackState.ENFORCED)
    bench.log.gate.set()
    job = bench.job.begin(bench.job.stored("offer_show", 2), None, None, AUTHOR)
    done = bench.until(job, lambda found: found.ended)
    assert done.state is JobState.DONE
    assert done.report
    assert "not kept with the version" in (done.fault or "")
    assert bench.shipping.find("offer_show", 2).backtest is None


def test_backtest_replays_its_window_only(bench: Bench) -> None:
    bench.log.gate.set()
    candidate = bench.job.candidate(PACK.format(version=2, most=0))
    job = bench.job.begin(candidate, now() + DAY, None, AUTHOR)
    done = bench.until(job, lambda found: found.ended)
    assert (done.state, done.replayed) == (JobState.DONE, 0)


def test_backtest_without_its_ledger_fails_and_says_why(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise InvalidInput("the log cannot be read")

    monkeypatch.setattr(bench.log, "count", broken)
    failed = bench.until(bench.begin(), lambda found: found.ended)
    assert (failed.state, failed.fault) == (
        JobState.FAILED,
        "INVALID_INPUT: the log cannot be read",
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_backtest_that_breaks_unforeseen_does_not_seem_to_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.log, "count", lambda *_: 1 // 0)
    failed = bench.until(bench.begin(), lambda found: found.ended)
    assert (failed.state, failed.fault) == (JobState.FAILED, "the replay broke off")


def test_backtest_told_to_stop_fails(bench: Bench) -> None:
    job = bench.begin()
    bench.until(job, lambda found: found.replayed == 10)
    bench.job.stop()
    bench.log.gate.set()
    failed = bench.until(job, lambda found: found.ended)
    assert failed.state is JobState.FAILED


def test_backtest_of_no_pack_or_no_window_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match=r"candidate:\d+:\d+"):
        bench.job.candidate(PACK.format(version=2, most=1).replace("shown_7d", "shown"))
    with pytest.raises(UnknownReference):
        bench.job.stored("offer_show", 7)
    with pytest.raises(UnknownReference):
        bench.job.find("bt_none")
    candidate = bench.job.candidate(PACK.format(version=2, most=1))
    with pytest.raises(InvalidInput, match="empty"):
        bench.job.begin(candidate, 5, 5, AUTHOR)


def threads_of(*jobs: BacktestJob) -> Callable[[], list[str]]:
    """Return what tells which jobs still have a thread."""
    ids = {job.backtest for job in jobs}
    return lambda: [thread.name for thread in threading.enumerate() if thread.name in ids]


def _first(look: Callable, holds: Callable):
    end = time.monotonic() + 60
    while not holds(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.005)
    return found
