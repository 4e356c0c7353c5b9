"""All that is recorded about asked-for gifts in one statement, where the local days are guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from engine.domain.clock import DEFAULT_ZONE
from engine.domain.gifts import GiftRequest
from engine.domain.situations import GiftSituation
from engine.ledger.fact_queries import WHOLE_OF_MANY, WHOLE_OF_ONE
from engine.ledger.facts import (
    RECIPIENT_ZONE,
    SENDER_ZONE,
    PairContext,
    context_in,
    days_in,
    read_rows,
    situation_in,
)

_MOST_ZONES: Final = 100_000


class Circumstances:
    """Reads contexts and situations together, for gifts that are not about to be sent.

    Which counters count depends on the local days of the two, and these on zones that are read
    with them. So the days are guessed from the zones that were seen before; where a guess was
    wrong, the gifts concerned are read again. Safe to use from any number of threads.
    """

    def __init__(self) -> None:
        self._zones: dict[str, str] = {}

    def read(
        self, connection: Connection, requests: Sequence[GiftRequest], at: int
    ) -> list[tuple[PairContext, GiftSituation | None]]:
        """Read what is recorded about `requests` as of `at`, in order, in at most two statements.

        Where the item is not in the catalogue there is None for the situation.
        """
        zone_of = self._zones.get
        found: list[tuple[PairContext, GiftSituation | None]] = []
        missed: list[int] = []
        guesses = []
        for request in requests:
            sender, recipient = zone_of(request.sender), zone_of(request.recipient)
            guesses.append(days_in(sender, recipient, at))
        rows = read_rows(connection, WHOLE_OF_ONE, WHOLE_OF_MANY, requests, guesses, at)
        for n, (row, guess) in enumerate(zip(rows, guesses, strict=True)):
            days = days_in(row[SENDER_ZONE], row[RECIPIENT_ZONE], at)
            if days != guess:
                self._note(requests[n].sender, row[SENDER_ZONE])
                self._note(requests[n].recipient, row[RECIPIENT_ZONE])
                missed.append(n)
            found.append((context_in(row, days, at), situation_in(row)))
        if missed:
            again = [requests[n] for n in missed]
            days_of = [days_in(rows[n][SENDER_ZONE], rows[n][RECIPIENT_ZONE], at) for n in missed]
            rows = read_rows(connection, WHOLE_OF_ONE, WHOLE_OF_MANY, again, days_of, at)
            for n, row, days in zip(missed, rows, days_of, strict=True):
                found[n] = context_in(row, days, at), situation_in(row)
        return found

    def _note(self, person: str, zone: str | None) -> None:
        """Remember whose zone is not the default one; a few forgotten ones cost a second look."""
        if zone is None or zone == DEFAULT_ZONE:
            self._zones.pop(person, None)
            return
        if len(self._zones) >= _MOST_ZONES:
            self._zones.clear()
        self._zones[person] = zone
