"""The schema's version: bringing a database to it and telling whether it is there."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import inspect

from engine.domain.errors import LedgerUnavailable
from engine.ledger.database import Database

_SCRIPTS = Path(__file__).parent / "migrations"


def migrate(database: Database) -> str:
    """Bring the database to the newest schema, in one transaction, and return its revision.

    Raises
    ------
    LedgerUnavailable
        If the database cannot be reached or is at a revision this code does not know.
    """
    try:
        with database.writing() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise LedgerUnavailable(
            f"the database cannot be migrated: {error}",
            "it may belong to a newer version",
        ) from error
    return head()


def head() -> str:
    """Return the revision this code is written for."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise LedgerUnavailable("the migrations are missing", "reinstall the package")
    return revision


def current(database: Database) -> str | None:
    """Return the database's revision; None when it is empty."""
    with database.reading() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def require_current(database: Database) -> None:
    """Do nothing if the schema is the one this code is written for.

    Raises
    ------
    LedgerUnavailable
        If it is another, or the database cannot be reached.
    """
    found = current(database)
    if found != head():
        raise LedgerUnavailable(
            f"the database is at revision {found or 'none'}, the code at {head()}",
            "run: lishang migrate",
        )


def ensure(database: Database) -> None:
    """Create the schema in an empty database; otherwise require the current one.

    An older schema is never changed in passing: that is the operator's decision.
    """
    with database.reading() as connection:
        empty = not inspect(connection).get_table_names()
    if empty:
        migrate(database)
    else:
        require_current(database)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
