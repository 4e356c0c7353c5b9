"""Held gifts over HTTP: the list with its explanations, and what a reviewer decides."""

from __future__ import annotations

import pytest

from engine.domain.clock import DAY, HOUR, format_time


def _list(counter, query: str = ""):
    answer = counter.client.get(f"/v1/reviews{query}", headers=counter.everything)
    assert answer.status_code == 200, answer.get_data()
    return answer.get_json()


def test_list_explains_why_each_gift_is_held(counter) -> None:
    gift = counter.send("watch")
    counter.send("cake")
    listed = _list(counter)
    assert listed["next"] is None
    [held] = listed["reviews"]
    assert (held["gift"], held["sender"], held["price_fen"]) == (gift, "an", 200_000)
    assert held["asked_at"] == format_time(counter.at)
    assert held["reasons"] == ["HELD_FOR_REVIEW"]
    assert held["explanation"]["pack"] == "gift_send"
    assert len(held["explanation"]["hash"]) == 64
    rules = {rule["rule"]: rule for rule in held["explanation"]["rules"]}
    told = {
        c["attribute"]: (c["value"], c["holds"])
        for c in rules["dear_gift_on_weak_tie"]["conditions"]
    }
    assert told["gift.price_fen"] == (200_000, True)
    assert told["pair.tie_class"] == ("dormant", True)


def test_list_goes_on_page_by_page_though_gifts_are_decided_meanwhile(counter) -> None:
    gifts = []
    for _ in range(5):
        gifts.append(counter.send("watch"))
        counter.at += 1
    first = _list(counter, "?limit=2")
    assert [held["gift"] for held in first["reviews"]] == gifts[:2]
    counter.done(gifts[1], "approve")
    counter.done(gifts[3], "reject")
    second = _list(counter, f"?limit=2&after={first['next']}")
    assert [held["gift"] for held in second["reviews"]] == [gifts[2], gifts[4]]
    assert _list(counter, f"?limit=2&after={second['next']}") == {"reviews": [], "next": None}


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=101", "?after=gift", "?after=-1:x", "?after=1:", "?page=2"]
)
def test_list_with_a_bad_parameter_is_422(counter, query) -> None:
    answer = counter.client.get(f"/v1/reviews{query}", headers=counter.everything)
    assert answer.status_code == 422


def test_approval_sends_the_gift_and_its_24_hours_begin(counter) -> None:
    gift = counter.send("watch")
    counter.at += 3 * DAY
    answer = counter.done(gift, "approve")
    assert (answer["gift"], answer["state"], answer["verdict"]) == (gift, "sent", "review")
    assert answer["reasons"] == ["HELD_FOR_REVIEW"]
    assert _list(counter)["reviews"] == []
    view = counter.view(gift, "recipient")
    assert (view["state"], view["sent_at"]) == ("sent", format_time(counter.at))
    counter.at += DAY - 1
    assert counter.done(gift, "accept")["state"] == "accepted"


def test_rejection_cancels_without_asking_the_rules(counter) -> None:
    gift = counter.send("watch")
    answer = counter.done(gift, "reject")
    assert (answer["state"], answer["verdict"], answer["explanation"]) == ("cancelled", None, None)
    assert counter.view(gift, "sender")["state"] == "cancelled"


def test_approval_that_the_rules_deny_by_now_cancels_and_says_why(counter) -> None:
    gift = counter.send("watch")
    with counter.database.writing() as unit:
        unit.exec_driver_sql(f"UPDATE items SET sale_until = {counter.at} WHERE item = 'watch'")
    answer = counter.done(gift, "approve")
    assert (answer["state"], answer["verdict"]) == ("cancelled", "deny")
    assert answer["reasons"] == ["ITEM_UNAVAILABLE"]
    rules = {rule["rule"]: rule["conditions"] for rule in answer["explanation"]["rules"]}
    told = {(c["attribute"], c["value"]) for c in rules["item_to_be_had"]}
    # Its own piece of stock is no obstacle.
    assert told == {("gift.on_sale", False), ("gift.in_stock", True)}


def test_review_twice_is_409_and_of_no_gift_404(counter) -> None:
    gift = counter.send("watch")
    first = counter.move(gift, "approve", key="k")
    assert counter.move(gift, "approve", key="k").get_json() == first.get_json()
    counter.at += HOUR
    for move in ("approve", "reject"):
        answer = counter.move(gift, move)
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (409, "MOVE_REFUSED")
    assert counter.move("gift_nowhere", "approve").status_code == 404
    answer = counter.client.post(
        f"/v1/reviews/{gift}", json={"approve": "yes"}, headers=counter.everything
    )
    assert answer.status_code == 422
