"""The structure around pairs is the same from the batch and from a friendship that changed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from engine.domain.clock import DAY, SECOND
from engine.domain.errors import InvalidInput
from engine.domain.events import FriendshipChanged, Interacted
from engine.domain.structure import WIDTH, Structure, from_bytes
from engine.ledger import intake, tables
from engine.ledger.database import Database
from engine.ledger.structure import refresh_pairs, store_structures
from engine.ledger.ties import rebuild_ties
from training import refresh
from training.refresh import refresh_structure

NOW = 100 * DAY
# In three of the usual collations these stand in another order than in Python's.
PEOPLE = ("B", "a", "b", "Ä", "z-1", "z1", "礼")
Row = tuple[str, str, int, int | None]

_person = st.sampled_from(PEOPLE)
_day = st.integers(0, 110)
_friendships = st.lists(
    st.tuples(_person, _person, _day, st.none() | _day), max_size=40, unique_by=lambda row: row[:3]
)
_interactions = st.lists(
    st.tuples(
        _person, _person, st.sampled_from(["message", "call", "poke"]), st.floats(0, 9), _day
    ),
    max_size=25,
)
_gifts = st.lists(
    st.tuples(_person, _person, st.sampled_from(["sent", "accepted", "held", "declined"]), _day),
    max_size=8,
)


def _write(database: Database, friendships: list[Row], interactions: list, gifts: list) -> None:
    told = [
        (*row[:2], row[2] * DAY, None if row[3] is None else row[3] * DAY) for row in friendships
    ]
    with database.writing() as unit:
        for table in (tables.friendships, tables.interactions, tables.gifts, tables.tie_structure):
            unit.execute(delete(table))
        for person, friend, since, until in told:
            unit.execute(
                insert(tables.friendships).values(
                    person=person, friend=friend, since=since, until=until, recorded_at=0
                )
            )
        for n, (sender, recipient, kind, weight, day) in enumerate(interactions):
            unit.execute(
                insert(tables.interactions).values(
                    event=f"i{n}",
                    sender=sender,
                    recipient=recipient,
                    kind=kind,
                    weight=weight,
                    occurred_at=day * DAY,
                    recorded_at=day * DAY,
                )
            )
        for n, (sender, recipient, state, day) in enumerate(gifts):
            unit.execute(
                insert(tables.gifts).values(
                    gift=f"g{n}",
                    sender=sender,
                    recipient=recipient,
                    item="coffee",
                    price_fen=900,
                    relation="friend",
                    scene="chat",
                    occasion="none",
                    state=state,
                    origin="imported",
                    occurred_at=day * DAY,
                    outcome_at=None if state in ("sent", "held") else day * DAY + 5,
                    recorded_at=day * DAY,
                )
            )
        rebuild_ties(unit)


def _stored(database: Database) -> dict[tuple[str, str], np.ndarray]:
    with database.reading() as unit:
        rows = unit.execute(select(tables.tie_structure)).all()
    found = {(row.first, row.second): from_bytes(row.structure) for row in rows}
    told = zip(rows, found.values(), strict=True)
    stamps = {one[Structure.AS_OF] - row.as_of for row, one in told if one.any()}
    assert stamps <= {0, refresh.BEHIND}
    return found


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_friendships, _interactions, _gifts)
def test_structure_of_changed_pairs_equals_that_of_the_batch(
    shared_database: Database, friendships: list[Row], interactions: list, gifts: list
) -> None:
    _write(shared_database, friendships, interactions, gifts)
    pairs = refresh_structure(shared_database, NOW)
    batch = _stored(shared_database)
    assert pairs == len(batch)
    assert all(first < second for first, second in batch)
    everybody = list(combinations(reversed(PEOPLE), 2))
    with shared_database.writing() as unit:
        unit.execute(delete(tables.tie_structure))
        assert refresh_pairs(unit, everybody, NOW) == 0
    live = _stored(shared_database)
    assert live.keys() == batch.keys()
    for pair, found in live.items():
        np.testing.assert_allclose(found, batch[pair], rtol=1e-9, atol=1e-9, err_msg=str(pair))


def test_structure_says_what_lies_around_a_pair(shared_database: Database) -> None:
    both = [("B", "a"), ("a", "b"), ("B", "b"), ("a", "z1")]
    _write(
        shared_database,
        [
            *[(one, other, 10, None) for one, other in both],
            *[(other, one, 30, None) for one, other in both],
            ("a", "礼", 10, None),  # one-sided
            ("B", "z1", 10, 50),  # over
            ("z1", "B", 10, None),
        ],
        [("B", "Ä", "message", 4.0, 93), ("Ä", "a", "call", 3.0, 100), ("a", "B", "poke", 9.0, 5)],
        [],
    )
    assert refresh_structure(shared_database, NOW) == 6
    found = _stored(shared_database)["B", "a"]
    assert found[Structure.COMMON] == 2  # b, a friend of both, and Ä, who wrote with both
    assert found[Structure.ADAMIC_ADAR] == pytest.approx(2 / np.log(2))
    assert found[Structure.OTHERS_LEAST :].tolist() == pytest.approx(
        [2, 3, 2.0, 3.0, 3.0, 4.0, 30 * DAY, NOW]  # a week halves what B sent
    )
    assert _stored(shared_database)["a", "Ä"][Structure.SINCE] == 0


def test_friendship_told_again_without_a_gap_has_lasted_since_it_began(
    shared_database: Database,
) -> None:
    _write(
        shared_database,
        [
            ("a", "b", 1, 20),
            ("a", "b", 10, 15),
            ("a", "b", 20, None),
            ("b", "a", 1, 40),
            ("b", "a", 50, 60),
            ("b", "a", 55, 110),
        ],
        [],
        [],
    )
    refresh_structure(shared_database, NOW)
    assert _stored(shared_database)["a", "b"][Structure.SINCE] == 50 * DAY


def test_pair_refreshed_while_the_batch_runs_keeps_its_own(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(database, [("a", "b", 1, None), ("b", "a", 1, None)], [("a", "z1", "poke", 1.0, 2)], [])
    computed = refresh.structures

    def beside(*asked: object) -> np.ndarray:
        # Whoever held the lock while computing would make this wait for itself.
        with database.writing() as unit:
            intake.receive(
                unit,
                [
                    FriendshipChanged("e", NOW, "b", "z1", True),
                    FriendshipChanged("f", NOW, "z1", "b", True),
                    FriendshipChanged("g", NOW, "b", "a", False),
                    Interacted("h", NOW, "a", "b", "poke", 1.0),
                ],
                NOW + 9,
            )
        return computed(*asked)

    monkeypatch.setattr(refresh, "structures", beside)
    assert refresh_structure(database, NOW) == 2
    found = _stored(database)
    assert {pair: one[Structure.AS_OF] for pair, one in found.items()} == {
        ("a", "b"): NOW + 9,
        ("a", "z1"): NOW,
        ("b", "z1"): NOW + 9,
    }
    assert found["a", "b"][Structure.SINCE] == 0


def test_friends_who_part_while_the_batch_runs_stay_parted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(database, [("a", "b", 1, None), ("b", "a", 1, None)], [], [])
    refresh_structure(database, NOW - DAY)
    computed = refresh.structures

    def beside(*asked: object) -> np.ndarray:
        # Clocked before the batch, though the batch had read before it was committed.
        with database.writing() as unit:
            parted = FriendshipChanged("g", NOW - SECOND, "b", "a", False)
            intake.receive(unit, [parted], NOW - SECOND)
        return computed(*asked)

    monkeypatch.setattr(refresh, "structures", beside)
    refresh_structure(database, NOW)
    assert not _stored(database)["a", "b"].any()


def test_batch_forgets_pairs_that_are_not_acquainted_any_more(shared_database: Database) -> None:
    _write(shared_database, [("a", "b", 1, 50), ("b", "a", 1, None)], [], [])
    with shared_database.writing() as unit:
        store_structures(unit, ["a", "b"], ["b", "z1"], np.ones((2, WIDTH)), 1)
    assert refresh_structure(shared_database, 40 * DAY) == 1
    assert _stored(shared_database).keys() == {("a", "b")}
    assert refresh_structure(shared_database, 60 * DAY) == 0
    assert _stored(shared_database) == {}


def test_state_of_another_layout_ends_the_batch_with_a_hint(shared_database: Database) -> None:
    _write(shared_database, [], [("a", "b", "poke", 1.0, 1)], [])
    with shared_database.writing() as unit:
        unit.execute(tables.ties.update().values(state=b"\0" * 256))
    with pytest.raises(InvalidInput, match="32 numbers"):
        refresh_structure(shared_database, NOW)
