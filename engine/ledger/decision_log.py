"""The recorded decisions in the order in which they were taken, as backtests read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

from engine.domain.errors import LedgerUnavailable
from engine.domain.versions import RecordedRow
from engine.ledger.database import Database
from engine.ledger.statements import Statement

_PART = 250
"""Decisions in memory at a time: few enough to be parsed while the processor still holds them."""

_WINDOW = """
FROM decisions
WHERE decision = :decision AND occurred_at >= :since AND occurred_at < :until
"""
_SELECT = """
SELECT decision_id, occurred_at, effect, fired, {facts}, pack, pack_version, pack_hash
"""
_ORDER = "ORDER BY occurred_at"
_STORED = {
    # The text's UTF-8 as it lies on disk: what the reader parses anyway is not decoded first.
    "sqlite": "CAST(facts AS BLOB)",
    "postgresql": "convert_to(facts, 'UTF8')",
}
_READ = {
    name: Statement(_SELECT.format(facts=facts) + _WINDOW + _ORDER)
    for name, facts in _STORED.items()
}
_COUNT = Statement("SELECT count(*)" + _WINDOW)

_EARLIEST, _LATEST = -(2**63), 2**63 - 1


class RecordedDecisions:
    """The decisions of one ledger; implements the policy's `DecisionLog`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def recorded(
        self, decision: str, since: int | None, until: int | None
    ) -> Iterator[Sequence[RecordedRow]]:
        """Yield the decisions of one kind from `since` to before `until`, oldest first, in parts.

        All parts show one instant of the ledger, being one statement's, and only one part is in
        memory at a time. The connection is held until the last part is taken or the iterator is
        closed.

        Parameters
        ----------
        decision
            Such as `gift_send`.
        since, until
            Microseconds; None for no bound.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        statement = _READ[self._database.engine.dialect.name]
        with self._database.reading(snapshot=True) as connection:
            if not self._database.is_sqlite:
                # A cursor of the server: the driver's own takes all rows at once.
                connection.execution_options(stream_results=True)
            found = statement.run(connection, **_bounds(decision, since, until))
            # SQLAlchemy's rows cost a fifth of a backtest. With a cursor of the server it reads
            # ahead, so there nobody may take rows past it; the round trips cost more anyway.
            fetch = found.cursor.fetchmany if self._database.is_sqlite else found.fetchmany
            while part := self._part(fetch):
                yield part

    def count(self, decision: str, since: int | None, until: int | None) -> int:
        """Return how many decisions of one kind there are from `since` to before `until`.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        with self._database.reading() as connection:
            return int(_COUNT.run(connection, **_bounds(decision, since, until)).scalar_one())

    def _part(self, fetch: Callable[[int], Sequence[object]]) -> Sequence[RecordedRow]:
        try:
            return cast("Sequence[RecordedRow]", fetch(_PART))
        except self._database.engine.dialect.loaded_dbapi.Error as error:
            raise LedgerUnavailable(
                f"the database refused: {type(error).__name__}: {error}", "see /readyz"
            ) from error


def _bounds(decision: str, since: int | None, until: int | None) -> dict[str, str | int]:
    return {
        "decision": decision,
        "since": _EARLIEST if since is None else since,
        "until": _LATEST if until is None else until,
    }
