"""Exported logs for the tests of training, written with the columns that the ledger exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import BigInteger, Boolean, Float, Integer

from engine.ledger.export import EXPORTED
from engine.ledger.tables import metadata
from training.log import TABLES, ExportedLog

Rows = Sequence[Mapping[str, object]]
LogWriter = Callable[..., ExportedLog]

_GIFT = {
    "item": "tea",
    "price_fen": 900,
    "relation": "friend",
    "scene": "chat",
    "occasion": "none",
    "state": "sent",
    "origin": "live",
    "outcome_at": None,
    "decision_id": None,
}
_INTERACTION = {"kind": "message", "weight": 1.0}


@pytest.fixture
def write_log(tmp_path: Path) -> LogWriter:
    """Write a log from rows of gifts and interactions (and of any other table by name).

    What a row leaves out takes a plain value; `recorded_at` that of `occurred_at`.
    """

    def write(name: str = "log", **rows: Rows) -> ExportedLog:
        folder = tmp_path / name
        folder.mkdir()
        for table in TABLES:
            plain = {"gifts": _GIFT, "interactions": _INTERACTION}.get(table, {})
            ids = {"gifts": "gift", "interactions": "event"}.get(table)
            full = [
                {
                    **plain,
                    **({ids: f"{table}-{number}"} if ids else {}),
                    "recorded_at": row.get("occurred_at"),
                    **row,
                }
                for number, row in enumerate(rows.get(table, []))
            ]
            pq.write_table(
                pa.Table.from_pylist(full, schema=_schema(table)), folder / f"{table}.parquet"
            )
        return ExportedLog(folder)

    return write


def _schema(table: str) -> pa.Schema:
    kinds = {BigInteger: pa.int64(), Integer: pa.int64(), Float: pa.float64(), Boolean: pa.bool_()}
    return pa.schema(
        [
            pa.field(column.name, kinds.get(type(column.type), pa.string()))
            for column in metadata.tables[table].columns
            if column.name in EXPORTED[table]
        ]
    )
