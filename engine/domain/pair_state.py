"""The fixed-size memory of one directed pair: decayed sums, counts, volumes and times per kind.

A behavioural feature is Σ w·2^−(T−t)/h over the pair's events. `closed_form` evaluates that over a
log; `update` carries it forward one event at a time. Both give the same state to 1e-9, which is
what keeps training and serving together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.domain.active_days import (
    WORDS,
    aged,
    bitmap,
    carried,
    day_number,
    day_of,
)
from engine.domain.clock import DAY
from engine.domain.decay import remaining
from engine.domain.errors import InvalidInput
from engine.domain.occasions import festive_days, is_festive

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Kind(IntEnum):
    """The kinds of directed events that a pair remembers."""

    GIFT = 0
    """The sender gave a gift."""
    ACCEPTED = 1
    """The sender of this event accepted a gift of the other."""
    MESSAGE = 2
    CALL = 3
    OTHER = 4


EXCHANGES = (Kind.GIFT, Kind.MESSAGE, Kind.CALL, Kind.OTHER)
"""What counts as an exchange; accepting a gift belongs to the gift."""


def kind_of(interaction: str) -> Kind:
    """Return the kind under which an interaction's free-text kind is remembered."""
    return {"message": Kind.MESSAGE, "call": Kind.CALL}.get(interaction, Kind.OTHER)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each number stands in a state vector.

    `sums` holds `len(Kind)` × `len(half_lives_days)` decayed weights (kind-major), then come per
    kind the count of events, the undecayed volume and the time of the last event (microseconds, 0
    if never), then the time of the first event and the time to which the sums are decayed, then the
    days with an exchange as a bitmap that begins at that time, and how many gifts were for a
    festival.
    """

    half_lives_days: tuple[float, ...] = (7.0, 30.0, 180.0)
    sums: slice[int, int, None] = field(init=False, repr=False, compare=False)
    """Columns of the decayed sums."""
    counts: slice[int, int, None] = field(init=False, repr=False, compare=False)
    """Columns of the event counts."""
    volumes: slice[int, int, None] = field(init=False, repr=False, compare=False)
    """Columns of the undecayed weights."""
    last_at: slice[int, int, None] = field(init=False, repr=False, compare=False)
    """Columns of the last times."""
    first_at: int = field(init=False, repr=False, compare=False)
    """Column of the first time."""
    state_at: int = field(init=False, repr=False, compare=False)
    """Column of the reference time: that of the newest event."""
    days: slice[int, int, None] = field(init=False, repr=False, compare=False)
    """Columns of the bitmap of active days (engine.domain.active_days)."""
    festival_gifts: int = field(init=False, repr=False, compare=False)
    """Column of the count of gifts for a festival."""
    width: int = field(init=False, repr=False, compare=False)
    """How many numbers a state has."""
    lives: Floats = field(init=False, repr=False, compare=False)
    """The half-lives (float64)."""

    def __post_init__(self) -> None:
        """Work the places out once: every event of every pair asks for them."""
        kinds = len(Kind)
        end = kinds * len(self.half_lives_days)
        places: dict[str, slice[int, int, None] | int] = {"sums": slice(0, end)}
        for part in ("counts", "volumes", "last_at"):
            places[part] = slice(end, end + kinds)
            end += kinds
        places |= {"first_at": end, "state_at": end + 1, "days": slice(end + 2, end + 2 + WORDS)}
        places |= {"festival_gifts": end + 2 + WORDS, "width": end + 3 + WORDS}
        for name, place in places.items():
            object.__setattr__(self, name, place)
        object.__setattr__(self, "lives", np.array(self.half_lives_days))

    @classmethod
    def scaled_to(cls, span_us: int) -> Layout:
        """Return the default half-lives for a log of `span_us` (microseconds).

        Where the log is shorter than the longest of them, that one becomes the log's span and the
        others keep their proportion to it: a half-life that no event has lived through says
        nothing that the plain sum does not.
        """
        usual = cls()
        part = min(1.0, span_us / DAY / usual.half_lives_days[-1])
        return cls(tuple(life * part for life in usual.half_lives_days))

    def sum_column(self, kind: Kind, half_life: int) -> int:
        """Return the column of `kind`'s decayed sum at the half-life with index `half_life`."""
        return kind * len(self.half_lives_days) + half_life

    def empty(self, pairs: int | None = None) -> Floats:
        """Return the state of a pair (or of `pairs` pairs, as rows) without events."""
        return np.zeros(self.width if pairs is None else (pairs, self.width))


DEFAULT_LAYOUT = Layout()
"""The layout in which the ledger stores states."""


def is_late(layout: Layout, state: Floats, at: int) -> bool:
    """Tell whether an event at `at` is older than the newest the state has seen."""
    return bool(state[layout.state_at] > at)


