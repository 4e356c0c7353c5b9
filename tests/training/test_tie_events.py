"""Events as arrays: where a horizon begins and ends, and who is a pair."""

from __future__ import annotations

import pytest

from engine.domain.errors import InvalidInput
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind
from training.frames.tie_events import TieEvents

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
