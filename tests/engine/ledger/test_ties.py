"""Pair states live, late, repeated and rebuilt are one and the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from engine.domain.clock import DAY
from engine.domain.errors import InvalidInput
from engine.domain.events import Interacted
from engine.domain.pair_state import DEFAULT_LAYOUT, from_bytes
from engine.ledger import intake, tables
from engine.ledger.database import Database
from engine.ledger.ties import read_others, rebuild_ties

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["an", "bo", "cy"]),
        st.sampled_from(["an", "bo", "cy"]),
        st.sampled_from(["message", "call", "poke"]),
        st.floats(0, 50),
        st.integers(0, 400 * DAY),
    ),
    max_size=25,
)


def _states(database: Database) -> dict[tuple[str, str], np.ndarray]:
    with database.reading() as unit:
        rows = unit.execute(select(tables.ties)).all()
    return {(r.sender, r.recipient): from_bytes(DEFAULT_LAYOUT, r.state) for r in rows}


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(EVENTS, st.integers(1, 5))
def test_ties_after_late_and_repeated_events_equal_a_rebuild(
    database: Database, drawn: list[tuple[str, str, str, float, int]], batch: int
) -> None:
    with database.writing() as unit:
        for table in (tables.ties, tables.interactions, tables.received_events):
            unit.execute(delete(table))
    events = [
        Interacted(f"e{n}", at, sender, recipient, kind, weight)
        for n, (sender, recipient, kind, weight, at) in enumerate(drawn)
    ]
    for begin in range(0, len(events), batch):
        with database.writing() as unit:
            # Each batch repeats its predecessor: a repeated event must count once.
            intake.receive(unit, events[max(begin - batch, 0) : begin + batch], 500 * DAY)
    live = _states(database)
    with database.writing() as unit:
        rebuild_ties(unit)
    rebuilt = _states(database)
    assert live.keys() == rebuilt.keys() == {(e.sender, e.recipient) for e in events}
    for pair, state in live.items():
        np.testing.assert_allclose(state, rebuilt[pair], rtol=1e-9, atol=1e-9)


def test_rebuild_of_some_pairs_touches_no_other(database: Database) -> None:
    with database.writing() as unit:
        intake.receive(
            unit,
            [
                Interacted("1", 5 * DAY, "an", "bo", "message", 1.0),
                Interacted("2", 5 * DAY, "bo", "an", "message", 2.0),
            ],
            6 * DAY,
        )
    before = _states(database)
    with database.writing() as unit:
        unit.execute(
            tables.ties.update()
            .where(tables.ties.c.sender == "an")
            .values(state=b"\0" * 8 * DEFAULT_LAYOUT.width)
        )
        assert rebuild_ties(unit, {("an", "bo")}) == 1
    after = _states(database)
    np.testing.assert_array_equal(after["an", "bo"], before["an", "bo"])
    np.testing.assert_array_equal(after["bo", "an"], before["bo", "an"])


def test_read_others_names_both_directions_once(database: Database) -> None:
    with database.writing() as unit:
        intake.receive(
            unit,
            [
                Interacted("1", DAY, "an", "bo", "message", 1.0),
                Interacted("2", DAY, "bo", "an", "message", 1.0),
                Interacted("3", DAY, "cy", "an", "message", 1.0),
            ],
            2 * DAY,
        )
    with database.reading() as unit:
        assert read_others(unit, "an") == ["bo", "cy"]
        assert read_others(unit, "nobody") == []


def test_state_of_another_layout_is_refused_with_a_hint() -> None:
    with pytest.raises(InvalidInput, match="rebuild"):
        from_bytes(DEFAULT_LAYOUT, b"\0" * 16)
