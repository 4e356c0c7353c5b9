"""Pair states as of an instant from the exported log: the closed form as one Ibis expression."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import numpy as np
from ibis.expr.types import (
    BooleanColumn,
    FloatingColumn,
    FloatingScalar,
    IntegerScalar,
    Table,
    Value,
)
from numpy.typing import NDArray
from pyarrow import ChunkedArray

from engine.domain.clock import DAY
from engine.domain.gifts import GiftState
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Kind, Layout, kind_of

Texts = NDArray[np.object_]

_NEVER_GIVEN = (GiftState.HELD.value, GiftState.CANCELLED.value)
_TAKEN = (GiftState.ACCEPTED.value, GiftState.REDEEMED.value)
_EXACT = "decimal(38, 12)"
_NAMED_KINDS = ("message", "call")


@dataclass(frozen=True, slots=True, eq=False)
class PairStates:
    """The states (n × width) of n directed pairs; pairs without events are absent."""

    sender: Texts
    recipient: Texts
    states: Floats


def pair_events(
    gifts: Table, interactions: Table, cutoff: int, recorded_by: int | None = None
) -> Table:
    """Return the directed events before `cutoff` (microseconds) that were known.

    A gift is an event of its sender when it was given (not while held, nor if cancelled); taking it
    is an event of its recipient when that is known to have happened before the cut-off. A decline
    leaves no trace of its own: it looks like a gift that nobody took.

    Parameters
    ----------
    gifts, interactions
        The exported tables, whole.
    cutoff
        An event counts if it occurred before this instant.
    recorded_by
        And was recorded before this one; the cut-off itself when None.

    Returns
    -------
    Table
        Lazy: sender, recipient, kind (the number of a `Kind`), weight, occurred_at. Equal rows are
        separate events.
    """
    by = cutoff if recorded_by is None else recorded_by
    known = gifts.filter(gifts.recorded_at < by, gifts.occurred_at < cutoff)
    given = known.filter(known.state.notin(_NEVER_GIVEN))
    taken = known.filter(known.state.isin(_TAKEN), known.outcome_at < cutoff)
    seen = interactions.filter(interactions.recorded_at < by, interactions.occurred_at < cutoff)
    kind = ibis.cases(
        *((seen.kind == name, _number(kind_of(name))) for name in _NAMED_KINDS),
        else_=_number(Kind.OTHER),
    )
    return ibis.union(
        given.select(
            "sender",
            "recipient",
            kind=_number(Kind.GIFT),
            weight=ibis.literal(1.0),
            occurred_at="occurred_at",
        ),
        taken.select(
            sender="recipient",
            recipient="sender",
            kind=_number(Kind.ACCEPTED),
            weight=ibis.literal(1.0),
            occurred_at="outcome_at",
        ),
        seen.select("sender", "recipient", kind=kind, weight="weight", occurred_at="occurred_at"),
    )


def pair_states(events: Table, layout: Layout = DEFAULT_LAYOUT) -> PairStates:
    """Return the state of every directed pair that `events` leave, in `layout`.

    The same numbers as `pair_state.closed_form`, evaluated by the database: for each kind and
    half-life h the sum Σ w·2^−(T−t)/h with T the pair's newest event, then counts, undecayed
    weights, last times, the first time and T.

    Parameters
    ----------
    events
        As `pair_events` returns them.
    layout
        Which half-lives, and where each number stands.
    """
    by_pair = ibis.window(group_by=["sender", "recipient"])
    dated = events.mutate(newest=events.occurred_at.max().over(by_pair))
    elapsed = (dated.newest - dated.occurred_at).cast("float64")
    decayed = dated.mutate(
        **{
            f"left_{index}": dated.weight * ibis.literal(2.0) ** (elapsed / (-half_life * DAY))
            for index, half_life in enumerate(layout.half_lives_days)
        }
    )
    columns: dict[int, Value] = {}
    for kind in Kind:
        own = decayed.kind == int(kind)
        for index in range(len(layout.half_lives_days)):
            columns[layout.sum_column(kind, index)] = exact_sum(decayed[f"left_{index}"], own)
        columns[layout.counts.start + kind] = own.sum()
        columns[layout.volumes.start + kind] = exact_sum(decayed.weight, own)
        columns[layout.last_at.start + kind] = decayed.occurred_at.max(where=own)
    columns[layout.first_at] = decayed.occurred_at.min()
    columns[layout.state_at] = decayed.newest.max()
    found = (
        decayed.group_by("sender", "recipient")
        .aggregate(**{f"c{n}": column.fill_null(0) for n, column in columns.items()})
        .order_by("sender", "recipient")
        .to_pyarrow()
    )
    states = layout.empty(found.num_rows)
    for column in range(layout.width):
        states[:, column] = found[f"c{column}"].to_numpy()
    return PairStates(_texts(found["sender"]), _texts(found["recipient"]), states)


def exact_sum(terms: FloatingColumn, where: BooleanColumn | None = None) -> FloatingScalar:
    """Return the sum of floating-point terms, each rounded to 10⁻¹², in whatever order they come.

    A parallel sum of floats differs in its last bits from run to run, and trees grown on it
    differ visibly; a sum of decimals is exact, so the same log gives the same model.
    """
    return terms.cast(_EXACT).sum(where=where).cast("float64")


def _number(kind: Kind) -> IntegerScalar:
    return ibis.literal(int(kind), type="int8")


def _texts(column: ChunkedArray) -> Texts:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=object)
