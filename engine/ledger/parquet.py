"""Rows on their way to Parquet: a table's schema, and what a query finds, written as it comes."""

from __future__ import annotations

from collections.abc import Sequence
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

from engine.domain.errors import InvalidInput


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

    Raises
    ------
    InvalidInput
        If a row holds what its column is not for: SQLite keeps what it is given.
    """
    streamed = connection.execute(
        query, execution_options={"stream_results": True, "yield_per": batch}
    )
    written = 0
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for rows in streamed.partitions():
            columns = zip(query.selected_columns, zip(*rows, strict=True), schema, strict=True)
            arrays = [_array(str(name), values, field.type) for name, values, field in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            written += len(rows)
    return written


def _array(name: str, values: Sequence[object], kind: pa.DataType) -> pa.Array:
    try:
        # Of a part of a number Arrow would keep the whole, unless it is cast.
        parts = pa.types.is_integer(kind) and float in set(map(type, values))
        return pa.array(values).cast(kind) if parts else pa.array(values, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidInput(
            f"{name} holds what is no {kind}: {error}",
            "it was changed in the database: prove it with `lishang ledger audit`",
        ) from error


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
