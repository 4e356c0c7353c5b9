"""Events as arrays: where a horizon begins and ends, and who is a pair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.domain.clock import DAY
from engine.domain.errors import InvalidInput
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind
from engine.domain.structure import Structure
from training.frames.tie_events import TieEvents
from training.frames.ties import tie_frame
from training.log import ExportedLog

KINDS = ["message", "call", "message", "message", "message"]


def test_tie_events_at_the_cutoff_belong_to_the_horizon_and_at_its_end_do_not() -> None:
    events = TieEvents(
        ["a", "b", "a", "b", "a"], ["b", "a", "b", "a", "b"], [1, 2, 4, 8, 16], KINDS,
        [0, 99, 100, 149, 150],
    )  # fmt: skip
    found = events.at(100, 50)
    assert found.count.tolist() == [2.0]
    assert found.rows.amount.tolist() == [12.0]
    assert found.rows.out[0, DEFAULT_LAYOUT.volumes][Kind.MESSAGE] == 1.0
    assert found.rows.back[0, DEFAULT_LAYOUT.volumes][Kind.CALL] == 2.0
    assert [end.tolist() for end in events.ends(found.rows.pair)] == [["a"], ["b"]]


def test_tie_events_leave_out_new_pairs_and_oneself() -> None:
    events = TieEvents([1, 2, 1, 3, 1], [2, 2, 3, 1, 2], [1] * 5, KINDS, [-5, 0, 10, 11, 12])
    found = events.at(10, 100)
    assert [end.tolist() for end in events.ends(found.rows.pair)] == [[1], [2]]
    assert found.rows.amount.tolist() == [1.0]
    assert len(events.at(-5, 100).rows) == 0


def test_tie_events_of_unequal_columns_are_refused() -> None:
    with pytest.raises(InvalidInput, match="different lengths"):
        TieEvents([1, 2], [2], [1], ["call"], [0])


def test_tie_events_give_the_frame_that_the_exported_log_gives(
    write_log: Callable[..., ExportedLog],
) -> None:
    rng = np.random.default_rng(5)
    # A whole number of days after the first event of `TieEvents`, so that the days are the same.
    start, size = 1_700_000_000_000_000 // DAY * DAY + 1, 900
    ends = rng.integers(0, 25, (size, 2))
    at = start + np.sort(rng.integers(0, 40 * DAY, size))
    at[0] = start
    kind = rng.choice(["message", "call", "poke"], size)
    weight = rng.integers(1, 5, size).astype(np.float64)
    names = np.array([f"p{number:02d}" for number in range(25)])[ends]
    columns = zip(names.tolist(), kind.tolist(), weight.tolist(), at.tolist(), strict=True)
    log = write_log(
        interactions=[
            {"sender": a, "recipient": b, "kind": k, "weight": w, "occurred_at": t}
            for (a, b), k, w, t in columns
        ]
    )
    cutoff, horizon = start + 30 * DAY, 7 * DAY
    events = TieEvents(names[:, 0], names[:, 1], weight, kind, at)
    found, frame = events.at(cutoff, horizon), tie_frame(log, cutoff, horizon)
    first, second = events.ends(found.rows.pair)
    assert frame.known == len(frame.rows) == len(found.rows) > 100
    assert (first.tolist(), second.tolist()) == (frame.first.tolist(), frame.second.tolist())
    assert found.rows.amount.tolist() == frame.rows.amount.tolist()
    assert found.count.tolist() == frame.count.tolist()

    # The same but for where time begins.
    shift, layout = cutoff - int(found.rows.at[0]), DEFAULT_LAYOUT
    times = [layout.first_at, layout.state_at, *range(layout.last_at.start, layout.last_at.stop)]
    for side in ("out", "back"):
        states = getattr(found.rows, side).copy()
        states[:, times] = np.where(states[:, times] > 0, states[:, times] + shift, 0.0)
        np.testing.assert_allclose(states, getattr(frame.rows, side), rtol=1e-9, atol=1e-12)
    around = found.rows.structure.copy()
    around[:, Structure.AS_OF] += shift
    np.testing.assert_allclose(around, frame.rows.structure, rtol=1e-9, atol=1e-9)
