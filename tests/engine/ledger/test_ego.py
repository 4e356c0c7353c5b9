"""A person's ties as they are read to be scored: who is among them, and what is told of each."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import InvalidInput
from engine.domain.events import ConsentChanged, FriendshipChanged, Interacted, PersonChanged
from engine.domain.pair_state import DEFAULT_LAYOUT, from_bytes, to_bytes
from engine.domain.people import Purpose
from engine.domain.structure import WIDTH, ordered
from engine.domain.structure import to_bytes as structure_to_bytes
from engine.ledger import intake, tables
from engine.ledger.database import Database
from engine.ledger.ego import StoredTies, read_ego, read_everybody

NOW = 20_500 * DAY + 4 * HOUR
TABLES = (
    *(tables.ties, tables.tie_structure, tables.friendships, tables.consents, tables.people),
    *(tables.interactions, tables.received_events),
)


def _tell(database: Database, *events: Any) -> None:
    with database.writing() as unit:
        intake.receive(unit, events, NOW)


def _ego(database: Database, person: str, at: int = NOW) -> StoredTies:
    with database.reading() as unit:
        return read_ego(unit, person, at)


def _others(database: Database, person: str, at: int = NOW) -> set[str]:
    ego = _ego(database, person, at)
    assert set(ego.senders) <= {person}
    assert len(set(ego.recipients)) == len(ego)
    return set(ego.recipients)


def _call(sender: str, recipient: str, at: int = NOW - DAY) -> Interacted:
    return Interacted(f"{sender}>{recipient}@{at}", at, sender, recipient, "call", 1.0)


def _friend(person: str, friend: str, active: bool = True, at: int = NOW - DAY):
    return FriendshipChanged(f"{person}+{friend}{at}", at, person, friend, active)


def test_ego_holds_whoever_was_reached_or_reaches_out_and_friends_both_ways(database) -> None:
    _tell(
        database,
        *(_call("an", "bo"), _call("cy", "an"), _call("an", "an"), _call("bo", "cy")),
        *(_friend("an", "di"), _friend("di", "an"), _friend("an", "ed"), _friend("fy", "an")),
        *(_friend("an", "gu", at=5), _friend("gu", "an", at=5)),
        _friend("gu", "an", active=False, at=6),
    )
    assert _others(database, "an") == {"bo", "cy", "di"}
    assert _others(database, "nobody") == set()


def test_ego_leaves_out_what_gifts_that_were_never_sent_left_unless_they_are_friends(
    database,
) -> None:
    empty = to_bytes(DEFAULT_LAYOUT.empty())
    with database.writing() as unit:
        for other in ("bo", "cy"):
            row = {"sender": "an", "recipient": other, "state": empty, "newest_at": 0}
            unit.execute(insert(tables.ties).values(row))
    _tell(database, _friend("an", "cy"), _friend("cy", "an"))
    assert _others(database, "an") == {"cy"}
    assert _others(database, "cy") == {"an"}
    assert _others(database, "bo") == set()


def test_ego_brings_both_states_and_the_structure_whatever_order_ids_have(database) -> None:
    # By the rules of a language "Zoe" and "élan" stand elsewhere than by their bytes.
    others = ["Zoe", "élan", "zed"]
    around = {other: np.arange(WIDTH) + n for n, other in enumerate(others)}
    _tell(database, _call("max", "Zoe"), _call("Zoe", "max", NOW - 2 * DAY), _call("élan", "max"))
    _tell(database, _friend("max", "zed"), _friend("zed", "max"))
    with database.writing() as unit:
        unit.execute(delete(tables.tie_structure))
        for other, vector in around.items():
            first, second = ordered("max", other)
            stored = {"structure": structure_to_bytes(vector), "as_of": NOW}
            row = {"first": first, "second": second, **stored}
            unit.execute(insert(tables.tie_structure).values(row))
        kept = {(r.sender, r.recipient): r.state for r in unit.execute(select(tables.ties))}
    ego = _ego(database, "max")
    assert sorted(ego.recipients) == sorted(others)
    for n, other in enumerate(ego.recipients):
        for states, pair in ((ego.out, ("max", other)), (ego.back, (other, "max"))):
            expected = from_bytes(DEFAULT_LAYOUT, kept.get(pair))
            np.testing.assert_array_equal(states[n], expected)
        np.testing.assert_array_equal(ego.structure[n], around[other])


def test_ego_without_those_who_object_and_of_who_objects_is_empty(database) -> None:
    _tell(database, _call("an", "bo"), _call("an", "cy"))
    refuse = ConsentChanged("1", NOW - HOUR, "bo", Purpose.TIE_SCORING, granted=False)
    _tell(database, refuse)
    assert _others(database, "an") == {"cy"}
    assert _others(database, "bo") == set()
    assert _others(database, "an", NOW - 2 * HOUR) == {"bo", "cy"}
    _tell(database, ConsentChanged("2", NOW - 1, "bo", Purpose.TIE_SCORING, granted=True))
    assert _others(database, "an") == {"bo", "cy"}


@pytest.mark.parametrize(
    ("zone", "hours", "scored"),
    [
        (None, 0, True),  # fourteen today, in Shanghai
        (None, -13, False),  # the day before
        ("Pacific/Honolulu", 0, False),  # where the birthday is still to come
        ("Pacific/Kiritimati", -13, True),  # where it has come
    ],
)
def test_ego_never_holds_who_is_under_fourteen_where_they_live(
    database, zone, hours, scored
) -> None:
    today, at = date.fromordinal(date(1970, 1, 1).toordinal() + 20_500), NOW + hours * HOUR
    born = today.replace(year=today.year - 14).isoformat()
    _tell(database, _call("an", "bo", NOW - 2 * DAY), _call("an", "cy", NOW - 2 * DAY))
    with database.writing() as unit:
        unit.execute(delete(tables.people))
        row = {"person": "bo", "birth_date": born, "zone": zone, "recorded_at": 0}
        unit.execute(insert(tables.people).values(row))
    assert _others(database, "an", at) == ({"bo", "cy"} if scored else {"cy"})
    assert _others(database, "bo", at) == ({"an"} if scored else set())


def test_ego_of_states_in_another_layout_says_what_to_do(database) -> None:
    row = {"sender": "an", "recipient": "bo", "state": to_bytes(np.ones(32)), "newest_at": 5}
    with database.writing() as unit:
        unit.execute(insert(tables.ties).values(row))
    with pytest.raises(InvalidInput, match="32 numbers") as refused:
        _ego(database, "an")
    assert "lishang rebuild ties" in refused.value.hint


PEOPLE = st.sampled_from(["an", "Bo", "cy", "dé"])


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.sets(st.tuples(PEOPLE, PEOPLE), max_size=8),
    st.sets(st.tuples(PEOPLE, PEOPLE).filter(lambda pair: pair[0] != pair[1]), max_size=8),
    st.sets(PEOPLE, max_size=2),
    st.sets(PEOPLE, max_size=1),
    st.integers(1, 4),
)
def test_everybodys_ties_are_those_of_each(
    database: Database, calls, friends, refuse, young, batch
) -> None:
    with database.writing() as unit:
        for table in TABLES:
            unit.execute(delete(table))
    _tell(
        database,
        *(_call(*pair) for pair in calls),
        *(_friend(*pair) for pair in friends),
        *(ConsentChanged(p, 5, p, Purpose.TIE_SCORING, granted=False) for p in refuse),
        *(PersonChanged(f"born {p}", 5, p, birth_date=date(2015, 1, 1)) for p in young),
    )
    found: dict[tuple[str, str], Any] = {}
    with database.reading(snapshot=True) as unit:
        for ties in read_everybody(unit, NOW, batch):
            assert len(ties) <= batch
            rows = zip(ties.senders, ties.recipients, ties.out, ties.back, strict=True)
            for sender, recipient, *states in rows:
                assert (sender, recipient) not in found
                found[sender, recipient] = states
    expected: dict[tuple[str, str], Any] = {}
    for person in ["an", "Bo", "cy", "dé"]:
        ego = _ego(database, person)
        for other, *states in zip(ego.recipients, ego.out, ego.back, strict=True):
            expected[person, other] = states
    assert found.keys() == expected.keys()
    for pair, states in expected.items():
        np.testing.assert_array_equal(found[pair], states)
    mutual = {pair for pair in friends if pair[::-1] in friends}
    known = {pair for pair in calls | {p[::-1] for p in calls} | mutual if pair[0] != pair[1]}
    assert found.keys() == {pair for pair in known if not set(pair) & (refuse | young)}
