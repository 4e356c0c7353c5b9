"""One formula, two evaluations: the database's closed form and the recurrence."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.clock import DAY, HOUR
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Kind, Layout, kind_of, update
from models.features.pair_log import PairStates, pair_events, pair_states

START = 1_700_000_000_000_000
CUTOFF = START + 400 * DAY

GIFTS = pa.schema(
    [
        ("sender", pa.string()),
        ("recipient", pa.string()),
        ("state", pa.string()),
        ("occurred_at", pa.int64()),
        ("outcome_at", pa.int64()),
        ("recorded_at", pa.int64()),
    ]
)
INTERACTIONS = pa.schema(
    [
        ("sender", pa.string()),
        ("recipient", pa.string()),
        ("kind", pa.string()),
        ("weight", pa.float64()),
        ("occurred_at", pa.int64()),
        ("recorded_at", pa.int64()),
    ]
)

PEOPLE = st.sampled_from("abc")
# Few distinct times, so that ties are common; some after the cut-off.
TIMES = st.one_of(
    st.integers(0, 5).map(lambda n: START + n * HOUR),
    st.integers(START, CUTOFF + 20 * DAY),
)
STATES = st.sampled_from(
    ["held", "sent", "accepted", "declined", "expired", "redeemed", "refunded", "cancelled"]
)


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    gifts: list[dict[str, object]] = []
    for _ in range(draw(st.integers(0, 8))):
        at = draw(TIMES)
        outcome = draw(st.one_of(st.none(), st.integers(0, 30).map(lambda n, at=at: at + n * DAY)))
        late = draw(st.sampled_from([0, 0, HOUR, 500 * DAY]))
        gifts.append(
            {
                "sender": draw(PEOPLE),
                "recipient": draw(PEOPLE),
                "state": draw(STATES),
                "occurred_at": at,
                "outcome_at": outcome,
                "recorded_at": at + late,
            }
        )
    interactions: list[dict[str, object]] = []
    for _ in range(draw(st.integers(0, 15))):
        at = draw(TIMES)
        row: dict[str, object] = {
            "sender": draw(PEOPLE),
            "recipient": draw(PEOPLE),
            "kind": draw(st.sampled_from(["message", "call", "wave"])),
            "weight": draw(st.sampled_from([0.25, 1.0, 3.5, 1e6])),
            "occurred_at": at,
            "recorded_at": at + draw(st.sampled_from([0, 0, 500 * DAY])),
        }
        interactions += [row] * draw(st.sampled_from([1, 1, 2]))  # equal rows are two events
    return gifts, interactions


def _by_recurrence(
    gifts: list[dict[str, object]], interactions: list[dict[str, object]], layout: Layout
) -> dict[tuple[str, str], Floats]:
    """Return the states that the events known before the cut-off leave, one event at a time."""
    events: list[tuple[int, str, str, Kind, float]] = []
    for gift in gifts:
        if gift["recorded_at"] >= CUTOFF or gift["occurred_at"] >= CUTOFF:
            continue
        ends = gift["sender"], gift["recipient"]
        if gift["state"] not in {"held", "cancelled"}:
            events.append((gift["occurred_at"], *ends, Kind.GIFT, 1.0))
        taken = gift["state"] in {"accepted", "redeemed"} and gift["outcome_at"] is not None
        if taken and gift["outcome_at"] < CUTOFF:
            events.append((gift["outcome_at"], *reversed(ends), Kind.ACCEPTED, 1.0))
    for row in interactions:
        if row["recorded_at"] < CUTOFF and row["occurred_at"] < CUTOFF:
            kind = kind_of(row["kind"])
            ends = row["sender"], row["recipient"]
            events.append((row["occurred_at"], *ends, kind, row["weight"]))
    states: dict[tuple[str, str], Floats] = {}
    for at, sender, recipient, kind, weight in sorted(events):
        state = states.setdefault((sender, recipient), layout.empty())
        update(layout, state, kind, weight, at)
    return states


def _by_database(
    gifts: list[dict[str, object]], interactions: list[dict[str, object]], layout: Layout
) -> PairStates:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pq.write_table(pa.Table.from_pylist(gifts, schema=GIFTS), folder / "gifts.parquet")
        pq.write_table(
            pa.Table.from_pylist(interactions, schema=INTERACTIONS), folder / "talk.parquet"
        )
        connection = ibis.duckdb.connect(threads=2)
        events = pair_events(
            connection.read_parquet(folder / "gifts.parquet", table_name="gifts"),
            connection.read_parquet(folder / "talk.parquet", table_name="talk"),
            CUTOFF,
        )
        return pair_states(events, layout)


@given(log=logs(), layout=st.sampled_from([DEFAULT_LAYOUT, Layout((0.5, 45.0))]))
@settings(max_examples=40, deadline=None)
def test_pair_states_by_the_database_equal_the_recurrence(
    log: tuple[list[dict[str, object]], list[dict[str, object]]], layout: Layout
) -> None:
    expected = _by_recurrence(*log, layout)
    found = _by_database(*log, layout)
    keys = list(zip(found.sender, found.recipient, strict=True))
    assert keys == sorted(expected)
    for key, state in zip(keys, found.states, strict=True):
        np.testing.assert_allclose(state, expected[key], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("fate", ["expired", "refunded"])
def test_pair_states_of_a_declined_gift_equal_those_of_any_other_untaken_gift(fate: str) -> None:
    gift = {
        "sender": "a",
        "recipient": "b",
        "occurred_at": START,
        "outcome_at": START + HOUR,
        "recorded_at": START,
    }
    declined = _by_database([{**gift, "state": "declined"}], [], DEFAULT_LAYOUT)
    other = _by_database([{**gift, "state": fate}], [], DEFAULT_LAYOUT)
    assert declined.sender.tolist() == other.sender.tolist() == ["a"]
    np.testing.assert_array_equal(declined.states, other.states)


def test_pair_states_of_an_empty_log_are_none() -> None:
    assert _by_database([], [], DEFAULT_LAYOUT).states.shape == (0, DEFAULT_LAYOUT.width)
