"""The log as Parquet, one file a table, up to a watermark: what training reads, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
from sqlalchemy import Connection, select

from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.parquet import schema_of, write_found

EXPORTED: Final[Mapping[str, tuple[str, ...]]] = {
    "consents": ("person", "purpose", "since", "until", "granted", "recorded_at"),
    "friendships": ("person", "friend", "since", "until", "recorded_at"),
    "items": (
        *("item", "name", "price_fen", "tier", "category", "kind", "mechanics", "relations"),
        *("scenes", "brand", "creator", "stock", "sale_from", "sale_until", "recorded_at"),
    ),
    "gifts": (
        *("gift", "sender", "recipient", "item", "relation", "occasion", "state"),
        *("occurred_at", "outcome_at", "recorded_at"),
    ),
    "interactions": ("sender", "recipient", "kind", "weight", "occurred_at", "recorded_at"),
    "item_events": ("event", "person", "item", "kind", "weight", "occurred_at", "recorded_at"),
    "offers": (
        *("offer", "brand", "category", "item", "price_fen", "starts_at", "ends_at"),
        "recorded_at",
    ),
    "offer_events": ("event", "offer", "person", "kind", "occurred_at", "recorded_at"),
}
"""The columns of each table that leave the ledger: named one by one, so that an address, a payment
or whatever a table is given later stays where it is unless somebody learns from it."""
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
        return {table: _export(connection, table, folder, before) for table in EXPORTED}


def _export(connection: Connection, name: str, folder: Path, before: int) -> int:
    table, columns = tables.metadata.tables[name], EXPORTED[name]
    query = select(*(table.c[column] for column in columns)).where(table.c.recorded_at < before)
    whole = schema_of(table)
    schema = pa.schema([whole.field(column) for column in columns])
    return write_found(connection, query, schema, str(folder / f"{name}.parquet"), BATCH)
