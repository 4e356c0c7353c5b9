"""The connection to SQLite or PostgreSQL: durable, one transaction per unit of work."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import TypeAlias, cast

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
_UNSEEN_SECONDS = 0.05
"""How long it may take until a connection that reads notices that SQLite's file was replaced."""
_TRUSTED_SECONDS = 1.0
"""How long a connection to PostgreSQL may lie idle before it is asked whether it still answers."""
BUSY_MS = 15_000
"""How long a writer waits for another before it gives up."""


class Database:
    """One database and its connections.

    Parameters
    ----------
    url
        `sqlite:///path/to/file.db` or `postgresql://…` (psycopg 3 is used for the latter).

    Attributes
    ----------
    engine, reader
        What makes the connections that write and those that read; one and the same on SQLite.
    is_sqlite
        Whether this is the embedded database.
    errors
        What SQLAlchemy raises, and the driver itself.
    """

    def __init__(self, url: str) -> None:
        self.engine = _create(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        self.reader = self.engine if self.is_sqlite else _create(url, reads=True)
        self._driver_error = self.engine.dialect.loaded_dbapi.Error
        self.errors: tuple[type[Exception], ...] = SQLAlchemyError, self._driver_error
        self._file = Path(self.engine.url.database or "").absolute()
        self._idle: dict[bool, deque[tuple[Connection, float]]] = {False: deque(), True: deque()}

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
        return self._snapshot() if snapshot and not self.is_sqlite else _Lent(self, False)

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        try:
            with self.reader.connect() as connection:
                connection.execution_options(isolation_level="REPEATABLE READ")
                connection.begin()
                # Whoever needs one instant of the ledger reads much of it.
                connection.exec_driver_sql("SET LOCAL enable_seqscan = on")
                yield connection
        except self.errors as error:
            raise _unavailable(error) from error

    def writing(self) -> AbstractContextManager[Connection]:
        """Give a connection in a transaction that commits at the end or leaves no trace.

        On SQLite the write lock is taken at once, so that what is read stays true until the
        commit. A commit returns only when the change is on disk.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        return _Lent(self, True)

    def close(self) -> None:
        """Close every connection."""
        for idle in self._idle.values():
            while idle:
                idle.pop()[0].close()
        self.engine.dispose()
        self.reader.dispose()

    def lend(self, writes: bool) -> Connection:
        """Return a connection, one of before if it can; it is lent to one at a time."""
        with suppress(IndexError):
            connection, since = self._idle[writes].pop()
            if self._trusted(connection, since, writes):
                return connection
            connection.close()  # the pool looks closer, and makes another if need be
        engine = self.engine if writes else self.reader
        return engine.connect().execution_options(**{_WRITES: writes})

    def take_back(self, connection: Connection, writes: bool) -> None:
        """Keep a connection, in which nothing is under way, for the next who asks."""
        idle = self._idle[writes]
        if len(idle) < _MOST_IDLE:
            idle.append((connection, monotonic()))
        else:
            connection.close()

    def give_up(self, connection: Connection, error: BaseException) -> None:
        """Close a connection in which `error` was raised; what it had begun leaves no trace."""
        if (
            isinstance(error, self._driver_error)
            and not connection.invalidated
            and self.engine.dialect.is_disconnect(error, connection.connection, None)
        ):
            # Told past SQLAlchemy: it would go on lending a connection that is dead.
            connection.invalidate(error)
        connection.close()

    def _trusted(self, connection: Connection, since: float, writes: bool) -> bool:
        idle = monotonic() - since
        if self.is_sqlite:
            # Asking for the file costs a system call: what reads may be that much out of date.
            recent = not writes and idle < _UNSEEN_SECONDS
            return recent or connection.info.get(_FILE) == _identity(self._file)
        return idle < _TRUSTED_SECONDS


class _Lent:
    """A unit of work, on a connection that is kept between two of them.

    The whole way of a connection through SQLAlchemy's pool and its transactions takes as long as
    reading for a check.
    """

    __slots__ = ("_connection", "_database", "_writes")

    def __init__(self, database: Database, writes: bool) -> None:
        self._database = database
        self._writes = writes

    def __enter__(self) -> Connection:
        database = self._database
        try:
            connection = self._connection = database.lend(self._writes)
            try:
                if database.is_sqlite:
                    _begin_sqlite(connection)
                elif self._writes:
                    connection.begin()
            except BaseException as error:
                database.give_up(connection, error)
                raise
        except database.errors as error:
            raise _unavailable(error) from error
        return connection

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        database = self._database
        try:
            if error is None:
                self._end(self._connection)
            else:
                database.give_up(self._connection, error)
        except database.errors as fault:
            raise _unavailable(fault) from fault
        if isinstance(error, database.errors):
            raise _unavailable(error) from error

    def _end(self, connection: Connection) -> None:
        database = self._database
        try:
            # SQLite's transaction was begun past SQLAlchemy, which has one of its own only where
            # its own statements were used; a reading of PostgreSQL has none otherwise.
            if connection.in_transaction():
                ending: Connection | DBAPIConnection = connection
            elif database.is_sqlite:
                ending = driver_of(connection)
            else:
                database.take_back(connection, self._writes)
                return
            if self._writes:
                ending.commit()
            else:
                ending.rollback()
        except BaseException as error:
            database.give_up(connection, error)
            raise
        database.take_back(connection, self._writes)


def driver_of(connection: Connection) -> DBAPIConnection:
    """Return the driver's own connection, in the transaction of the unit of work."""
    return cast(DBAPIConnection, connection.connection.dbapi_connection)


def _unavailable(error: BaseException) -> LedgerUnavailable:
    if isinstance(error, SQLAlchemyError) and not isinstance(error, DBAPIError):
        return LedgerUnavailable(f"the database cannot be used: {error}", "see /readyz")
    refusal = (error.orig if isinstance(error, DBAPIError) else None) or error
    return LedgerUnavailable(
        f"the database refused: {type(refusal).__name__}: {refusal}",
        "see /readyz; if the schema is behind, run: lishang migrate",
    )


def _create(url: str, reads: bool = False) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidInput(
            "the database's URL cannot be read", "use sqlite:///… or postgresql://…"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        # READ COMMITTED: rows read again under locks must show what others have committed. Whoever
        # reads begins nothing and ends nothing, so that one statement is one round trip; and what
        # psycopg has prepared stays, which it drops at every rollback. It stays as it was planned,
        # too: for a table that was nearly empty then, to read the whole of it.
        level, more = "READ COMMITTED", ""
        if reads:
            level = "AUTOCOMMIT"
            more = " -c default_transaction_read_only=on -c enable_seqscan=off"
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            isolation_level=level,
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
                "options": f"-c synchronous_commit=on -c lock_timeout=15s{more}",
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
    """Begin a transaction, unless a unit of work has begun one before SQLAlchemy did."""
    driver = cast(sqlite3.Connection, driver_of(connection))
    if not driver.in_transaction:
        writes = connection.get_execution_options().get(_WRITES, False)
        driver.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
