"""An interactions file as plain columns, for benchmarks that need no ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.clock import local_date, now
from engine.domain.errors import FileRefused
from engine.domain.pair_state import Floats, Ints
from training.importing.checking import Checker, Known
from training.importing.fields import FILE_KINDS, mapping_of
from training.importing.reading import Source
from training.importing.rejects import Reject
from training.importing.values import NumericTimes, TimeUnit

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class InteractionColumns:
    """n interactions in the order of the file; times in microseconds."""

    sender: NDArray[np.str_]
    recipient: NDArray[np.str_]
    kind: NDArray[np.str_]
    weight: Floats
    occurred_at: Ints


def read_interactions(
    path: Path, mapping: Mapping[str, str] | None = None, time_unit: TimeUnit = "s"
) -> InteractionColumns:
    """Read a file in the import format of interactions; equal rows stay separate.

    Parameters
    ----------
    mapping
        Field to column, where they differ.

    Raises
    ------
    FileRefused
        If any row is bad; the message names the first few.
    InvalidInput
        If the file or a mapped column is not there.
    """
    kind = FILE_KINDS["interactions"]
    source = Source(kind, path, mapping_of(kind, mapping or {}), NumericTimes(time_unit))
    checker = Checker(source, Known(), local_date(now()))
    parts: dict[str, list[pa.Array]] = {f.name: [] for f in kind.fields}
    bad: list[Reject] = []
    for batch in source.batches():
        checked = checker.check(batch)
        bad += checked.rejects
        for field in kind.fields:
            column = checked.columns[field.name]
            default = field.default
            parts[field.name].append(column if default is None else pc.fill_null(column, default))
    if bad:
        shown = "; ".join(str(reject) for reject in bad[:_SHOWN])
        raise FileRefused(f"{path}: {len(bad)} faults: {shown}", "correct these rows")
    return InteractionColumns(
        sender=_texts(parts["sender"]),
        recipient=_texts(parts["recipient"]),
        kind=_texts(parts["kind"]),
        weight=_numbers(parts["weight"]).astype(np.float64),
        occurred_at=_numbers(parts["occurred_at"]).astype(np.int64),
    )


def _texts(parts: list[pa.Array]) -> NDArray[np.str_]:
    texts: NDArray[np.str_] = np.array(pa.chunked_array(parts, pa.string()).to_pylist(), np.str_)
    return texts


def _numbers(parts: list[pa.Array]) -> NDArray[np.generic]:
    numbers: NDArray[np.generic] = pa.chunked_array(parts).to_numpy()
    return numbers
