"""SQL written once with `:names`, translated once per driver and run without further ado.

SQLAlchemy's result layer costs more than the statements themselves: about 1 µs for each column of
a result and 50 µs beside. What runs on every check or send goes to the driver's own cursor (`rows`,
`row`, `change`, `tell`, `run_many`), in the transaction of the unit of work, where the driver's
errors are translated, too (`engine.ledger.database`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol, TypeAlias, cast

from sqlalchemy import Connection, CursorResult, Row, text
from sqlalchemy.engine.interfaces import Dialect

_LONGEST_LIST = 512
_MOST_AT_ONCE = 128
_EACH = re.compile(r"\{each:(\w+)\}")
_EACH_OF = {
    "sqlite": r"json_each(:\1) AS \1",
    "postgresql": r"json_array_elements(CAST(:\1 AS json)) AS \1(value)",
}

Value = str | int | float | bytes | bool | None
Found: TypeAlias = tuple[Any, ...]
"""A row as the driver returns it."""


class _Cursor(Protocol):
    """What both drivers' cursors can do."""

    @property
    def rowcount(self) -> int: ...

    def fetchall(self) -> list[Found]: ...

    def executemany(self, sql: str, rows: Sequence[Any], /) -> object: ...


class _Driver(Protocol):
    """What both drivers' connections can do."""

    def execute(self, sql: str, values: Any, /) -> _Cursor: ...

    def cursor(self) -> _Cursor: ...

    def pipeline(self) -> AbstractContextManager[object]: ...


class Statement:
    """One SQL text for both databases.

    Parameters
    ----------
    sql
        The text, with `:name` for each parameter. `{for_update}` becomes a row lock on
        PostgreSQL and nothing on SQLite, where a writer holds the whole database; `{for_share}`
        one that only holds off `{for_update}`; `{bytewise}` orders texts as Python does.
        `{each:name}` becomes the rows of the JSON list given as `:name`, each with its `value`:
        one text to prepare, however long the list.
    """

    __slots__ = ("_compiled", "_sql")

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._compiled: dict[str, str] = {}

    def run(self, connection: Connection, **values: Value) -> CursorResult[*tuple[Any, ...]]:
        """Execute with `values` through SQLAlchemy, whose rows know their columns' names."""
        return connection.exec_driver_sql(self._for(connection.dialect), values)

    def rows(self, connection: Connection, **values: Value) -> list[Found]:
        """Execute with `values` on the driver's cursor and return all rows, as plain tuples."""
        return _driver(connection).execute(self._for(connection.dialect), values).fetchall()

    def parts(
        self, connection: Connection, size: int, **values: Value
    ) -> Iterator[Sequence[Found]]:
        """Execute with `values` and yield the rows in lists of up to `size`.

        `connection` is within a transaction: of what was found, only one list is in memory.
        """
        found = connection.exec_driver_sql(
            self._for(connection.dialect),
            values,
            execution_options={"stream_results": True, "max_row_buffer": size},
        )
        while rows := found.fetchmany(size):
            yield rows

    def row(self, connection: Connection, **values: Value) -> Found | None:
        """Execute with `values` on the driver's cursor and return the first row, if any."""
        found = _driver(connection).execute(self._for(connection.dialect), values).fetchall()
        return found[0] if found else None

    def change(self, connection: Connection, **values: Value) -> int:
        """Execute with `values` on the driver's cursor and return how many rows it changed.

        Not for statements that are `pipelined`: their answers have not come yet.
        """
        changed = _driver(connection).execute(self._for(connection.dialect), values).rowcount
        if changed < 0:
            raise TypeError("nobody can tell yet how many rows a pipelined statement changes")
        return changed

    def tell(self, connection: Connection, **values: Value) -> None:
        """Execute with `values` on the driver's cursor; what it answers interests nobody."""
        _driver(connection).execute(self._for(connection.dialect), values)

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Value]]) -> None:
        """Execute once for each of `rows` on the driver's cursor."""
        if rows:
            _driver(connection).cursor().executemany(self._for(connection.dialect), rows)

    def _for(self, dialect: Dialect) -> str:
        found = self._compiled.get(dialect.name)
        if found is None:
            locks = dialect.name == "postgresql"
            sql = self._sql.replace("{for_update}", "FOR UPDATE" if locks else "")
            sql = sql.replace("{for_share}", "FOR KEY SHARE" if locks else "")
            # Locks are taken in one order whatever the collation of the database.
            sql = sql.replace("{bytewise}", 'COLLATE "C"' if locks else "")
            sql = _EACH.sub(_EACH_OF[dialect.name], sql)
            # SQLite reads `:name` itself.
            found = sql if dialect.name == "sqlite" else text(sql).compile(dialect=dialect).string
            self._compiled[dialect.name] = found
        return found


class Insertion:
    """An INSERT of any number of rows, in few statements of few texts.

    Rows go in by powers of two (13 rows as 8 + 4 + 1): a statement for each row would cost a round
    trip each, one for each number of rows a text to prepare for each.

    Parameters
    ----------
    table, columns
        Where to.
    """

    __slots__ = ("_columns", "_into", "_of_size")

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "
        self._columns = tuple(columns)
        self._of_size: dict[tuple[str, int], str] = {}

    def run(self, connection: Connection, rows: Sequence[Sequence[Value]]) -> None:
        """Insert `rows`, each with a value for every column in order."""
        driver, dialect = _driver(connection), connection.dialect.name
        begin = 0
        while begin < len(rows):
            size = min(1 << ((len(rows) - begin).bit_length() - 1), _MOST_AT_ONCE)
            part = rows[begin : begin + size]
            driver.execute(self._for(dialect, size), tuple(chain.from_iterable(part)))
            begin += size

    def _for(self, dialect: str, size: int) -> str:
        found = self._of_size.get((dialect, size))
        if found is None:
            mark = "?" if dialect == "sqlite" else "%s"
            row = f"({', '.join([mark] * len(self._columns))})"
            found = self._of_size[dialect, size] = self._into + ", ".join([row] * size)
        return found


# A statement that is prepared while a table is nearly empty is planned to read the whole of it, and
# goes on doing so however it grows, until somebody analyses the table.
_KEEP_TO_INDEXES = Statement("SET LOCAL enable_seqscan = off")


def pipelined(connection: Connection) -> AbstractContextManager[None]:
    """Send PostgreSQL the statements inside without waiting for the answer to each.

    They are carried out in their order, each seeing what was committed before it began; whoever
    asks for rows waits for them, and whatever was refused is raised then or at the end. Inside only
    the driver's own cursor may be used. On SQLite there is nobody to wait for.
    """
    return nullcontext() if connection.dialect.name == "sqlite" else _pipelined(connection)


@contextmanager
def _pipelined(connection: Connection) -> Iterator[None]:
    with _driver(connection).pipeline():
        _KEEP_TO_INDEXES.tell(connection)
        yield


def _driver(connection: Connection) -> _Driver:
    return cast(_Driver, connection.connection.dbapi_connection)


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
