"""Many rows at once: new ones added, described ones changed, contradictions found.

SQLite takes them through prepared inserts, PostgreSQL through COPY into a temporary table. Rows
that are there already are told apart from those that say something else under the same key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Insert,
    Table,
    Update,
    and_,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from engine.ledger import tables
from engine.ledger.staging import Columns, Loader, length
from engine.ledger.statements import Value

_SQLITE_CACHE_KIB = 262_144
"""Page cache of a bulk load: without it every batch reads the indexes from disk again."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row whose key is recorded with other content: its index and the columns that differ."""

    row: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of n rows: added, changing a recorded one, contradicting one; the rest were
    there already."""

    new: int
    changed: int = 0
    contradictions: tuple[Contradiction, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """Columns that a later row may fill in while the recorded row's `open_column` holds
    `open_value` and both agree in `alike`."""

    columns: tuple[str, ...]
    open_column: str
    open_value: str | None
    alike: tuple[str, ...] = ()
    """Named with what contradicts where they differ too; no contradiction alone."""


class BulkWriter:
    """Writes batches of rows in the transaction of `connection`; use it as a context manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cache: int | None = None
        self._loader = Loader(connection)

    def __enter__(self) -> BulkWriter:
        if self._loader.is_sqlite:
            self._cache = int(self._connection.exec_driver_sql("PRAGMA cache_size").scalar_one())
            self._connection.exec_driver_sql(f"PRAGMA cache_size = -{_SQLITE_CACHE_KIB}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._cache is not None:
            self._connection.exec_driver_sql(f"PRAGMA cache_size = {self._cache}")

    def insert_new(
        self,
        name: str,
        columns: Columns,
        compare: Sequence[str] = (),
        completion: Completion | None = None,
    ) -> Stored:
        """Add the rows whose primary key is not recorded.

        Parameters
        ----------
        name
            The table.
        columns
            All columns without a null default; n rows.
        compare
            Columns in which a recorded row must agree, else the new one contradicts it.
        completion
            What a row may fill in of a recorded one that agrees in all other compared columns.
        """
        table = tables.metadata.tables[name]
        rows = length(columns)
        if rows == 0:
            return Stored(0)
        if self._loader.is_sqlite:
            new = self._loader.insert_directly(table, columns)
            if new == rows or not (compare or completion):
                return Stored(new)
            with self._loader.staged(table, columns) as staged:
                return self._settled(table, staged, new, compare, completion)
        if self._loader.copied_directly(table, columns):
            return Stored(rows)
        with self._loader.staged(table, columns) as staged:
            wanted = select(*(staged.c[column] for column in columns))
            adding = postgresql.insert(table).from_select(list(columns), wanted)
            new = self._count(adding.on_conflict_do_nothing())
            if new == rows:
                return Stored(new)
            return self._settled(table, staged, new, compare, completion)

    def insert_absent(self, name: str, columns: Columns, unless: Sequence[str]) -> int:
        """Add the rows for which no row agrees in the columns `unless`; return how many."""
        table = tables.metadata.tables[name]
        if length(columns) == 0:
            return 0
        with self._loader.staged(table, columns) as staged:
            there = select(literal(1)).where(*(table.c[c] == staged.c[c] for c in unless)).exists()
            wanted = select(*(staged.c[column] for column in columns)).where(~there)
            maker = sqlite.insert if self._loader.is_sqlite else postgresql.insert
            adding = maker(table).from_select(list(columns), wanted).on_conflict_do_nothing()
            return self._count(adding)

    def upsert(
        self,
        name: str,
        columns: Columns,
        copied: Mapping[str, str] | None = None,
        constants: Mapping[str, Value] | None = None,
    ) -> Stored:
        """Add the rows whose key is not recorded; let the others change what they give.

        A null changes nothing. In a new row it becomes the value of the column that `copied`
        names, else that of `constants`. No key may come twice.
        """
        table = tables.metadata.tables[name]
        if length(columns) == 0:
            return Stored(0)
        copied, constants = copied or {}, constants or {}
        with self._loader.staged(table, columns) as staged:
            same = _same_key(table, staged)
            described = [column for column in columns if column not in table.primary_key]
            differing = [
                and_(staged.c[c].is_not(None), staged.c[c].is_distinct_from(table.c[c]))
                for c in described
            ]
            changing = (
                update(table)
                .values({c: func.coalesce(staged.c[c], table.c[c]) for c in described})
                .where(same, or_(*differing))
            )
            changed = self._count(changing)
            filled = [_filled(staged, c, copied, constants) for c in columns]
            wanted = select(*filled).where(~select(literal(1)).where(same).exists())
            new = self._count(insert(table).from_select(list(columns), wanted))
            return Stored(new, changed)

    def ids(self, name: str) -> set[str]:
        """Return every value of the (single) primary key column of a table."""
        (key,) = tables.metadata.tables[name].primary_key
        return set(self._connection.execute(select(key)).scalars())

    def prices(self) -> dict[str, int]:
        """Return the price of every item in fen."""
        found = self._connection.execute(select(tables.items.c.item, tables.items.c.price_fen))
        return {str(item): int(price) for item, price in found}

    def is_empty(self, name: str) -> bool:
        """Tell whether a table has no rows."""
        first = select(literal(1)).select_from(tables.metadata.tables[name]).limit(1)
        return self._connection.execute(first).first() is None

    def _count(self, statement: Insert | Update) -> int:
        # Without the option an INSERT … SELECT does not tell on PostgreSQL.
        options = {"preserve_rowcount": True}
        return self._connection.execute(statement, execution_options=options).rowcount

    def _settled(
        self,
        table: Table,
        staged: Table,
        new: int,
        compare: Sequence[str],
        completion: Completion | None,
    ) -> Stored:
        """Complete what may be completed and find what contradicts."""
        same = _same_key(table, staged)
        changed = 0
        if completion is not None:
            fixed = [column for column in compare if column not in completion.columns]
            fixed += completion.alike
            state = completion.open_column
            completing = (
                update(table)
                .values({column: staged.c[column] for column in completion.columns})
                .where(
                    same,
                    *(table.c[c].is_not_distinct_from(staged.c[c]) for c in fixed),
                    table.c[state].is_not_distinct_from(literal(completion.open_value)),
                    staged.c[state].is_distinct_from(literal(completion.open_value)),
                )
            )
            changed = self._count(completing)
        differs: list[ColumnElement[bool]] = [
            # A row that does not say (yet) how it ended does not contradict one that does.
            and_(
                staged.c[completion.open_column].is_distinct_from(literal(completion.open_value)),
                staged.c[column].is_distinct_from(table.c[column]),
            )
            if completion is not None and column in completion.columns
            else staged.c[column].is_distinct_from(table.c[column])
            for column in compare
        ]
        if not differs:
            return Stored(new, changed)
        alike = () if completion is None else completion.alike
        told = [*differs, *(staged.c[column].is_distinct_from(table.c[column]) for column in alike)]
        query = select(staged.c.row, *told).where(same, or_(*differs)).order_by(staged.c.row)
        found = self._connection.execute(query).all()
        names = (*compare, *alike)
        contradictions = tuple(
            Contradiction(row, tuple(c for c, other in zip(names, flags, strict=True) if other))
            for row, *flags in found
        )
        return Stored(new, changed, contradictions)


def _same_key(table: Table, staged: Table) -> ColumnElement[bool]:
    return and_(*(table.c[key.name] == staged.c[key.name] for key in table.primary_key))


def _filled(
    staged: Table, column: str, copied: Mapping[str, str], constants: Mapping[str, Value]
) -> ColumnElement[Value]:
    choices: list[ColumnElement[Value]] = [staged.c[column]]
    if column in copied:
        choices.append(staged.c[copied[column]])
    if constants.get(column) is not None:
        choices.append(literal(constants[column]))
    return func.coalesce(*choices) if len(choices) > 1 else choices[0]
