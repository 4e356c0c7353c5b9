"""SQL written once with `:names`, translated once per driver and run without further ado.

SQLAlchemy's expression layer costs about 30 µs a statement; what runs on every check is text that
the driver prepares itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, text
from sqlalchemy.engine.interfaces import Dialect

_LONGEST_LIST = 512

Value = str | int | float | bytes | bool | None


class Statement:
    """One SQL text for both databases.

    Parameters
    ----------
    sql
        The text, with `:name` for each parameter. `{for_update}` becomes a row lock on
        PostgreSQL and nothing on SQLite, where a writer holds the whole database; `{for_share}`
        one that only holds off `{for_update}`; `{bytewise}` orders texts as Python does.
    """

    __slots__ = ("_compiled", "_sql")

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._compiled: dict[str, tuple[str, tuple[str, ...] | None]] = {}

    def run(self, connection: Connection, **values: Value) -> CursorResult[*tuple[Any, ...]]:
        """Execute with `values`."""
        sql, order = self._for(connection.dialect)
        if order is None:
            return connection.exec_driver_sql(sql, values)
        return connection.exec_driver_sql(sql, tuple([values[name] for name in order]))

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Value]]) -> None:
        """Execute once for each of `rows`."""
        if not rows:
            return
        sql, order = self._for(connection.dialect)
        if order is None:
            connection.exec_driver_sql(sql, [dict(row) for row in rows])
        else:
            connection.exec_driver_sql(sql, [tuple([row[name] for name in order]) for row in rows])

    def _for(self, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
        found = self._compiled.get(dialect.name)
        if found is None:
            locks = dialect.name == "postgresql"
            sql = self._sql.replace("{for_update}", "FOR UPDATE" if locks else "")
            sql = sql.replace("{for_share}", "FOR KEY SHARE" if locks else "")
            # Locks are taken in one order whatever the collation of the database.
            sql = sql.replace("{bytewise}", 'COLLATE "C"' if locks else "")
            compiled = text(sql).compile(dialect=dialect)
            order = tuple(compiled.positiontup) if compiled.positiontup is not None else None
            found = self._compiled[dialect.name] = (compiled.string, order)
        return found


def run_listed(
    connection: Connection, sql: str, listed: Sequence[str], **values: Value
) -> list[Row[*tuple[Any, ...]]]:
    """Execute `sql` with its `{listed}` standing for the distinct texts `listed`; return all rows.

    A long list is asked for in parts, each of its rows grouped and ordered by itself. Nothing is
    asked of the database when the list is empty.
    """
    distinct = list(dict.fromkeys(listed))
    rows: list[Row[*tuple[Any, ...]]] = []
    for begin in range(0, len(distinct), _LONGEST_LIST):
        part = distinct[begin : begin + _LONGEST_LIST]
        # Naming the last one again up to a power of two keeps the texts to be prepared few.
        part += part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
        named = {f"listed{n}": value for n, value in enumerate(part)}
        rows += _listed(sql, len(part)).run(connection, **named, **values).all()
    return rows


@lru_cache(maxsize=128)
def _listed(sql: str, size: int) -> Statement:
    return Statement(sql.replace("{listed}", ", ".join(f":listed{n}" for n in range(size))))
