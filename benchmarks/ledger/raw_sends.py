"""The rows that sends leave, written again with nothing but the driver: the least a send costs.

One connection, one transaction a send at the same durability, one statement a table, no reads.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson
import psycopg
from sqlalchemy import make_url, text

from engine.domain.errors import InvalidInput
from engine.ledger import tables
from engine.ledger.database import BUSY_MS, Database
from engine.ledger.facts import pair_subject

Value = str | int | float | bytes | bool | None
Row = tuple[Value, ...]

_LEFT_OUT = {"outbox": {"seq"}, "items": {"stock", "stock_taken"}}
"""Columns that the database gives itself, or that the replay adds to."""
_WRITTEN = ("idempotency", "gifts", "decisions", "postings", "outbox", "ties")
_COUNTERS = "scope, subject, day, gifts, fen"


def _columns(table: str) -> list[str]:
    left_out = _LEFT_OUT.get(table, set())
    return [c.name for c in tables.metadata.tables[table].columns if c.name not in left_out]


@dataclass(frozen=True, slots=True)
class SentRows:
    """What one send left in the tables; `item` is None where its stock has no limit."""

    rows: Mapping[str, Sequence[Row]]
    counters: Sequence[Row]
    item: str | None


def sent_rows(database: Database, sent: Sequence[tuple[str, str]]) -> list[SentRows]:
    """Read what sends left, each given by its gift's id and idempotency key, in their order."""
    return [_rows_of(database, gift, key) for gift, key in sent]


def _rows_of(database: Database, gift: str, key: str) -> SentRows:
    with database.reading() as connection:

        def found(table: str, where: str, **values: Value) -> list[Row]:
            columns = ", ".join(_columns(table))
            ask = text(f"SELECT {columns} FROM {table} WHERE {where}")
            return [tuple(row) for row in connection.execute(ask, values)]

        [row] = found("gifts", "gift = :gift", gift=gift)
        told = dict(zip(_columns("gifts"), row, strict=True))
        sender, recipient = str(told["sender"]), str(told["recipient"])
        settled = orjson.loads(str(told["terms"]))["decision_id"]
        decisions = [
            one
            for decision in (told["decision_id"], settled)
            for one in found("decisions", "decision_id = :id", id=decision)
        ]
        limited = found("items", "item = :item AND stock IS NOT NULL", item=told["item"])
        rows = {
            "idempotency": found("idempotency", "idempotency_key = :key", key=key),
            "gifts": [row],
            "decisions": decisions,
            "postings": found("postings", "gift = :gift ORDER BY entry, line", gift=gift),
            "outbox": found("outbox", "gift = :gift ORDER BY number", gift=gift),
            "ties": found(
                "ties", "sender = :sender AND recipient = :to", sender=sender, to=recipient
            ),
        }
    one, fen = 1, told["price_fen"]
    counters: list[Row] = [
        ("sender", sender, 0, 0, 0),
        ("sender", sender, told["sender_day"], one, fen),
        ("pair", pair_subject(sender, recipient), told["sender_day"], one, fen),
        ("recipient", recipient, told["recipient_day"], one, fen),
    ]
    return SentRows(rows, counters, str(told["item"]) if limited else None)


class RawWriter:
    """Writes the rows of sends with the driver of a ledger's database, until closed."""

    def __init__(self, url: str) -> None:
        self._mark = "?" if make_url(url).get_backend_name() == "sqlite" else "%s"
        self._sqlite: sqlite3.Connection | None = None
        if self._mark == "?":
            connection = sqlite3.connect(str(make_url(url).database), isolation_level=None)
            for setting in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_MS}"):
                connection.execute(f"PRAGMA {setting}")
            self._execute: Callable[[str, Row], object] = connection.execute
            self._begin, self._commit = "BEGIN IMMEDIATE", "COMMIT"
            self.close: Callable[[], None] = connection.close
        else:
            served = psycopg.connect(
                url, autocommit=True, options="-c synchronous_commit=on", prepare_threshold=1
            )
            self._execute = lambda sql, row: served.execute(sql.encode(), row)
            self._begin, self._commit, self.close = "BEGIN", "COMMIT", served.close
        self._inserts: dict[tuple[str, int], str] = {}
        four = ", ".join([f"({self._marks(5)})"] * 4)
        self._count = (
            f"INSERT INTO counters ({_COUNTERS}) VALUES {four}"
            " ON CONFLICT (scope, subject, day) DO UPDATE SET"
            " gifts = counters.gifts + excluded.gifts, fen = counters.fen + excluded.fen"
        )
        self._take = (
            "UPDATE items SET stock = stock - 1, stock_taken = stock_taken + 1"
            f" WHERE item = {self._mark}"
        )

    def write(self, sent: SentRows) -> None:
        """Write one send in a transaction of its own; return when it is on disk."""
        execute = self._execute
        execute(self._begin, ())
        execute(self._count, _joined(sent.counters))
        for table in _WRITTEN:
            rows = sent.rows[table]
            if rows:
                execute(self._insert(table, len(rows)), _joined(rows))
        if sent.item is not None:
            execute(self._take, (sent.item,))
        execute(self._commit, ())

    def _insert(self, table: str, rows: int) -> str:
        found = self._inserts.get((table, rows))
        if found is None:
            columns = _columns(table)
            every = ", ".join([f"({self._marks(len(columns))})"] * rows)
            found = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {every}"
            if table == "ties":
                found += (
                    " ON CONFLICT (sender, recipient) DO UPDATE"
                    " SET state = excluded.state, newest_at = excluded.newest_at"
                )
            self._inserts[table, rows] = found
        return found

    def _marks(self, count: int) -> str:
        return ", ".join([self._mark] * count)


def _joined(rows: Sequence[Row]) -> Row:
    return tuple(value for row in rows for value in row)


def require_same_rows(one: Database, other: Database) -> int:
    """Return how many rows two ledgers hold, being the same.

    Raises
    ------
    InvalidInput
        If a table of the one holds other rows than that of the other.
    """
    rows = 0
    for table in tables.metadata.sorted_tables:
        columns = ", ".join(_columns(table.name) + sorted(_LEFT_OUT.get(table.name, ())))
        found = []
        for database in (one, other):
            with database.reading() as connection:
                read = connection.exec_driver_sql(f"SELECT {columns} FROM {table.name}")
                found.append({tuple(row) for row in read})
        if found[0] != found[1]:
            raise InvalidInput(
                f"{table.name}: a send and its replay left different rows",
                f"{list(found[0] ^ found[1])[:2]}",
            )
        rows += len(found[0])
    return rows
