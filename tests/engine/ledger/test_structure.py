"""The structure around a pair is there once its friendship changed, and is read with the pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sqlalchemy import insert, select

from engine.domain.clock import DAY
from engine.domain.events import FriendshipChanged, Interacted
from engine.domain.gifts import GiftRequest
from engine.domain.structure import WIDTH, Structure, from_bytes
from engine.ledger import tables
from engine.ledger.circumstances import Circumstances
from engine.ledger.facts import read_pair_context
from engine.ledger.structure import (
    MOST_ACQUAINTED,
    MOST_PAIRS,
    forget_structures,
    refresh_pairs,
    store_structures,
)
from engine.ledger.ties import rebuild_ties


def _stored(world: Any) -> dict[tuple[str, str], np.ndarray]:
    with world.database.reading() as unit:
        rows = unit.execute(select(tables.tie_structure)).all()
    found = {(row.first, row.second): from_bytes(row.structure) for row in rows}
    # Of who parted nothing is known any more.
    return {pair: around for pair, around in found.items() if around.any()}


def test_friendship_has_a_structure_once_it_is_mutual(world: Any) -> None:
    world.tell(FriendshipChanged("1", world.now - DAY, "cy", "an", True))
    assert _stored(world).keys() == {("an", "bo")}
    world.tell(FriendshipChanged("2", world.now, "an", "cy", True))
    world.tell(*[FriendshipChanged(f"{a}{b}", world.now, a, b, True) for a, b in ("bc", "cb")])
    found = _stored(world)["an", "cy"]
    assert found[Structure.OTHERS_MOST] == 1  # bo, a friend of an
    assert found[Structure.SINCE] == found[Structure.AS_OF] == world.now
    assert _stored(world)["b", "c"][Structure.OTHERS_MOST] == 0


def test_pair_that_parts_loses_its_structure_unless_it_exchanged_something(world: Any) -> None:
    world.befriend("an", "cy")
    world.tell(Interacted("i", world.now - DAY, "bo", "an", "message", 2.0))
    for other in ("bo", "cy"):
        world.tell(FriendshipChanged(f"end {other}", world.now, "an", other, False))
    found = _stored(world)
    assert found.keys() == {("an", "bo")}
    assert found["an", "bo"][Structure.SINCE] == 0


def test_events_of_one_batch_count_in_the_structure_it_leaves(world: Any) -> None:
    world.tell(
        Interacted("i", world.now, "an", "dee", "message", 2.0),
        *[FriendshipChanged(f"{a}{b}", world.now, a, b, True) for a in ("cy",) for b in ("an",)],
        FriendshipChanged("back", world.now, "an", "cy", True),
    )
    found = _stored(world)["an", "cy"]
    assert found[
        [Structure.OTHERS_MOST, Structure.RECENT_MOST, Structure.VOLUME_MOST]
    ].tolist() == [
        2,  # bo and dee
        2.0,
        2.0,
    ]


def test_many_friendships_at_once_are_left_to_the_batch(world: Any) -> None:
    before = _stored(world)
    events = [
        FriendshipChanged(f"{a}{b}", world.now, a, b, True)
        for n in range(MOST_PAIRS + 1)
        for a, b in (("an", f"p{n}"), (f"p{n}", "an"))
    ]
    world.tell(*events)
    assert _stored(world).keys() == before.keys()
    some = {("an", f"p{n}") for n in range(MOST_PAIRS)}
    with world.database.writing() as unit:
        assert (
            refresh_pairs(unit, some | {("cy", f"p{n}") for n in range(9)}, world.now)
            == MOST_PAIRS + 9
        )
        assert refresh_pairs(unit, some, world.now) == 0
    assert len(_stored(world)) == MOST_PAIRS + 1


@pytest.mark.parametrize("known_to", ["one", "both"])
def test_pair_around_a_celebrity_is_left_to_the_batch_as_it_is(world: Any, known_to: str) -> None:
    world.befriend("an", "cy")
    fans = [f"f{n}" for n in range(MOST_ACQUAINTED)]
    star = "an" if known_to == "one" else "star"
    likes = [(fan, star) for fan in fans] + [("an", "star"), ("cy", "star")]
    with world.database.writing() as unit:
        unit.execute(
            insert(tables.interactions),
            [
                {"event": f"l{n}", "sender": fan, "recipient": idol}
                | {"kind": "like", "weight": 1.0, "occurred_at": 5, "recorded_at": 5}
                for n, (fan, idol) in enumerate(likes)
            ],
        )
        rebuild_ties(unit)
        store_structures(unit, ["an"], ["bo"], np.full((1, WIDTH), 7.0), world.now)
    before = _stored(world)
    with world.database.writing() as unit:
        assert refresh_pairs(unit, [("cy", "an"), ("an", "nobody")], world.now) == 1
    after = _stored(world)
    assert after.keys() == {("an", "bo"), ("an", "cy")}
    assert after["an", "bo"].tolist() == [7.0] * WIDTH
    np.testing.assert_array_equal(after["an", "cy"], before["an", "cy"])


def test_stored_structure_yields_only_to_one_that_is_no_older(world: Any) -> None:
    ends = (["an"], ["bo"])
    with world.database.writing() as unit:
        for value, as_of in ((1.0, 50), (2.0, 40), (3.0, 60), (4.0, 60)):
            store_structures(unit, *ends, np.full((1, WIDTH), value), world.now + as_of)
        store_structures(unit, [], [], np.zeros((0, WIDTH)), world.now)
    assert _stored(world)["an", "bo"].tolist() == [4.0] * WIDTH
    with world.database.writing() as unit:
        assert forget_structures(unit, world.now + 60) == 0
        assert forget_structures(unit, world.now + 61) == 1
    assert _stored(world) == {}


def test_every_reading_of_a_pair_finds_its_structure_in_either_direction(world: Any) -> None:
    around = np.arange(2.0 * WIDTH).reshape(2, WIDTH)
    with world.database.writing() as unit:
        # By code points, as the ends are ordered; most collations put it the other way round.
        store_structures(unit, ["Z", "an"], ["a", "bo"], around, world.now + DAY)
    expected = {("an", "bo"): around[1], ("bo", "an"): around[1], ("Z", "a"): around[0]}
    expected |= {("a", "Z"): around[0], ("a", "bo"): np.zeros(WIDTH)}
    requests = [GiftRequest(*pair, "coffee") for pair in expected]
    with world.database.reading() as unit:
        contexts = read_pair_context(unit, list(expected), world.now)
        contexts += [read_pair_context(unit, [pair], world.now)[0] for pair in expected]
        contexts += [found for found, _ in Circumstances().read(unit, requests, world.now)]
        contexts += [Circumstances().read(unit, [one], world.now)[0][0] for one in requests]
    for context, wanted in zip(contexts, [*expected.values()] * 4, strict=True):
        np.testing.assert_array_equal(context.structure, wanted)
