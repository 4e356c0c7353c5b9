"""Pair states live, late, repeated and rebuilt are one and the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, insert, select

from engine.domain.active_days import counted
from engine.domain.clock import DAY, HOUR
from engine.domain.errors import InvalidInput
from engine.domain.events import Interacted
from engine.domain.occasions import festive_days
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, from_bytes
from engine.ledger import intake, tables
from engine.ledger.database import Database
from engine.ledger.ties import TieEvent, append, rebuild_ties

LONG = 400
FESTIVE = [day for day in festive_days().tolist() if 0 < day < LONG]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["an", "bo", "cy"]),
        st.sampled_from(["an", "bo", "cy"]),
        st.sampled_from(["message", "call", "poke", "gift", "gift", "accepted gift"]),
        st.floats(0, 50),
        # The same few days, near to midnight in China, and days about festivals more often.
        st.one_of(
            st.integers(0, LONG * DAY),
            st.sampled_from(FESTIVE).map(lambda day: day * DAY - 8 * HOUR),
            st.integers(200, 203).map(lambda day: day * DAY - 8 * HOUR - 1),
        ),
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
        for table in (tables.ties, tables.interactions, tables.gifts, tables.received_events):
            unit.execute(delete(table))
    events = [
        Interacted(f"e{n}", at, sender, recipient, kind, weight)
        for n, (sender, recipient, kind, weight, at) in enumerate(drawn)
    ]
    expected = {(e.sender, e.recipient) for e in events}
    for begin in range(0, len(events), batch):
        # Each batch repeats its predecessor: a repeated event must count once.
        told = events[max(begin - batch, 0) : begin + batch]
        with database.writing() as unit:
            intake.receive(unit, [e for e in told if "gift" not in e.kind], 500 * DAY)
            for gift in [e for e in events[begin : begin + batch] if "gift" in e.kind]:
                expected |= _give(unit, gift)
    live = _states(database)
    with database.writing() as unit:
        rebuild_ties(unit)
    rebuilt = _states(database)
    assert live.keys() == rebuilt.keys() == expected
    for pair, state in live.items():
        np.testing.assert_allclose(state, rebuilt[pair], rtol=1e-9, atol=1e-9)


def _give(unit: Connection, told: Interacted) -> set[tuple[str, str]]:
    """Record a gift and what its ties remember of it, as a send and an answer do, at any time."""
    accepted = told.kind == "accepted gift"
    row = {
        "gift": told.event,
        "sender": told.sender,
        "recipient": told.recipient,
        "item": "coffee",
        "price_fen": 900,
        "relation": "friend",
        "scene": "chat",
        "occasion": "none",
        "state": "accepted" if accepted else "declined",
        "origin": "live",
        "occurred_at": told.occurred_at,
        "outcome_at": told.occurred_at + HOUR,
        "recorded_at": told.occurred_at,
    }
    unit.execute(insert(tables.gifts).values(row))
    there, back = (told.sender, told.recipient), (told.recipient, told.sender)
    events = [TieEvent(*there, Kind.GIFT, 1.0, told.occurred_at)]
    if accepted:
        events.append(TieEvent(*back, Kind.ACCEPTED, 1.0, told.occurred_at + HOUR))
    append(unit, events)
    return {(event.sender, event.recipient) for event in events}


def test_gifts_for_a_festival_and_days_with_an_exchange_are_remembered(database: Database) -> None:
    festive = FESTIVE[-1] * DAY
    plain = next(day for day in range(LONG, 0, -1) if day not in FESTIVE) * DAY
    gifts = [
        Interacted(f"g{n}", at, "an", "bo", "accepted gift", 1.0)
        for n, at in enumerate([festive, plain, plain + 2 * HOUR])
    ]
    with database.writing() as unit:
        for gift in gifts:
            _give(unit, gift)
    states = _states(database)
    assert states["an", "bo"][DEFAULT_LAYOUT.festival_gifts] == 1
    assert states["bo", "an"][DEFAULT_LAYOUT.festival_gifts] == 0
    days = {
        pair: counted(state[None, DEFAULT_LAYOUT.days].astype("u8"))
        for pair, state in states.items()
    }
    assert days == {("an", "bo"): 2, ("bo", "an"): 0}  # to accept is no exchange of its own


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


def test_rebuild_leaves_no_row_of_a_pair_without_events(database: Database) -> None:
    with database.writing() as unit:
        append(unit, [TieEvent("an", "bo", Kind.MESSAGE, 1.0, DAY)])  # it is not in the log
        assert rebuild_ties(unit, {("an", "bo"), ("bo", "an")}) == 2
    assert _states(database) == {}


def test_event_of_a_pair_in_another_layout_has_it_recomputed(database: Database) -> None:
    with database.writing() as unit:
        told = Interacted("1", DAY, "an", "bo", "message", 1.0)
        intake.receive(unit, [told], 2 * DAY)
        # As a worker of an older version leaves it.
        unit.execute(tables.ties.update().values(state=b"\0" * 256))
        intake.receive(unit, [Interacted("2", DAY, "an", "bo", "call", 2.0)], 2 * DAY)
    live = _states(database)
    with database.writing() as unit:
        rebuild_ties(unit)
    np.testing.assert_allclose(live["an", "bo"], _states(database)["an", "bo"])


def test_state_of_another_layout_is_refused_with_a_hint() -> None:
    with pytest.raises(InvalidInput, match="rebuild"):
        from_bytes(DEFAULT_LAYOUT, b"\0" * 16)
