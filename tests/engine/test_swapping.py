"""Gifts swapped before acceptance, on both databases, with the real rules."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import (
    Conflict,
    IdempotencyConflict,
    MoveRefused,
    PriceDiffers,
    SwapRefused,
    UnknownReference,
)
from engine.domain.events import FriendshipChanged, LimitChanged
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.gifts import GiftState
from engine.domain.money import PayOn
from engine.ledger import decisions, tables
from engine.ledger.idempotency import RequestKey


def _swap(house, gift: str, item: str, at: int | None = None, key: RequestKey | None = None):
    return house.swapping.swap(gift, "bo", item, key, at or house.now + HOUR)


def test_swap_changes_item_terms_and_decision_and_nothing_of_time_or_money(house) -> None:
    gift = house.send("coffee")
    before, money, counted = house.find(gift), house.balances(gift), house.counted("sender")
    after = _swap(house, gift, "tart", at=house.now + HOUR // 2)
    assert house.find(gift) == after
    assert (after.state, after.item, after.events) == (GiftState.SENT, "tart", 2)
    assert (after.occurred_at, after.due_at, after.outcome_at) == (
        before.occurred_at,
        before.due_at,
        None,
    )
    assert before.terms.pay_on is PayOn.REDEMPTION
    assert (after.terms.pay_on, after.terms.brand) == (PayOn.ACCEPTANCE, "patisserie")
    assert house.balances(gift) == money
    assert house.counted("sender") == counted
    with house.database.reading() as unit:
        decided = decisions.find(unit, after.decision_id)
        settled = decisions.find(unit, after.terms.decision_id)
    assert (decided.purpose, settled.purpose) == ("swap", "settle")
    # As if the gift were not there: it is the day's first, still.
    assert decided.facts.values["sender.day_gifts_after"] == 1
    assert decided.facts.values["sender.hour_gifts_after"] == 1
    event = house.events(gift)[-1]
    assert (event["kind"], event["item"], event["state"], event["payment"]) == (
        "gift.swapped",
        "tart",
        "sent",
        None,
    )
    house.moving.accept(gift, "bo", None, None, house.now + 2 * HOUR)
    assert house.balances(gift)["brand", "patisserie"] == 675


def test_swap_frees_the_stock_of_one_item_and_takes_the_others(house) -> None:
    house.world.item("first", kind="cake", stock=1)
    house.world.item("second", kind="cake", stock=1)
    gift = house.send("first")
    _swap(house, gift, "second")
    assert (house.stock("first"), house.stock("second")) == ((1, 0), (0, 1))
    _swap(house, gift, "cake")
    assert (house.stock("first"), house.stock("second")) == ((1, 0), (1, 0))


def test_swap_of_the_days_last_gift_passes_no_cap_and_meets_none(house) -> None:
    gifts = [house.send("cake") for _ in range(10)]
    assert _swap(house, gifts[-1], "tart").item == "tart"
    assert house.counted("sender") == [(10, 9_000)]


def test_swap_after_midnight_counts_on_the_day_of_the_gift(house) -> None:
    gift = house.send("cake", at=house.now)
    tomorrow = house.now + 13 * HOUR
    for _ in range(10):
        house.send("coffee", at=tomorrow)
    # The new day is full; the gift is of the day before.
    assert _swap(house, gift, "tart", at=tomorrow + HOUR).item == "tart"
    assert house.counted("sender") == [(1, 900), (10, 9_000)]


@pytest.fixture
def refusing(house):
    """By name, what makes the rules refuse a swap for `tart` by now."""
    shelf = tables.items

    def change(**values: object) -> None:
        with house.database.writing() as unit:
            unit.execute(update(shelf).where(shelf.c.item == "tart").values(**values))

    return {
        "sold out": lambda: change(stock=0),
        "off sale": lambda: change(sale_until=house.now),
        "lottery": lambda: change(mechanics="lottery"),
        "to be looked at": lambda: change(kind="photo"),
        "blocked": lambda: house.world.block("bo", "an"),
        "unfriended": lambda: house.world.tell(
            FriendshipChanged("u", house.now, "bo", "an", False)
        ),
        "limited": lambda: house.world.tell(LimitChanged("l", house.now, "an", 0, None)),
    }


@pytest.mark.parametrize(
    "why",
    ["sold out", "off sale", "lottery", "to be looked at", "blocked", "unfriended", "limited"],
)
def test_swap_that_the_rules_refuse_is_recorded_and_leaves_all_as_it_was(
    house, refusing, why
) -> None:
    house.world.item("limited", kind="cake", stock=3)
    gift = house.send("limited")
    refusing[why]()
    before = house.everything()
    with pytest.raises(SwapRefused) as refused:
        _swap(house, gift, "tart")
    assert house.everything() == before
    assert house.decided("swap") == ["review" if why == "to be looked at" else "deny"]
    # Whatever the reason, the recipient is told the same.
    assert str(refused.value) == (
        "SWAP_REFUSED: this gift cannot be swapped for that item"
        " (choose another, or accept this one)"
    )
    assert house.moving.accept(gift, "bo", None, None, house.now + HOUR).item == "limited"


def test_swap_for_another_price_the_same_or_no_item_is_refused(house) -> None:
    house.world.item("dear", kind="cake", price_fen=901)
    gift = house.send("cake")
    before = house.everything()
    for item, error in (
        ("dear", PriceDiffers),
        ("cake", Conflict),
        ("nowhere", UnknownReference),
    ):
        with pytest.raises(error):
            _swap(house, gift, item)
    with pytest.raises(UnknownReference):
        house.swapping.swap(gift, "cy", "tart", None, house.now)
    assert house.everything() == before
    assert house.decided("swap") == []


def test_swap_for_an_item_whose_price_has_changed_goes_by_its_price_now(house) -> None:
    gift = house.send("cake")
    with house.database.writing() as unit:
        unit.execute(update(tables.items).values(price_fen=950))
    with pytest.raises(PriceDiffers):
        _swap(house, gift, "tart")


def test_swap_is_for_gifts_that_wait_for_an_answer_only(house) -> None:
    late, accepted = house.send("cake"), house.send("cake")
    house.moving.accept(accepted, "bo", None, None, house.now)
    before = house.everything()
    for gift, at in (
        (late, house.now + ACCEPT_WITHIN),
        (accepted, house.now),
    ):
        with pytest.raises(MoveRefused):
            _swap(house, gift, "tart", at=at)
    assert house.everything() == before


def test_retry_of_a_swap_is_the_same_answer_a_refusal_too(house) -> None:
    gift = house.send("cake")
    house.world.item("draw", mechanics="lottery")
    refused, done = RequestKey("s", "1", "draw"), RequestKey("s", "2", "tart")
    for _ in range(2):
        with pytest.raises(SwapRefused):
            _swap(house, gift, "draw", key=refused)
    assert house.decided("swap") == ["deny"]
    first = _swap(house, gift, "tart", key=done)
    _swap(house, gift, "cake")
    assert _swap(house, gift, "tart", key=done) == first
    assert house.find(gift).item == "cake"
    with pytest.raises(IdempotencyConflict):
        _swap(house, gift, "tart", key=RequestKey("s", "2", "coffee"))


def test_swaps_at_once_for_the_last_piece_give_it_to_one(house) -> None:
    house.world.item("last", kind="cake", stock=1)
    house.world.befriend("cy", "di")
    gifts = [(house.send("cake"), "bo") for _ in range(3)]
    gifts += [(house.send("cake", "cy", "di"), "di") for _ in range(3)]

    def attempt(one: tuple[str, str]) -> bool:
        try:
            house.swapping.swap(*one, "last", None, house.now + HOUR)
        except SwapRefused:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(attempt, gifts)) == 1
    assert house.stock("last") == (0, 1)


def test_swaps_there_and_back_at_once_both_finish(house) -> None:
    house.world.item("a", kind="cake", stock=9)
    house.world.item("b", kind="cake", stock=9)
    house.world.befriend("cy", "di")
    gifts = [(house.send("a"), "bo", "b") for _ in range(4)]
    gifts += [(house.send("b", "cy", "di"), "di", "a") for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        after = list(pool.map(lambda one: house.swapping.swap(*one, None, house.now + HOUR), gifts))
    assert [gift.item for gift in after] == ["b"] * 4 + ["a"] * 4
    assert (house.stock("a"), house.stock("b")) == ((5, 4), (5, 4))


def test_accept_and_swap_at_once_end_with_the_terms_of_the_item(house) -> None:
    for _ in range(6):
        gift = house.send("cake")
        with ThreadPoolExecutor(2) as pool:
            swap = pool.submit(_swap, house, gift, "tart")
            pool.submit(house.moving.accept, gift, "bo", None, None, house.now + HOUR).result()
            refused = isinstance(swap.exception(), MoveRefused)
        after = house.find(gift)
        assert (after.state, after.item) == (GiftState.ACCEPTED, "cake" if refused else "tart")
        assert house.balances(gift)["brand", "bakery" if refused else "patisserie"] == 675


def test_swap_by_a_clock_set_back_is_told_no_earlier_than_the_sending(house) -> None:
    gift = house.send("cake")
    _swap(house, gift, "tart", at=house.now - DAY)
    assert [event["occurred_at"] for event in house.events(gift)] == [house.now] * 2
