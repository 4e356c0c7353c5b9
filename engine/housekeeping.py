"""Housekeeping: what happens by itself, done by a thread of every worker.

Gifts whose time has come are moved, events get their places in the feed, and what is old is
forgotten. However many workers do it at once, nothing is done twice: a gift is moved under its row
lock from the state it is in, and of the rest one transaction at a time has its turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

import structlog

from engine.domain.clock import DAY, Clock
from engine.ledger import idempotency, outbox
from engine.ledger.database import Database, Unit
from engine.ledger.feed import Feed
from engine.ledger.turns import Turn, taken

EVENTS_KEPT: Final = 30 * DAY
"""How long (microseconds) an event stays in the feed."""
INTERVAL_SECONDS: Final = 1.0
PRUNE_SECONDS: Final = 60.0
"""How often is looked for what is old."""
_ROWS_AT_ONCE = 500
_MOST_BATCHES = 20
_PAUSE_SECONDS = 0.01
"""Between two batches others get at SQLite's one write lock."""


class Expiring(Protocol):
    """Who moves gifts whose time has come."""

    def expire_due(self, at: int, go_on: Callable[[], bool]) -> int:
        """Move the gifts that are due at `at` (microseconds) for as long as `go_on`, asked after
        each, says so; return how many."""
        ...


class HousekeepingMetrics(Protocol):
    """Where it is told what was done and what is at fault."""

    def gifts_swept(self, gifts: int) -> None:
        """Count gifts that were moved because their time had come."""

    def housekeeping_fault(self, task: str) -> None:
        """Count that a task could not be done."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    gifts: int
    """Moved because their time had come."""
    placed: int
    """Events that got their place in the feed."""
    answers: int
    """Kept for retries, now forgotten."""
    events: int
    """That left the feed."""


class Housekeeping:
    """Keeps the ledger of one process's service in order.

    Parameters
    ----------
    database
        The ledger.
    moving
        Moves gifts.
    clock
        Tells the time in microseconds.
    interval
        Seconds from one round to the next.
    """

    def __init__(
        self,
        database: Database,
        moving: Expiring,
        clock: Clock,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._database = database
        self._feed = Feed(database)
        self._moving = moving
        self._clock = clock
        self._interval = interval
        self._metrics: HousekeepingMetrics | None = None
        self._faults: dict[str, str] = {}
        self._prune_from = monotonic()
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def once(self, at: int) -> Round:
        """Do everything that is due at `at` (microseconds), here and now.

        Raises
        ------
        LishangError
            If something cannot be done; what was done before stays done.
        """
        return Round(
            self._expire(at), self._feed.place(), self._forget_answers(at), self._forget_events(at)
        )

    def start(self, metrics: HousekeepingMetrics | None = None) -> None:
        """Do a round every interval, in the background, until `stop`."""
        with self._starting:
            self._metrics = metrics or self._metrics
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._keep, name="housekeeping", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End after what is under way; returns when it has ended."""
        self._stopping.set()
        with self._starting:
            if self._thread is not None:
                self._thread.join()

    def _keep(self) -> None:
        while not self._stopping.wait(self._interval):
            self._do("expire", lambda: self._expire(self._clock()))
            self._do("place", self._feed.place)
            if monotonic() >= self._prune_from:
                self._prune_from = monotonic() + PRUNE_SECONDS
                self._do("forget answers", lambda: self._forget_answers(self._clock()))
                self._do("forget events", lambda: self._forget_events(self._clock()))

    def _do(self, task: str, work: Callable[[], int]) -> None:
        """Do a task whatever became of the one before, and go on whatever becomes of it."""
        try:
            work()
        # Everything: were this thread to die, gifts would expire no more, without a word.
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            told = self._faults.get(task) == why
            self._faults[task] = why
            with suppress(Exception):  # such as a log that cannot be written
                if self._metrics is not None:
                    self._metrics.housekeeping_fault(task)
                if not told:
                    structlog.get_logger("housekeeping").error("not done", task=task, why=why)
        else:
            self._faults.pop(task, None)

    def _expire(self, at: int) -> int:
        return self._moving.expire_due(at, self._swept)

    def _swept(self) -> bool:
        # One by one: a fault that ends the round takes no count with it.
        if self._metrics is not None:
            self._metrics.gifts_swept(1)
        return not self._stopping.is_set()

    def _forget_answers(self, at: int) -> int:
        return self._in_batches(lambda unit: idempotency.prune(unit, at, _ROWS_AT_ONCE))

    def _forget_events(self, at: int) -> int:
        return self._in_batches(lambda unit: outbox.prune(unit, at - EVENTS_KEPT, _ROWS_AT_ONCE))

    def _in_batches(self, prune: Callable[[Unit], int]) -> int:
        forgotten = 0
        for _ in range(_MOST_BATCHES):
            with self._database.writing() as unit:
                rows = prune(unit) if taken(unit, Turn.PRUNING) else 0
            forgotten += rows
            if rows < _ROWS_AT_ONCE or self._stopping.wait(_PAUSE_SECONDS):
                return forgotten
        self._prune_from = monotonic()  # there is more: no need to wait for the next time
        return forgotten
