"""Decisions on their way to the ledger: written in batches, none of them dropped silently."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

from engine.domain.errors import LedgerUnavailable
from engine.domain.verdicts import DecisionRecord
from engine.ledger import decisions
from engine.ledger.database import Database

MOST_WAITING: Final = 10_000
"""How many decisions wait at most; whoever brings more writes them."""
MOST_AT_ONCE: Final = 1_024
"""How many are written in one transaction."""
GATHER_SECONDS: Final = 0.05
"""How long the first of a batch waits for others: a commit costs as much for one as for many."""
IDLE_SECONDS: Final = 1.0
"""How long the writer waits for more before it ends; it begins again with the next decision."""
RETRY_SECONDS: Final = 1.0
"""How long the writer waits after the database has refused."""
CLOSING_SECONDS: Final = 10.0
"""How long a database that refuses is asked again when the process ends."""


class DecisionQueue:
    """Takes decisions without waiting for the disk; safe to use from any number of threads.

    What was taken is kept until it is written, however often the database refuses. While too many
    wait, a decision is written before `put` returns, or `put` raises. What a killed process (and
    it alone) had not written is lost: at most about `GATHER_SECONDS` of decisions while the
    database is well. So this is for decisions on which nothing was changed, such as checks.

    Parameters
    ----------
    database
        The ledger.
    most
        How many decisions may wait.
    """

    def __init__(self, database: Database, most: int = MOST_WAITING) -> None:
        self._database = database
        self._most = most
        self._waiting: deque[DecisionRecord] = deque()
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._writer: threading.Thread | None = None
        self._taken = self._written = 0
        self._closed = False
        self._asleep = False
        self._tell: Callable[[int], None] = _tell_nobody

    @property
    def waiting(self) -> int:
        """How many decisions are not written yet."""
        return len(self._waiting)

    def follow(self, tell: Callable[[int], None]) -> None:
        """Tell `tell` how many decisions wait, before and after each batch is written."""
        self._tell = tell
        tell(len(self._waiting))

    def put(self, records: Sequence[DecisionRecord]) -> None:
        """Take decisions in, or write them if too many wait or the queue is closed.

        Raises
        ------
        LedgerUnavailable
            If they had to be written and the database refused: none of them was taken.
        """
        with self._changed:
            taken = not self._closed and len(self._waiting) + len(records) <= self._most
            if taken:
                self._waiting.extend(records)
                self._taken += len(records)
                if self._writer is None:
                    self._begin_writer()
                elif self._asleep:
                    self._changed.notify_all()
        if not taken:
            self._write(records)

    def flush(self) -> None:
        """Return when every decision that was taken before is written.

        Raises
        ------
        LedgerUnavailable
            If the database refuses; what was taken is kept.
        """
        until = self._taken
        while self._written < until:
            self._write_next()

    def close(self) -> None:
        """Write all that was taken; what comes later is written at once.

        Raises
        ------
        LedgerUnavailable
            If the database refused for `CLOSING_SECONDS`; the message says how many are lost.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            writer = self._writer
        until = time.monotonic() + CLOSING_SECONDS
        while self._waiting:
            try:
                self.flush()
            except LedgerUnavailable as error:
                if time.monotonic() >= until:
                    raise LedgerUnavailable(
                        f"{len(self._waiting)} decisions could not be written: {error.message}",
                        "nothing was sent on their word; see why the database refuses",
                    ) from error
                time.sleep(0.1)
        if writer is not None:
            writer.join()

    def _begin_writer(self) -> None:
        writer = threading.Thread(target=self._run, name="decisions", daemon=True)
        try:
            writer.start()
        except (RuntimeError, MemoryError):
            # The machine has no thread to spare: what was taken waits, and the next decision tries
            # again.
            return
        self._writer = writer

    def _run(self) -> None:
        """Write until nothing has come for a while, or the queue is closed."""
        try:
            while self._await_some():
                try:
                    self._write_next()
                except LedgerUnavailable:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed, RETRY_SECONDS)
        finally:
            # Whatever ended this writer, the next decision begins another.
            with self._changed:
                if self._writer is threading.current_thread():
                    self._writer = None

    def _await_some(self) -> bool:
        """Return whether there is something to write, after letting more of it gather."""
        with self._changed:
            self._asleep = True
            self._changed.wait_for(lambda: self._waiting or self._closed, IDLE_SECONDS)
            self._asleep = False
            if not self._waiting or self._closed:
                # From here on whoever brings a decision starts another writer; closing writes.
                self._writer = None
                return False
            if len(self._waiting) < MOST_AT_ONCE:
                self._changed.wait_for(lambda: self._closed, GATHER_SECONDS)
        return True

    def _write_next(self) -> None:
        """Write the oldest of what waits; it goes on waiting until it is written."""
        with self._writing:
            # Only whoever holds this lock takes anything away.
            with self._changed:
                batch = list(islice(self._waiting, MOST_AT_ONCE))
            if not batch:
                return
            self._tell(len(self._waiting))
            self._write(batch)
            with self._changed:
                for _ in batch:
                    self._waiting.popleft()
                self._written += len(batch)
        self._tell(len(self._waiting))

    def _write(self, records: Sequence[DecisionRecord]) -> None:
        rows = decisions.rows_of(records)
        with self._database.writing() as unit:
            decisions.append(unit, rows)


def _tell_nobody(_waiting: int) -> None:
    """Tell nobody how many decisions wait."""
