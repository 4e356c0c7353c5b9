"""An exported log of any length, made by DuckDB from hashes of row numbers: the same every time."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.clock import DAY
from engine.ledger.export import EXPORTED

CUTOFF = 1_790_000_000_000_000
"""After all events, in microseconds."""
SPAN_DAYS = 730
EVENTS_A_PERSON = 10
EVENTS_A_PAIR = 5

_ACTIVITY = 1.5
"""The k-th of n people is drawn with chance ~ k^(1/1.5 − 1): some have hundreds of pairs."""
_LIVELINESS = 3.0
"""The k-th of n pairs has events ~ k^(1/3 − 1), besides the one that every pair has."""
_SCATTER = 611_953
"""A prime: people who are much about get ids from all over."""
_GIFTS = 0.03

_DRAWN = """
CREATE VIEW drawn AS
WITH numbered AS (
  SELECT i, CASE WHEN i % {per_pair} = 0 THEN i // {per_pair}
    ELSE floor({pairs} * pow({u0}, {liveliness}))::BIGINT END AS pair FROM range({events}) r(i)
), ended AS (
  SELECT i, pair,
    floor({people} * pow({v1}, {activity}))::BIGINT AS one,
    floor({people} * pow({v2}, {activity}))::BIGINT AS drawn_other
  FROM numbered
), apart AS (
  SELECT i, pair, one, CASE WHEN one = drawn_other THEN (one + 1) % {people} ELSE drawn_other END
    AS other FROM ended
)
SELECT i, {u1} < {v3} AS ahead, {u2} AS what, {begin} + i * {step} AS moment,
  'p' || lpad((one * {scatter} % {people})::VARCHAR, 8, '0') AS one,
  'p' || lpad((other * {scatter} % {people})::VARCHAR, 8, '0') AS other
FROM apart
"""
_ENDS = """CASE WHEN ahead THEN one ELSE other END AS sender,
  CASE WHEN ahead THEN other ELSE one END AS recipient"""
_INTERACTIONS = f"""
SELECT {_ENDS},
  CASE WHEN what < 0.7 THEN 'message' WHEN what < 0.85 THEN 'call' ELSE 'wave' END AS kind,
  CASE WHEN what < 0.7 THEN 1.0 ELSE 1.0 + floor(what * 20) END AS weight,
  moment AS occurred_at, moment AS recorded_at
FROM drawn WHERE what >= {_GIFTS}
"""
_GIVEN = f"""
SELECT {_ENDS},
  CASE WHEN what < {_GIFTS / 2} THEN 'accepted' ELSE 'expired' END AS state,
  moment AS occurred_at, moment + {DAY // 24} AS outcome_at, moment AS recorded_at
FROM drawn WHERE what < {_GIFTS}
"""


def make(folder: Path, events: int, seed: int) -> None:
    """Write a log of so many events, by time, as the ledger exports it: gifts and interactions.

    There are a tenth as many people and a fifth as many pairs, of power-law activity. Accepting is
    the event of another's gift and does not count as one of them. The other tables are empty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table, columns in EXPORTED.items():
        empty = pa.table({column: pa.array([], pa.string()) for column in columns})
        pq.write_table(empty, folder / f"{table}.parquet")
    step = SPAN_DAYS * DAY // events
    begin = CUTOFF - 2 * DAY - events * step
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            _DRAWN.format(
                events=events,
                people=events // EVENTS_A_PERSON,
                pairs=events // EVENTS_A_PAIR,
                per_pair=EVENTS_A_PAIR,
                liveliness=_LIVELINESS,
                activity=_ACTIVITY,
                scatter=_SCATTER,
                begin=begin,
                step=step,
                **{f"u{n}": _uniform("i", seed, n) for n in range(3)},
                **{f"v{n}": _uniform("pair", seed, 10 + n) for n in range(1, 4)},
            )
        )
        for name, query in (("interactions", _INTERACTIONS), ("gifts", _GIVEN)):
            connection.execute(f"COPY ({query}) TO '{folder / f'{name}.parquet'}' (FORMAT parquet)")


def _uniform(column: str, seed: int, which: int) -> str:
    """Return the expression of a number in [0, 1) drawn once for each value of a column.

    One number is hashed: hashes of several arguments are not independent of one another.
    """
    return f"((hash({column} * 32 + {which} + {seed} * {10**14}) >> 11)::DOUBLE / {2**53})"
