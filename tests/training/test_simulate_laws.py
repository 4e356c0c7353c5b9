"""A town keeps the founding rules: what its log shows could have been sold by the service."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from engine.domain.clock import DAY, DEFAULT_ZONE, HOUR, local_date, local_day, parse_time
from engine.domain.gifts import Mechanics, Relation, Scene, Tier
from engine.domain.occasions import OCCASIONS, festivals
from engine.domain.people import age_in_years
from training.simulate import write_town

Row = dict[str, str]
FOREVER = 2**62

BANDS = {
    Tier.BASIC: (100, 1_000),
    Tier.SCENE: (800, 3_000),
    Tier.CUSTOM: (5_000, 20_000),
    Tier.GOODS: (0, 1_000_000),
}


@dataclass(frozen=True, slots=True)
class Log:
    people: dict[str, Row]
    items: dict[str, Row]
    offers: dict[str, Row]
    friendships: dict[tuple[str, str], tuple[int, int]]
    gifts: list[Row]
    interactions: list[Row]
    item_events: list[Row]
    offer_events: list[Row]
    born: dict[str, date]
    """True birth dates, unknown ones included."""

    def two_way(self, one: str, other: str, at: int) -> bool:
        never = (FOREVER, FOREVER)
        directions = ((one, other), (other, one))
        spans = [self.friendships.get(pair, never) for pair in directions]
        return all(since <= at < until for since, until in spans)

    def zone(self, person: str) -> str:
        return self.people[person]["zone"] or DEFAULT_ZONE

    def age(self, person: str, at: int) -> int:
        return age_in_years(self.born[person], local_date(at, self.zone(person)))

    def friend_gifts(self) -> list[Row]:
        return [gift for gift in self.gifts if gift["relation"] == Relation.FRIEND]


def rows(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def until(text: str) -> int:
    return parse_time(text) if text else FOREVER


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    folder = tmp_path_factory.mktemp("town")
    write_town(folder, 1_500, 75, seed=11, start=date(2026, 1, 5))
    read = {path.stem: rows(path) for path in folder.glob("*.csv")}
    return Log(
        people={row["person"]: row for row in read["people"]},
        items={row["item"]: row for row in read["items"]},
        offers={row["offer"]: row for row in read["offers"]},
        friendships={
            (row["person"], row["friend"]): (parse_time(row["since"]), until(row["until"]))
            for row in read["friendships"]
        },
        gifts=read["gifts"],
        interactions=read["interactions"],
        item_events=read["item_events"],
        offer_events=read["offer_events"],
        born={
            row["person"]: date.fromisoformat(row["birth_date"])
            for row in rows(folder / "truth" / "people.csv")
        },
    )


def test_friend_gifts_are_between_two_way_friends_in_the_chat(log: Log) -> None:
    given = log.friend_gifts()
    assert len(given) > 3_000
    for gift in given:
        at = parse_time(gift["occurred_at"])
        assert log.two_way(gift["sender"], gift["recipient"], at), gift
        assert gift["scene"] == Scene.CHAT


def test_senders_stay_within_ten_gifts_a_local_day_and_some_reach_it(log: Log) -> None:
    sent = Counter(
        (gift["sender"], local_day(parse_time(gift["occurred_at"]), log.zone(gift["sender"])))
        for gift in log.gifts
    )
    assert max(sent.values()) == 10


def test_gifts_are_items_allowed_for_relation_and_scene_and_on_sale(log: Log) -> None:
    for gift in log.gifts:
        item = log.items[gift["item"]]
        at = parse_time(gift["occurred_at"])
        assert item["mechanics"] == Mechanics.DIRECT
        assert gift["relation"] in item["relations"].split(";")
        assert gift["scene"] in item["scenes"].split(";")
        assert gift["price_fen"] == item["price_fen"]
        assert not item["sale_from"] or parse_time(item["sale_from"]) <= at
        assert at < until(item["sale_until"])


def test_catalogue_offers_lotteries_that_nobody_ever_gave_or_bought(log: Log) -> None:
    drawn = {i for i, item in log.items.items() if item["mechanics"] != Mechanics.DIRECT}
    mechanics = {log.items[item]["mechanics"] for item in drawn}
    assert mechanics == {m.value for m in Mechanics} - {Mechanics.DIRECT}
    assert not any(gift["item"] in drawn for gift in log.gifts)
    touched = [event for event in log.item_events if event["item"] in drawn]
    assert touched
    assert not any(event["kind"] == "bought" for event in touched)


def test_catalogue_prices_lie_in_the_band_of_their_tier(log: Log) -> None:
    assert len(log.items) > 200
    for item in log.items.values():
        low, high = BANDS[Tier(item["tier"])]
        assert low <= int(item["price_fen"]) <= high, item
    names = [item["name"] for item in log.items.values()]
    assert len(set(names)) == len(names)


def test_limited_editions_are_never_oversold(log: Log) -> None:
    units = 1_500 // 150
    sold = Counter(gift["item"] for gift in log.gifts)
    sold += Counter(event["item"] for event in log.item_events if event["kind"] == "bought")
    editions = [item for item in log.items.values() if item["kind"] == "edition"]
    assert len(editions) == 6
    for item in editions:
        assert int(item["stock"]) == units - sold[item["item"]] >= 0
    assert any(item["stock"] == "0" for item in editions)


def test_creator_gifts_come_from_adult_fans_in_the_creators_own_live_room(log: Log) -> None:
    given = [gift for gift in log.gifts if gift["relation"] == Relation.CREATOR]
    assert given
    for gift in given:
        at = parse_time(gift["occurred_at"])
        assert gift["scene"] == Scene.LIVE_ROOM
        assert log.items[gift["item"]]["creator"] == gift["recipient"]
        assert log.people[gift["sender"]]["birth_date"]
        assert log.age(gift["sender"], at) >= 18
        since, _ = log.friendships[gift["sender"], gift["recipient"]]
        assert since <= at


def test_messages_and_calls_are_between_two_way_friends(log: Log) -> None:
    assert {row["kind"] for row in log.interactions} == {"message", "call"}
    for row in log.interactions:
        assert log.two_way(row["sender"], row["recipient"], parse_time(row["occurred_at"])), row
        assert int(row["weight"]) >= 1


def test_nobody_acts_before_joining(log: Log) -> None:
    joined = {person: parse_time(row["joined_at"]) for person, row in log.people.items()}
    for (one, other), (since, ended) in log.friendships.items():
        assert max(joined[one], joined[other]) <= since < ended
    for event in (*log.item_events, *log.offer_events):
        assert joined[event["person"]] <= parse_time(event["occurred_at"])


def test_children_under_14_consent_to_nothing_and_neither_buy_nor_give(log: Log) -> None:
    # The town reckons ages on its first day, so only who was 14 by its last may differ.
    last = parse_time("2026-03-21")
    children = {person for person in log.people if log.age(person, last) < 14}
    assert children
    assert not any(log.people[person]["consents"] for person in children)
    assert not any(gift["sender"] in children for gift in log.gifts)
    bought = [event for event in log.item_events if event["kind"] == "bought"]
    assert not any(event["person"] in children for event in bought)


def test_offers_reach_only_people_who_consented_and_are_known_to_be_14(log: Log) -> None:
    assert len(log.offer_events) > 5_000
    for event in log.offer_events:
        person = log.people[event["person"]]
        at = parse_time(event["occurred_at"])
        offer = log.offers[event["offer"]]
        assert "offers" in person["consents"].split(";")
        assert person["birth_date"]
        assert log.age(event["person"], at) >= 14
        assert parse_time(offer["starts_at"]) <= at < parse_time(offer["ends_at"])


def test_offer_events_of_a_person_follow_the_funnel(log: Log) -> None:
    steps: dict[tuple[str, str], list[str]] = {}
    for event in log.offer_events:
        steps.setdefault((event["offer"], event["person"]), []).append(event["kind"])
    lawful = {
        *(("held_out",), ("held_out", "redeemed")),
        *(("shown",), ("shown", "clicked"), ("shown", "clicked", "redeemed")),
    }
    assert {tuple(kinds) for kinds in steps.values()} == lawful


def test_redeemed_offers_leave_a_purchase(log: Log) -> None:
    bought = {
        (event["person"], event["item"], event["occurred_at"])
        for event in log.item_events
        if event["kind"] == "bought"
    }
    redeemed = [event for event in log.offer_events if event["kind"] == "redeemed"]
    assert redeemed
    for event in redeemed:
        item = log.offers[event["offer"]]["item"]
        assert (event["person"], item, event["occurred_at"]) in bought


def test_gifts_end_as_their_outcome_says(log: Log) -> None:
    assert {gift["outcome"] for gift in log.gifts} == {
        *("sent", "accepted", "declined", "expired", "redeemed")
    }
    end = parse_time("2026-03-21T00:00:00+08:00")
    for gift in log.gifts:
        at = parse_time(gift["occurred_at"])
        if gift["outcome"] == "sent":
            assert not gift["outcome_at"]
            assert end - at <= DAY
            continue
        waited = parse_time(gift["outcome_at"]) - at
        assert at + waited < end
        if gift["outcome"] == "expired":
            assert waited == DAY
        elif gift["outcome"] == "redeemed":
            assert log.items[gift["item"]]["kind"] in ("voucher", "cake")
            assert waited > 0
        else:
            assert 0 < waited < DAY


def test_occasion_gifts_come_on_the_day_or_shortly_before(log: Log) -> None:
    days = {o.name: o.on for o in festivals(2026)}
    seen = Counter(gift["occasion"] for gift in log.gifts)
    assert set(seen) <= set(OCCASIONS)
    assert {"birthday", "spring_festival", "lantern", "valentine", "none"} <= set(seen)
    for gift in log.gifts:
        day = local_date(parse_time(gift["occurred_at"]), log.zone(gift["sender"]))
        if gift["occasion"] == "birthday":
            born = log.born[gift["recipient"]]
            due = (
                date(2026, born.month, born.day)
                if (born.month, born.day) != (2, 29)
                else (date(2026, 3, 1))
            )
        elif gift["occasion"] in days:
            due = days[gift["occasion"]]
        else:
            continue
        assert 0 <= (due - day).days <= 2, gift


def test_friendships_are_mostly_two_way_with_some_one_way_and_some_ended(log: Log) -> None:
    directed = log.friendships
    two_way = sum((friend, person) in directed for person, friend in directed)
    assert 0.9 < two_way / len(directed) < 1.0
    ended = sum(ends < FOREVER for _, ends in directed.values())
    assert 0.005 < ended / len(directed) < 0.1
    assert 15 < len(directed) / len(log.people) < 45


def test_live_rooms_gather_in_the_creators_evening(log: Log) -> None:
    for gift in log.gifts:
        if gift["scene"] == Scene.LIVE_ROOM:
            at = parse_time(gift["occurred_at"])
            zone_day = local_day(at - 19 * HOUR, log.zone(gift["recipient"]))
            assert zone_day == local_day(at, log.zone(gift["recipient"]))