def update(layout: Layout, state: Floats, kind: Kind, weight: float, at: int) -> None:
    """Carry `state` (float64, `width`) forward, in place, by one event at `at` (microseconds).

    Raises
    ------
    InvalidInput
        If the event is older than the state's newest: the pair must be recomputed from its log.
    """
    if is_late(layout, state, at):
        raise InvalidInput("event older than the pair's newest", "recompute the pair from its log")
    elapsed = np.float64(at) - state[layout.state_at]
    sums = state[layout.sums].reshape(len(Kind), -1)
    sums *= remaining(elapsed, layout.lives)
    sums[kind] += weight
    today = day_number(at)
    passed = today - day_number(int(state[layout.state_at]))
    carried(state[layout.days], passed, kind in EXCHANGES)
    state[layout.festival_gifts] += kind == Kind.GIFT and is_festive(today)
    if not state[layout.counts].any():
        state[layout.first_at] = at
    state[layout.counts][kind] += 1
    state[layout.volumes][kind] += weight
    state[layout.last_at][kind] = at
    state[layout.state_at] = at


def closed_form(
    layout: Layout,
    pair: Ints,
    kind: Ints,
    weight: Floats,
    at: Ints,
    pairs: int,
) -> Floats:
    """Return the states (float64, `pairs` × `width`) that a log leaves.

    Parameters
    ----------
    pair, kind, weight, at
        One entry an event, in any order: the pair's row, the `Kind`, the weight, microseconds.
    pairs
        How many rows to return; a row without events is the empty state.
    """
    states = layout.empty(pairs)
    if len(pair) == 0:
        return states
    kinds, lives = len(Kind), len(layout.half_lives_days)
    cell = pair * kinds + kind
    newest = np.zeros(pairs, dtype=np.int64)
    np.maximum.at(newest, pair, at)
    oldest = np.full(pairs, np.iinfo(np.int64).max)
    np.minimum.at(oldest, pair, at)
    last = np.zeros(pairs * kinds, dtype=np.int64)
    np.maximum.at(last, cell, at)
    elapsed = (newest[pair] - at).astype(np.float64)
    for index, half_life in enumerate(layout.half_lives_days):
        left = np.bincount(cell, weight * remaining(elapsed, half_life), pairs * kinds)
        states[:, index : kinds * lives : lives] = left.reshape(pairs, kinds)
    states[:, layout.counts] = np.bincount(cell, minlength=pairs * kinds).reshape(pairs, kinds)
    states[:, layout.volumes] = np.bincount(cell, weight, pairs * kinds).reshape(pairs, kinds)
    states[:, layout.last_at] = last.reshape(pairs, kinds)
    seen = states[:, layout.counts].any(axis=1)
    states[seen, layout.first_at] = oldest[seen]
    states[:, layout.state_at] = newest
    day = day_of(at)
    given = np.isin(kind, EXCHANGES)
    passed = day_of(newest)[pair[given]] - day[given]
    states[:, layout.days] = bitmap(pair[given], passed, pairs)
    festive = kind == Kind.GIFT
    festive[festive] = np.isin(day[festive], festive_days())
    states[:, layout.festival_gifts] = np.bincount(pair[festive], minlength=pairs)
    return states


def decayed_to(layout: Layout, states: Floats, at: int | Ints) -> Floats:
    """Return a copy of `states` (… × `width`) as they are at `at` (microseconds, not before)."""
    later = states.copy()
    when = np.broadcast_to(np.asarray(at, dtype=np.int64), states.shape[:-1])
    newest = states[..., layout.state_at]
    lives = len(layout.half_lives_days)
    for index, half_life in enumerate(layout.half_lives_days):
        left = remaining(when - newest, half_life)
        later[..., index : layout.sums.stop : lives] *= left[..., None]
    passed = np.maximum(day_of(when) - day_of(newest.astype(np.int64)), 0)
    words = states[..., layout.days].reshape(-1, WORDS)
    later[..., layout.days] = aged(words, passed.reshape(-1)).reshape(*states.shape[:-1], WORDS)
    later[..., layout.state_at] = when
    return later


def to_bytes(state: Floats) -> bytes:
    """Return `state` as it is stored: little-endian float64."""
    return state.astype("<f8").tobytes()


def from_bytes(layout: Layout, stored: bytes | None) -> Floats:
    """Return the state that was stored, writable; the empty state for None.

    Raises
    ------
    InvalidInput
        If the bytes were written in another layout.
    """
    if stored is None:
        return layout.empty()
    state = np.frombuffer(stored, dtype="<f8").astype(np.float64)
    if state.shape != (layout.width,):
        raise InvalidInput(
            f"a pair state of {state.shape[0]} numbers where {layout.width} are expected",
            "rebuild the ties: lishang rebuild ties",
        )
    return state
