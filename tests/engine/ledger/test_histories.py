"""What the suggestions read of people: only theirs to read, newest first, nothing of a decline."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from engine.domain.clock import DAY
from engine.domain.events import ConsentChanged, FriendshipChanged, ItemTouched
from engine.domain.people import Purpose
from engine.domain.ports import HISTORY_LIMIT, ItemSignal
from engine.ledger import histories, offers, tables


def _gift(world, gift: str, state: str, at: int, outcome_at: int | None = None) -> None:
    with world.database.writing() as unit:
        unit.execute(
            insert(tables.gifts).values(
                gift=gift,
                sender="an",
                recipient="bo",
                item="coffee",
                price_fen=900,
                relation="friend",
                scene="chat",
                occasion="none",
                state=state,
                origin="imported",
                occurred_at=at,
                outcome_at=outcome_at,
                recorded_at=at,
            )
        )


def _signals(world, person: str) -> tuple[ItemSignal, ...]:
    with world.database.reading() as unit:
        return histories.read_signals(unit, [person], world.now)[person]


def test_accepted_gift_is_a_signal_of_both_sides(world) -> None:
    _gift(world, "g1", "accepted", world.now - 9, world.now - 5)
    assert _signals(world, "an") == (ItemSignal("coffee", "gave", world.now - 9),)
    assert _signals(world, "bo") == (ItemSignal("coffee", "received", world.now - 9),)


@pytest.mark.parametrize("state", ["declined", "expired", "sent"])
def test_decline_looks_like_any_gift_that_was_not_taken(world, state) -> None:
    _gift(world, "g1", state, world.now - 9, world.now - 5)
    assert _signals(world, "an") == (ItemSignal("coffee", "gave", world.now - 9),)
    assert _signals(world, "bo") == ()


def test_signals_are_newest_first_limited_and_before_the_instant(world) -> None:
    world.tell(
        *[
            ItemTouched(f"e{n}", world.now - n, "an", "coffee", "liked", 1.0)
            for n in range(HISTORY_LIMIT + 5)
        ]
    )
    found = _signals(world, "an")
    assert [signal.occurred_at for signal in found] == [
        world.now - n for n in range(1, HISTORY_LIMIT + 1)
    ]


def test_friends_signals_need_a_friendship_and_the_friends_consent(world) -> None:
    def read() -> tuple[ItemSignal, ...]:
        with world.database.reading() as unit:
            return histories.read_friends_signals(unit, "an", world.now)

    for person in ("bo", "cy"):
        world.tell(ItemTouched(f"i-{person}", world.now - DAY, person, "coffee", "liked", 1.0))
    world.tell(FriendshipChanged("f", world.now - DAY, "cy", "an", True))
    assert read() == ()
    for person in ("bo", "cy"):
        world.tell(
            ConsentChanged(f"c-{person}", world.now - 5, person, Purpose.GIFT_SUGGESTIONS, True)
        )
    assert read() == (ItemSignal("coffee", "liked", world.now - DAY),)


def test_popular_items_come_by_how_often_they_were_chosen(world) -> None:
    world.tell(
        *[
            ItemTouched(f"e{n}", world.now - n, "an", item, "liked", 1.0)
            for n, item in enumerate(["tea", "coffee", "tea"])
        ]
    )
    with world.database.reading() as unit:
        assert histories.read_popular(unit, 5) == ["tea", "coffee"]


def test_offer_events_and_friends_redemptions_are_read_per_person(world) -> None:
    with world.database.writing() as unit:
        unit.execute(
            insert(tables.offers).values(
                offer="o1",
                brand="bean",
                category="drinks",
                item="coffee",
                value_fen=300,
                price_fen=700,
                starts_at=0,
                ends_at=world.now + DAY,
                recorded_at=0,
            )
        )
        for event, person, kind in (("1", "an", "shown"), ("2", "bo", "redeemed")):
            unit.execute(
                insert(tables.offer_events).values(
                    event=event,
                    offer="o1",
                    person=person,
                    kind=kind,
                    occurred_at=world.now - DAY,
                    recorded_at=world.now - DAY,
                )
            )
    world.tell(ConsentChanged("c", world.now - 5, "bo", Purpose.OFFERS, True))
    with world.database.reading() as unit:
        views = offers.read_offers(unit, ["o1", "none"])
        events = offers.read_offer_events(unit, ["an", "cy"], world.now)
        friends = offers.read_friends_redeemed(unit, ["an"], world.now)
    assert views["o1"].list_price_fen == 900
    assert [event.kind for event in events["an"]] == ["shown"]
    assert events["cy"] == []
    assert offers.shown_lately(events["an"], world.now) == 1
    assert friends == {("an", "bean"): 1}
