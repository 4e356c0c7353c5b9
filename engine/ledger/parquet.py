"""Rows on their way to Parquet: a table's schema, and what a query finds, written as it comes."""

from __future__ import annotations

from typing import Any, Protocol

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
    Select,
    Table,
)


class Sink(Protocol):
    """What Parquet can be written to."""

    closed: bool

    def write(self, content: bytes, /) -> int:
        """Write all of it."""
        ...

    def tell(self) -> int:
        """Return how many bytes were written."""
        ...

    def flush(self) -> None:
        """Keep nothing back."""
        ...


def schema_of(table: Table) -> pa.Schema:
    """Return the columns of a table as Arrow's; whole numbers have 64 bits."""
    return pa.schema([pa.field(column.name, _arrow_type(column)) for column in table.columns])


def write_found(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    schema: pa.Schema,
    sink: str | Sink,
    batch: int,
) -> int:
    """Write what `query` finds to a Parquet file and return how many rows it is.

    Parameters
    ----------
    schema
        The columns, in the query's order.
    sink
        Where to: a path, or anything that can be written.
    batch
        Rows held in memory at a time.
    """
    streamed = connection.execute(
        query, execution_options={"stream_results": True, "yield_per": batch}
    )
    written = 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in streamed.partitions():
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            written += len(rows)
    return written


def _arrow_type(column: Column[Any]) -> pa.DataType:
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
