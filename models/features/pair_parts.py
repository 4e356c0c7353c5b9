"""Pair states from the exported log, part by part: whole pairs at a time, so no log is too long.

The database sorts the events by pair, and spills what exceeds its memory; the closed form then runs
over a few pairs at a time. Events reach it in one order only, by time and weight within a pair, so
that the same log gives the same states to the last bit, and the same model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
from ibis.expr.types import Table
from ibis.util import gen_name

from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Ints, Layout, closed_form
from models.features.log_people import People, numbered_events

EVENTS_A_PART = 250_000
"""Half a million directed states, 150 MB, at the very most (but for a busier pair)."""


@dataclass(frozen=True, slots=True, eq=False)
class PairPart:
    """Some unordered pairs (n) with all of their events.

    `first` and `second` are the numbers of the two people, the lesser id first; `out` (n × width)
    holds the states of what the first gave the second, `back` of what came back.
    """

    first: Ints
    second: Ints
    out: Floats
    back: Floats


def pair_parts(
    events: Table,
    people: People,
    layout: Layout = DEFAULT_LAYOUT,
    events_a_part: int = EVENTS_A_PART,
) -> Iterator[PairPart]:
    """Yield the states of all unordered pairs, by first and second, each pair in one part.

    Until the last part or `close`, the events' connection refuses to answer anything else.

    Parameters
    ----------
    events
        As `pair_log.pair_events` returns them. Those of a person with themselves are left out, as
        are those of people not in `people`.
    people
        Numbered in the events' database.
    layout
        Of the states; each is as of its own newest event.
    events_a_part
        About how many events are held at once outside the database.
    """
    numbered = numbered_events(events, people)
    one, other = numbered.sender, numbered.recipient
    key = people.pair_keys(ibis.least(one, other), ibis.greatest(one, other))
    apart = numbered.mutate(key=key, side=(one > other).cast("int8")).filter(one != other)
    for keys, states in state_parts(apart, 2, layout, events_a_part):
        yield PairPart(*people.pair_ends(keys), states[:, 0], states[:, 1])


def joined(parts: Iterable[PairPart], layout: Layout = DEFAULT_LAYOUT) -> PairPart:
    """Return the pairs of all `parts` as one, where their states (592 bytes a pair) fit."""
    nobody = np.zeros(0, dtype=np.int64)
    found = [PairPart(nobody, nobody, layout.empty(0), layout.empty(0)), *parts]
    return PairPart(
        np.concatenate([part.first for part in found]),
        np.concatenate([part.second for part in found]),
        np.concatenate([part.out for part in found]),
        np.concatenate([part.back for part in found]),
    )


def state_parts(
    events: Table, sides: int, layout: Layout = DEFAULT_LAYOUT, events_a_part: int = EVENTS_A_PART
) -> Iterator[tuple[Ints, Floats]]:
    """Yield keys (n, rising) and states (n × `sides` × width), part by part.

    Parameters
    ----------
    events
        With `key` (int64, not negative), `side` (below `sides`), kind, weight, occurred_at.
    sides, layout, events_a_part
        How many states a key has; of the states; as for `pair_parts`.
    """
    rows_of = events.select("key", "side", "kind", "weight", "occurred_at")
    for rows in _whole_keys(_sorted_batches(rows_of, events_a_part)):
        key, side, kind, at = (
            rows[name].to_numpy().astype(np.int64, copy=False)
            for name in ("key", "side", "kind", "occurred_at")
        )
        weight = rows["weight"].to_numpy()
        order = _by_weight(key, at, weight)
        begins = np.flatnonzero(np.diff(key, prepend=-1))
        row = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(key)))
        states = closed_form(
            layout,
            (sides * row + side)[order],
            kind[order],
            weight[order],
            at,
            sides * len(begins),
        )
        yield key[begins], states.reshape(len(begins), sides, layout.width)


def _by_weight(key: Ints, at: Ints, weight: Floats) -> Ints:
    """Return the order (n) that puts events of one key and one instant by their weight.

    They are few: cheaper here than as a third key of the database's sort, which it makes half as
    long again. A key and an instant have the same places after as before.
    """
    order = np.arange(len(key))
    same = (key[1:] == key[:-1]) & (at[1:] == at[:-1])
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    order[tied] = tied[np.lexsort((weight[tied], at[tied], key[tied]))]
    return order


def _sorted_batches(events: Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the events by key and time, in batches of `rows`.

    They are written to a temporary table first: what numbering people takes (a hash table of all of
    them) has then been given back when sorting begins, and either may need the whole memory.
    """
    backend = events.get_backend()
    name, connection = gen_name("events"), backend.con
    # Sorted anyway: whatever order they come in need not be kept in memory.
    connection.execute("SET preserve_insertion_order = false")
    try:
        connection.execute(f"CREATE TEMP TABLE {name} AS {backend.compile(events)}")
        # Not `to_pyarrow_batches`: what Ibis 12 calls there is gone from DuckDB 2.
        found = connection.sql(f"FROM {name} ORDER BY key, occurred_at")
        yield from found.to_arrow_reader(rows)
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute("RESET preserve_insertion_order")


def _whole_keys(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut batches that are ordered by key anew, so that no key's events stand in two."""
    held: pa.Table | None = None
    for batch in batches:
        fresh = pa.Table.from_batches([batch])
        rows = fresh if held is None else pa.concat_tables([held, fresh])
        key = rows["key"].to_numpy()
        last = int(np.searchsorted(key, key[-1])) if len(key) else 0
        if last:
            yield rows.slice(0, last)
        held = rows.slice(last)
    if held is not None and held.num_rows:
        yield held
