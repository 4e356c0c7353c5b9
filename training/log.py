"""The exported log: one Parquet file a table, read through Ibis on one DuckDB connection."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import Literal, get_args
from uuid import uuid4

import ibis
from ibis.expr.types import Table

from engine.domain.errors import NotEnoughData, UnknownReference

TableName = Literal[
    "consents",
    "friendships",
    "items",
    "gifts",
    "interactions",
    "item_events",
    "offers",
    "offer_events",
]
TABLES: tuple[TableName, ...] = get_args(TableName)
"""The tables that are exported, with those of the ledger's columns that training reads."""

_THREADS = 2
_MEMORY = "5GB"
"""Of the database, which spills what exceeds it; ten million events stay within. With 4 GB a
hundred million did not always find room for what cannot be spilled."""


class ExportedLog:
    """A folder of Parquet files, as the ledger exports it.

    Parameters
    ----------
    folder
        Holds `gifts.parquet`, `interactions.parquet` and the others of `TABLES`.

    Raises
    ------
    UnknownReference
        If a table's file is missing.
    """

    def __init__(self, folder: Path) -> None:
        missing = [name for name in TABLES if not (folder / f"{name}.parquet").is_file()]
        if missing:
            raise UnknownReference(
                f"the exported log at {folder} lacks {', '.join(missing)}", "export it again"
            )
        # DuckDB makes the folder when it first spills, and removes it when it closes.
        spilled = Path(gettempdir()) / f"lishang-spilled-{uuid4().hex}"
        self._connection = ibis.duckdb.connect(
            threads=_THREADS, memory_limit=_MEMORY, temp_directory=str(spilled)
        )
        # Which would draw itself into the log of whoever runs this.
        self._connection.raw_sql("SET enable_progress_bar = false")
        self._tables = {
            name: self._connection.read_parquet(folder / f"{name}.parquet", table_name=name)
            for name in TABLES
        }

    def table(self, name: TableName) -> Table:
        """Return the whole table called `name`, as a lazy expression."""
        return self._tables[name]

    def span(self) -> tuple[int, int]:
        """Return the times of the first and the last gift or interaction, in microseconds.

        Raises
        ------
        NotEnoughData
            If there is neither a gift nor an interaction.
        """
        times = ibis.union(
            self.table("gifts").select("occurred_at"),
            self.table("interactions").select("occurred_at"),
        )
        found = times.aggregate(first=times.occurred_at.min(), last=times.occurred_at.max())
        row = found.to_pyarrow().to_pylist()[0]
        if row["first"] is None:
            raise NotEnoughData("the log holds no gift and no interaction", "import some first")
        return int(row["first"]), int(row["last"])
