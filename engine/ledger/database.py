"""The connection to SQLite or PostgreSQL: durable, one transaction per unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self, snapshot: bool = False) -> Iterator[Connection]:
        """Yield a connection to read with: PostgreSQL refuses writes, SQLite keeps none.

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
        with _translated(), self.engine.connect() as connection:
            if self.is_sqlite:
                yield connection
                return
            if snapshot:
                connection.execution_options(isolation_level="REPEATABLE READ")
            # psycopg drops its prepared statements at every rollback, and planning the reads of a
            # check takes longer than running them: so a reading commits, having written nothing.
            connection.execution_options(postgresql_readonly=True)
            yield connection
            connection.commit()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that commits at the end or leaves no trace.

        On SQLite the write lock is taken at once, so that what is read stays true until the
        commit. A commit returns only when the change is on disk.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        with (
            _translated(),
            self.engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise LedgerUnavailable(
            f"the database refused: {type(error.orig).__name__}: {error.orig}",
            "see /readyz; if the schema is behind, run: lishang migrate",
        ) from error
    except SQLAlchemyError as error:
        raise LedgerUnavailable(f"the database cannot be used: {error}", "see /readyz") from error


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
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
