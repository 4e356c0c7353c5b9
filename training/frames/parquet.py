"""Frames of ties as Parquet for notebooks: one row a pair, every column saying what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.clock import format_time
from engine.domain.pair_state import DEFAULT_LAYOUT, Layout
from engine.ledger.new_file import new_file
from models.features.pair import pair_features
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from training.frames.ties import TieFrame

_ROWS: Final = 50_000
"""Rows whose features are in memory at a time."""
_ENDS: Final = {
    "first": "The end with the lesser id",
    "second": "The other end",
}
_LABELS: Final = {
    "amount": ("weight", "What both exchanged within the horizon from the cut-off"),
    "exchanged": ("1", "Whether that was anything"),
}


def write_tie_frame(
    frame: TieFrame, path: Path, cutoff: int, horizon_us: int, layout: Layout = DEFAULT_LAYOUT
) -> int:
    """Write the pairs of `frame` with their features and labels to a new file; return how many.

    A column's metadata holds its `meaning` and, if it is a number, its `unit`; the file's holds the
    cut-off and the horizon.

    Parameters
    ----------
    frame
        Of the pairs as they stood at `cutoff` (microseconds), in states of `layout`.
    path
        Parquet; appears when it is whole.
    horizon_us
        Over which the frame's amounts were added up (microseconds).

    Raises
    ------
    InvalidInput
        If there is such a file already, or it cannot be written.
    """
    features = pair_features(layout)
    told = {"cutoff": format_time(cutoff), "horizon_us": str(horizon_us)}
    schema = _schema(features).with_metadata(told)
    with new_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for begin in range(0, len(frame.first), _ROWS):
            part = slice(begin, begin + _ROWS)
            writer.write_batch(_batch(frame, part, features, layout, schema))
    return len(frame.first)


def _schema(features: FeatureSet[PairView]) -> pa.Schema:
    ends = [
        pa.field(name, pa.string(), metadata={"meaning": meaning})
        for name, meaning in _ENDS.items()
    ]
    described = [
        pa.field(f.name, pa.float64(), metadata={"unit": f.unit, "meaning": f.meaning})
        for f in features.features
    ]
    kinds = {"amount": pa.float64(), "exchanged": pa.bool_()}
    labels = [
        pa.field(name, kinds[name], metadata={"unit": unit, "meaning": meaning})
        for name, (unit, meaning) in _LABELS.items()
    ]
    return pa.schema([*ends, *described, *labels])


def _batch(
    frame: TieFrame,
    part: slice,
    features: FeatureSet[PairView],
    layout: Layout,
    schema: pa.Schema,
) -> pa.RecordBatch:
    first, second = frame.first[part], frame.second[part]
    chosen = np.arange(part.start, part.start + len(first))
    rows = frame.rows.take(chosen)
    view = PairView.of(layout, rows.out, rows.back, rows.structure, rows.at)
    matrix = features.compute(view, len(rows))
    columns = [first, second, *matrix.T, rows.amount, rows.amount > 0]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)
