"""One formula, two evaluations: the closed form over an exported log and the recurrence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import count
from random import Random

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.expr.types import Table

from engine.domain.clock import DAY, HOUR
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Ints, Kind, Layout, kind_of, update
from models.features.log_people import People
from models.features.pair_log import pair_events, pair_states
from models.features.pair_parts import PairPart, joined, pair_parts

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

PEOPLE = st.sampled_from("abcd")
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
    for _ in range(draw(st.integers(0, 30))):
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
    for _ in range(draw(st.integers(0, 60))):
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


EventsOf = Callable[[list[dict[str, object]], list[dict[str, object]]], Table]


@pytest.fixture(scope="module")
def events_of(tmp_path_factory: pytest.TempPathFactory) -> EventsOf:
    """Return what writes a log to Parquet, as it is exported, and returns its events."""
    folder = tmp_path_factory.mktemp("logs")
    connection = ibis.duckdb.connect(threads=2)
    number = count()

    def read(name: str, rows: list[dict[str, object]], schema: pa.Schema) -> Table:
        path = folder / f"{name}_{next(number)}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
        return connection.read_parquet(path, table_name=path.stem)

    def events(gifts: list[dict[str, object]], interactions: list[dict[str, object]]) -> Table:
        given = read("gifts", gifts, GIFTS)
        return pair_events(given, read("talk", interactions, INTERACTIONS), CUTOFF)

    return events


@given(
    log=logs(),
    layout=st.sampled_from([DEFAULT_LAYOUT, Layout((0.5, 45.0))]),
    events_a_part=st.sampled_from([1, 2, 5, 1_000]),
)
@settings(max_examples=10, deadline=None)
def test_states_of_a_log_whole_and_in_parts_equal_the_recurrence(
    events_of: EventsOf,
    log: tuple[list[dict[str, object]], list[dict[str, object]]],
    layout: Layout,
    events_a_part: int,
) -> None:
    expected = _by_recurrence(*log, layout)
    events = events_of(*log)
    whole = pair_states(events, layout)
    keys = list(zip(whole.sender, whole.recipient, strict=True))
    assert keys == sorted(expected)
    for key, state in zip(keys, whole.states, strict=True):
        _assert_same(layout, state, expected[key])
    people = People.of(events)
    pairs = joined(pair_parts(events, people, layout, events_a_part), layout)
    ends = list(zip(people.named(pairs.first), people.named(pairs.second), strict=True))
    assert ends == sorted({(min(key), max(key)) for key in keys if key[0] != key[1]})
    nothing = layout.empty()
    for (one, other), out, back in zip(ends, pairs.out, pairs.back, strict=True):
        _assert_same(layout, out, expected.get((one, other), nothing))
        _assert_same(layout, back, expected.get((other, one), nothing))


def _assert_same(layout: Layout, state: Floats, expected: Floats) -> None:
    """A word of 48 days is a whole number, of which 1e-9 would forget the latest fortnights."""
    np.testing.assert_allclose(state, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(state[layout.days], expected[layout.days])
    assert state[layout.festival_gifts] == expected[layout.festival_gifts]


@pytest.mark.parametrize("fate", ["expired", "refunded"])
def test_pair_states_of_a_declined_gift_equal_those_of_any_other_untaken_gift(
    events_of: EventsOf, fate: str
) -> None:
    declined = pair_states(events_of([_gift(START, "declined")], []))
    other = pair_states(events_of([_gift(START, fate)], []))
    assert declined.sender.tolist() == other.sender.tolist() == ["a"]
    np.testing.assert_array_equal(declined.states, other.states)


def test_pair_states_of_an_empty_log_are_none(events_of: EventsOf) -> None:
    events = events_of([], [])
    assert pair_states(events).states.shape == (0, DEFAULT_LAYOUT.width)
    none = joined(pair_parts(events, People.of(events)))
    assert len(none.first) == len(none.out) == 0


def test_pair_states_count_days_and_festivals_from_midnight_in_china(events_of: EventsOf) -> None:
    eve = _at("2024-02-08T00:00:00+08:00")  # two days before Spring Festival
    found = pair_states(events_of([_gift(eve - 1), _gift(eve), _gift(eve + 3 * DAY)], []))
    [state] = found.states
    assert state[DEFAULT_LAYOUT.festival_gifts] == 1
    assert state[DEFAULT_LAYOUT.days].tolist() == [0b11001, 0, 0, 0]


def test_pair_states_of_a_shuffled_log_are_the_same_to_the_last_bit(events_of: EventsOf) -> None:
    chance = Random(5)
    rows = [
        {
            **dict(zip(("sender", "recipient"), chance.sample("abcd", 2), strict=True)),
            "kind": chance.choice(["message", "call"]),
            "weight": chance.random(),
            "occurred_at": START + chance.randrange(5) * HOUR,
            "recorded_at": START,
        }
        for _ in range(2_000)
    ]
    expected = pair_states(events_of([], rows)).states
    chance.shuffle(rows)
    events = events_of([], rows)
    np.testing.assert_array_equal(pair_states(events).states, expected)
    people = People.of(events)
    for events_a_part in (7, 100_000):
        pairs = joined(pair_parts(events, people, events_a_part=events_a_part))
        order = np.argsort(people.pair_keys(*_ways(pairs)))
        np.testing.assert_array_equal(np.concatenate([pairs.out, pairs.back])[order], expected)


def test_pair_parts_of_some_people_hold_the_pairs_among_them(events_of: EventsOf) -> None:
    talk = [_message(*ends) for ends in ("ab", "ba", "bc", "cd", "dd")]
    some = People.of(events_of([], talk[:3]))
    few = joined(pair_parts(events_of([], talk), some))
    assert some.ids.to_pylist() == ["a", "b", "c"]
    ends = zip(some.named(few.first), some.named(few.second), strict=True)
    assert list(ends) == [("a", "b"), ("b", "c")]
    counts = few.out[:, DEFAULT_LAYOUT.counts].sum(axis=1).tolist()
    assert counts == [1, 1]
    assert few.back[:, DEFAULT_LAYOUT.counts].sum(axis=1).tolist() == [1, 0]


def test_pair_parts_left_half_way_leave_the_database_free(events_of: EventsOf) -> None:
    events = events_of([], [_message(*ends) for ends in ("ab", "bc", "cd")] * 2_000)
    parts = pair_parts(events, People.of(events), events_a_part=10)
    assert len(next(parts).first) == 1
    parts.close()
    assert events.count().to_pyarrow().as_py() == 6_000


def _ways(pairs: PairPart) -> tuple[Ints, Ints]:
    """Return sender and recipient of a part's states, the ways out before the ways back."""
    return np.append(pairs.first, pairs.second), np.append(pairs.second, pairs.first)


def _at(instant: str) -> int:
    return int(datetime.fromisoformat(instant).timestamp()) * 1_000_000


def _gift(at: int, state: str = "sent") -> dict[str, object]:
    ends = {"sender": "a", "recipient": "b"}
    return {
        **ends,
        "state": state,
        "occurred_at": at,
        "outcome_at": at + HOUR,
        "recorded_at": at,
    }


def _message(sender: str, recipient: str) -> dict[str, object]:
    ends = {"sender": sender, "recipient": recipient}
    return {
        **ends,
        "kind": "message",
        "weight": 1.0,
        "occurred_at": START,
        "recorded_at": START,
    }
