"""What the subcommands share: the settings and the ledger, made when first asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from api.settings import Settings
from engine.ledger.database import Database
from engine.ledger.migration import ensure


class Context:
    """Made once for each run of the command.

    Parameters
    ----------
    env
        The environment variables.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._database: Database | None = None

    @cached_property
    def settings(self) -> Settings:
        """The settings.

        Raises
        ------
        InvalidInput
            If an environment variable has a value that its setting cannot take.
        """
        return Settings.from_env(self._env)

    def database(self) -> Database:
        """Return the ledger with its schema in place; an empty database gets one.

        Raises
        ------
        LedgerUnavailable
            If it cannot be reached or has another schema than this code.
        """
        database = self.unchecked_database()
        ensure(database)
        return database

    def unchecked_database(self) -> Database:
        """Return the ledger whatever its schema."""
        if self._database is None:
            self._database = Database(self.settings.database_url)
        return self._database

    def close(self) -> None:
        """Close what was opened."""
        if self._database is not None:
            self._database.close()
