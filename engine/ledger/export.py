"""The log as Parquet, one file a table, up to a watermark: what training reads."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    LargeBinary,
    Table,
    select,
)

from engine.ledger import tables
from engine.ledger.database import Database

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
    schema = pa.schema([pa.field(column.name, _arrow_type(column)) for column in table.columns])
    query = select(table).where(table.c.recorded_at < before)
    streamed = connection.execution_options(stream_results=True, yield_per=BATCH).execute(query)
    written = 0
    with pq.ParquetWriter(folder / f"{table.name}.parquet", schema) as writer:
        for rows in streamed.partitions():
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            written += len(rows)
    return written


def _arrow_type(column: Column[object]) -> pa.DataType:
    match column.type:
        case BigInteger() | Integer():
            return pa.int64()
        case Float():
            return pa.float64()
        case Boolean():
            return pa.bool_()
        case LargeBinary():
            return pa.binary()
        case _:
            return pa.string()
