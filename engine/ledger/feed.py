"""The feed as its readers see it: from a position on, nothing missed, or told that something is."""

from __future__ import annotations

from engine.domain.errors import CursorUnusable
from engine.domain.gift_events import FeedEvent
from engine.ledger import outbox
from engine.ledger.database import Database


class Feed:
    """The events of one ledger in the order in which they are read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self) -> int:
        """Give its place to every event that was committed; return to how many.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        with self._database.reading() as unit:
            if not outbox.has_unplaced(unit):
                return 0
        with self._database.writing() as unit:
            return outbox.place(unit)

    def page(self, after: int | None, most: int) -> list[FeedEvent]:
        """Return up to `most` events from after a position on; None begins at the oldest kept.

        Whoever finds another placing does not wait for it but reads what is placed. What is not
        yet will stand after all that was read, so that the next reading from there finds it.

        Raises
        ------
        CursorUnusable
            If events after the position are not kept any more, or the feed never came so far.
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        self.place()
        with self._database.reading() as unit:
            events = outbox.read(unit, after or 0, most)
            end = events[-1].position if events else outbox.end(unit)
        if after is None:
            return events
        if after > end:
            raise CursorUnusable(
                f"the feed has not come to {after}, it ends at {end}",
                "the ledger is another one or was restored: begin without `after`, then reconcile",
            )
        if events and events[0].position > after + 1:
            raise CursorUnusable(
                f"events after {after} are not kept any more, the oldest is {events[0].position}",
                "begin without `after`, then reconcile what was missed",
            )
        return events
