"""The connection to SQLite or PostgreSQL: durable, one transaction per unit of work."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from engine.domain.errors import InvalidInput, LedgerUnavailable

Unit: TypeAlias = Connection
"""One unit of work: what the jobs pass to the ledger's functions."""

_WRITES = "lishang_writes"
_FILE = "lishang_file"
_MOST_IDLE = 2
BUSY_MS = 15_000
"""How long a writer waits for another before it gives up."""


class Database:
    """One database and its pool of connections.

    Parameters
    ----------
    url
        `sqlite:///path/to/file.db` or `postgresql://…` (psycopg 3 is used for the latter).
    """

    def __init__(self, url: str) -> None:
        self.engine = _create(url)
        self._driver_errors = self.engine.dialect.loaded_dbapi.Error
        self._file = Path(self.engine.url.database or "").absolute()
        self._idle: dict[bool, deque[Connection]] = {False: deque(), True: deque()}

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    def reading(self, snapshot: bool = False) -> AbstractContextManager[Connection]:
        """Give a connection to read with: PostgreSQL refuses writes, SQLite keeps none.

        Parameters
        ----------
        snapshot
            Whether all statements must see the same instant of the database (on SQLite they
            always do).

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        return _Lent(self, False) if self.is_sqlite else self._reading(snapshot)

    @contextmanager
    def _reading(self, snapshot: bool) -> Iterator[Connection]:
        with self._connected() as connection:
            if snapshot:
                connection.execution_options(isolation_level="REPEATABLE READ")
            # psycopg drops its prepared statements at every rollback, and planning the reads of a
            # check takes longer than running them: so a reading commits, having written nothing.
            connection.execution_options(postgresql_readonly=True)
            yield connection
            connection.commit()

    def writing(self) -> AbstractContextManager[Connection]:
        """Give a connection in a transaction that commits at the end or leaves no trace.

        On SQLite the write lock is taken at once, so that what is read stays true until the
        commit. A commit returns only when the change is on disk.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        return _Lent(self, True) if self.is_sqlite else self._writing()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._connected() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
        self.engine.dispose()

    def lend(self, writes: bool) -> Connection:
        """Return a connection to SQLite, one of before if it can; it is lent to one at a time."""
        with suppress(IndexError):
            connection = self._idle[writes].pop()
            if connection.info.get(_FILE) == _identity(self._file):
                return connection
            connection.close()
        return self.engine.connect().execution_options(**{_WRITES: writes})

    def take_back(self, connection: Connection, writes: bool) -> None:
        """Keep a connection, in which nothing is under way, for the next who asks."""
        idle = self._idle[writes]
        if len(idle) < _MOST_IDLE:
            idle.append(connection)
        else:
            connection.close()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Yield a connection of the pool; its errors, and the driver's own, are ours outside."""
        try:
            with self.engine.connect() as connection:
                try:
                    yield connection
                except self._driver_errors as error:
                    # Told past SQLAlchemy: it would go on lending a connection that is dead.
                    held = None if connection.invalidated else connection.connection
                    if held is not None and self.engine.dialect.is_disconnect(error, held, None):
                        connection.invalidate(error)
                    raise
        except (SQLAlchemyError, self._driver_errors) as error:
            raise _unavailable(error) from error


class _Lent:
    """A unit of work on SQLite, on a connection that is kept between two of them.

    The whole way of a connection through SQLAlchemy's pool takes as long as reading for a check.
    """

    __slots__ = ("_connection", "_database", "_writes")

    def __init__(self, database: Database, writes: bool) -> None:
        self._database = database
        self._writes = writes

    def __enter__(self) -> Connection:
        try:
            connection = self._connection = self._database.lend(self._writes)
            if self._writes:
                self._begin(connection)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise _unavailable(error) from error
        return connection

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        try:
            if error is None:
                self._end()
            else:
                self._connection.close()
        except (SQLAlchemyError, sqlite3.Error) as fault:
            raise _unavailable(fault) from fault
        if isinstance(error, SQLAlchemyError | sqlite3.Error):
            raise _unavailable(error) from error

    @staticmethod
    def _begin(connection: Connection) -> None:
        try:
            connection.begin()
        except BaseException:
            connection.close()
            raise

    def _end(self) -> None:
        connection = self._connection
        try:
            if self._writes:
                connection.commit()
            else:
                connection.rollback()
        except BaseException:
            connection.close()
            raise
        self._database.take_back(connection, self._writes)


def _unavailable(error: BaseException) -> LedgerUnavailable:
    if isinstance(error, SQLAlchemyError) and not isinstance(error, DBAPIError):
        return LedgerUnavailable(f"the database cannot be used: {error}", "see /readyz")
    refusal = (error.orig if isinstance(error, DBAPIError) else None) or error
    return LedgerUnavailable(
        f"the database refused: {type(refusal).__name__}: {refusal}",
        "see /readyz; if the schema is behind, run: lishang migrate",
    )


def _create(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInput(
            "the database's URL cannot be read", "use sqlite:///… or postgresql://…"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        # READ COMMITTED: rows read again under locks must show what others have committed.
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            hide_parameters=True,  # errors are logged; what people sent is not
            connect_args={
                "connect_timeout": 5,
                # A server that fell silent is noticed within seconds, not after TCP's quarter of
                # an hour: the rules of a worker would stand still that long.
                "keepalives": 1,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "tcp_user_timeout": 10_000,
                "options": "-c synchronous_commit=on -c lock_timeout=15s",
            },
        )
    if backend != "sqlite":
        raise InvalidInput(f"unknown database {backend!r}", "use sqlite:///… or postgresql://…")
    if not parsed.database or parsed.database == ":memory:":
        raise InvalidInput("the ledger must outlive the process", "name a file: sqlite:///x.db")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_MS / 1000})
    event.listen(engine, "connect", _prepare_sqlite)
    # A file that was deleted or replaced still takes writes through an open connection, and they
    # are lost: such a connection is dropped before it is used again.
    path = Path(parsed.database).absolute()

    def note(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[_FILE] = _identity(path)

    def check(_connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if record.info.get(_FILE) != _identity(path):
            raise DisconnectionError("the database file was replaced")

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", check)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver must not open transactions by itself: `_begin_sqlite` says which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    # On the driver's cursor: SQLAlchemy's would cost ten times what beginning does.
    cursor = connection.connection.cursor()
    cursor.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    cursor.close()
