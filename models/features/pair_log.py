"""Directed events and pair states as of an instant, from the exported log."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import numpy as np
from ibis.expr.types import BooleanColumn, FloatingColumn, FloatingScalar, IntegerScalar, Table

from engine.domain.gifts import GiftState
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Kind, Layout, kind_of
from models.features.log_people import People, Texts, numbered_events
from models.features.pair_parts import state_parts

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
    """Return the state of every directed pair that `events` leave, by sender and recipient.

    All at once and by id, for logs that fit: see `pair_parts` for any other.

    Parameters
    ----------
    events
        As `pair_events` returns them.
    layout
        Which half-lives, and where each number stands.
    """
    people = People.of(events)
    numbered = numbered_events(events, people)
    key = people.pair_keys(numbered.sender, numbered.recipient)
    found = list(state_parts(numbered.mutate(key=key, side=_number(0)), 1, layout))
    keys = np.concatenate([np.zeros(0, dtype=np.int64), *(keys for keys, _ in found)])
    sender, recipient = people.pair_ends(keys)
    states = np.concatenate([layout.empty(0), *(states[:, 0] for _, states in found)])
    return PairStates(people.named(sender), people.named(recipient), states)


def exact_sum(terms: FloatingColumn, where: BooleanColumn | None = None) -> FloatingScalar:
    """Return the sum of floating-point terms, each rounded to 10⁻¹², in whatever order they come.

    A parallel sum of floats differs in its last bits from run to run, and trees grown on it
    differ visibly; a sum of decimals is exact, so the same log gives the same model.
    """
    return terms.cast(_EXACT).sum(where=where).cast("float64")


def _number(kind: int) -> IntegerScalar:
    return ibis.literal(int(kind), type="int8")


__all__ = ["PairStates", "Texts", "exact_sum", "pair_events", "pair_states"]
