"""The log as Parquet, one file a table, up to a watermark: what training reads."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Table, select

from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.parquet import schema_of, write_found

LOG_TABLES = (
    tables.people,
    tables.consents,
    tables.friendships,
    tables.blocks,
    tables.items,
    tables.gifts,
    tables.interactions,
    tables.item_events,
    tables.offers,
    tables.offer_events,
)
BATCH = 100_000
"""Rows held in memory at a time."""


def export_log(database: Database, folder: Path, before: int) -> dict[str, int]:
    """Write every table of the log to `folder/{table}.parquet` and return the rows of each.

    Parameters
    ----------
    before
        The watermark: only rows recorded before this instant (microseconds) are written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with database.reading(snapshot=True) as connection:
        return {table.name: _export(connection, table, folder, before) for table in LOG_TABLES}


def _export(connection: Connection, table: Table, folder: Path, before: int) -> int:
    query = select(table).where(table.c.recorded_at < before)
    path = str(folder / f"{table.name}.parquet")
    return write_found(connection, query, schema_of(table), path, BATCH)
