"""A showing's row equals what the service would have computed, and knows nothing of later."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from engine.domain.clock import DAY
from engine.domain.ports import ItemSignal, OfferContext, OfferView
from models.features.offer import FACT_NAMES, OFFER_FEATURES, facts_of, offer_features
from training.frames.offers import OfferFrame, offer_frame
from training.log import ExportedLog

T = 20_000 * DAY
CATEGORIES = ("tea", "cake", "toys")
BRANDS = ("north", "south")
Row = dict[str, object]
Tables = dict[str, list[Row]]
LogWriter = Callable[..., ExportedLog]


def _town(seed: int = 0, people: int = 25, days: int = 60) -> Tables:
    """A random log in which everything happens to everybody."""
    rng = np.random.default_rng(seed)

    def person() -> str:
        return f"p{rng.integers(people)}"

    def when() -> int:
        return T + int(rng.integers(days * DAY))

    items: list[Row] = [
        {"item": f"i{n}", "name": "", "price_fen": 1_000 + 100 * n, "tier": "basic"}
        | {"category": CATEGORIES[n % 3], "kind": "voucher", "mechanics": "direct"}
        | {"relations": "friend", "scenes": "chat", "recorded_at": 0}
        | {"brand": (*BRANDS, None)[n % 4 % 3]}
        for n in range(12)
    ]
    events: list[Row] = [
        {"event": f"e{n}", "person": person(), "item": f"i{rng.integers(13)}", "weight": 1.0}
        | {"kind": rng.choice(["liked", "bought", "wished", "seen"]), "occurred_at": (at := when())}
        | {"recorded_at": at}
        for n in range(500)
    ]
    gifts: list[Row] = [
        {"sender": person(), "recipient": person(), "item": f"i{rng.integers(12)}"}
        | {"occurred_at": (at := when()), "state": rng.choice(["accepted", "declined", "held"])}
        | {"outcome_at": at + DAY}
        for _ in range(150)
    ]
    offers: list[Row] = [
        {"offer": f"o{n}", "brand": BRANDS[n % 2], "category": CATEGORIES[n % 3]}
        | {"item": None if n % 4 == 0 else f"i{n}", "value_fen": 100, "price_fen": 800}
        | {"starts_at": T + 5 * n * DAY, "ends_at": T + (5 * n + 12) * DAY, "recorded_at": 0}
        for n in range(10)
    ]
    responses: list[Row] = []
    for offer in offers:
        for who in rng.choice(people, 12, replace=False):
            held_out = rng.random() < 0.2
            at = int(str(offer["starts_at"])) + int(rng.integers(6 * DAY))
            steps = ["held_out"] if held_out else ["shown", "shown", "clicked"]
            steps += ["redeemed"] * int(rng.random() < 0.4)
            for step, kind in enumerate(steps):
                responses.append(
                    {"event": f"r{len(responses)}", "offer": offer["offer"], "person": f"p{who}"}
                    | {"kind": kind, "occurred_at": at + 2 * step * DAY}
                    | {"recorded_at": at + 2 * step * DAY}
                )
    friends: list[Row] = [
        {"person": person(), "friend": f"q{n}" if n % 5 == 0 else person(), "since": T + n * DAY}
        | {"until": None if n % 3 else T + (n + 20) * DAY, "recorded_at": T + n * DAY}
        for n in range(50)
    ]
    distinct = {(row["person"], row["friend"]): row for row in friends}
    return {
        "items": items,
        "item_events": events,
        "gifts": gifts,
        "offers": offers,
        "offer_events": responses,
        "friendships": list(distinct.values()),
    }


def _int(row: Mapping[str, object], name: str) -> int:
    return int(str(row[name]))


def _online(town: Tables, person: str, offer: str, at: int) -> OfferContext:
    """Return the context as the service fills it, from plain counts of what came before `at`."""
    items = {str(row["item"]): row for row in town["items"]}
    offers = {str(row["offer"]): row for row in town["offers"]}
    signals = [
        ItemSignal(str(row["item"]), str(row["kind"]), _int(row, "occurred_at"))
        for row in town["item_events"]
        if row["person"] == person and _int(row, "occurred_at") < at
    ]
    for row in town["gifts"]:
        taken = row["state"] == "accepted" and _int(row, "outcome_at") < at
        if row["recipient"] == person and taken:
            signals.append(ItemSignal(str(row["item"]), "received", _int(row, "occurred_at")))
        if row["sender"] == person and row["state"] != "held" and _int(row, "occurred_at") < at:
            signals.append(ItemSignal(str(row["item"]), "gave", _int(row, "occurred_at")))
    signals.sort(key=lambda signal: (-signal.occurred_at, signal.item))
    known = [items.get(signal.item, {}) for signal in signals]
    view = offers[offer]
    mine = [
        (row["kind"], offers[str(row["offer"])])
        for row in town["offer_events"]
        if row["person"] == person and _int(row, "occurred_at") < at
    ]

    def count(kind: str, **like: object) -> int:
        return sum(
            done == kind and all(of[name] == value for name, value in like.items())
            for done, of in mine
        )

    friends = {
        row["friend"]
        for row in town["friendships"]
        if row["person"] == person
        and _int(row, "since") <= at
        and (row["until"] is None or _int(row, "until") > at)
    }
    redeemed = {
        row["person"]
        for row in town["offer_events"]
        if row["kind"] == "redeemed"
        and _int(row, "occurred_at") < at
        and offers[str(row["offer"])]["brand"] == view["brand"]
    }
    list_price = _int(items[str(view["item"])], "price_fen") if view["item"] else 0
    return OfferContext(
        person,
        OfferView(
            offer,
            str(view["brand"]),
            str(view["category"]),
            _int(view, "value_fen"),
            _int(view, "price_fen"),
            _int(view, "starts_at"),
            _int(view, "ends_at"),
            list_price,
        ),
        at,
        tuple(signals),
        tuple(str(item.get("category", "")) for item in known),
        shown=count("shown"),
        clicked=count("clicked"),
        redeemed=count("redeemed"),
        category_shown=count("shown", category=view["category"]),
        category_redeemed=count("redeemed", category=view["category"]),
        brand_redeemed=count("redeemed", brand=view["brand"]),
        friends_redeemed=len(friends & redeemed),
        brand_signals=sum(item.get("brand") == view["brand"] for item in known),
        brand_shown=count("shown", brand=view["brand"]),
        offer_shown=count("shown", offer=view["offer"]),
    )


def _rows(frame: OfferFrame) -> dict[str, int]:
    return {event: row for row, event in enumerate(frame.event)}


@pytest.mark.parametrize("seed", [0, 1])
def test_frame_equals_what_the_service_computes(write_log: LogWriter, seed: int) -> None:
    town = _town(seed)
    frame = offer_frame(write_log(**town), seed=0)
    events = {str(row["event"]): row for row in town["offer_events"]}
    contexts = [
        _online(town, str(events[e]["person"]), str(events[e]["offer"]), int(at))
        for e, at in zip(frame.event, frame.at, strict=True)
    ]
    online = facts_of(contexts)
    assert len(contexts) > 150
    for name in FACT_NAMES:
        found, expected = getattr(frame.facts, name), getattr(online, name)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)
        # A fact that never varies would make the comparison empty.
        assert len(np.unique(expected)) > 1 or name == "price_fen"
    offline = offer_features(frame.facts)
    np.testing.assert_allclose(offline, offer_features(online), rtol=1e-9, atol=1e-9)
    assert offline.shape == (len(frame.event), len(OFFER_FEATURES))


def test_frame_with_later_records_planted_keeps_its_facts(write_log: LogWriter) -> None:
    town = _town()
    before = offer_frame(write_log("before", **town), seed=0)
    row = len(before.event) // 2
    at = int(before.at[row])
    events = {str(r["event"]): r for r in town["offer_events"]}
    person = events[before.event[row]]["person"]
    later: Tables = {
        "item_events": [
            {"event": "late1", "person": person, "item": "i1", "kind": "bought", "weight": 1.0}
            | {"occurred_at": at + 1, "recorded_at": at + 1},
            {"event": "late2", "person": person, "item": "i2", "kind": "bought", "weight": 1.0}
            | {"occurred_at": at - DAY, "recorded_at": at + 1},
        ],
        "offer_events": [
            {"event": f"late{kind}", "person": person, "offer": "o0", "kind": kind}
            | {"occurred_at": at - DAY, "recorded_at": at + 1}
            for kind in ("clicked", "redeemed")
        ],
        "friendships": [
            {"person": person, "friend": f"p{n}", "since": at + 1, "until": None}
            | {"recorded_at": at + 1}
            for n in range(25)
        ],
    }
    after = offer_frame(
        write_log("after", **{name: rows + later.get(name, []) for name, rows in town.items()}), 0
    )
    found = _rows(after)[before.event[row]]
    for name in FACT_NAMES:
        assert getattr(after.facts, name)[found] == getattr(before.facts, name)[row], name


def _offer(ends_at: int) -> Row:
    return {
        "offer": "o",
        "brand": "north",
        "category": "tea",
        "item": None,
        "value_fen": 100,
        "price_fen": 800,
        "starts_at": T,
        "ends_at": ends_at,
        "recorded_at": 0,
    }


def _done(event: str, person: str, kind: str, at: int) -> Row:
    row = {"event": event, "offer": "o", "person": person, "kind": kind}
    return row | {"occurred_at": at, "recorded_at": at}


def test_label_is_a_redemption_after_the_showing_and_within_the_offer(
    write_log: LogWriter,
) -> None:
    events = [
        _done("a", "in time", "shown", T),
        _done("a2", "in time", "redeemed", T + 9 * DAY),
        _done("b", "too late", "shown", T),
        _done("b2", "too late", "redeemed", T + 11 * DAY),
        _done("c", "too early", "redeemed", T - DAY),
        _done("c2", "too early", "shown", T),
        _done("d", "another", "shown", T),
    ]
    frame = offer_frame(write_log(offers=[_offer(T + 10 * DAY)], offer_events=events), seed=0)
    assert dict(zip(frame.event, frame.redeemed.tolist(), strict=True)) == {
        "a": True,
        "b": False,
        "c2": False,
        "d": False,
    }


def test_showing_of_an_offer_that_may_still_be_redeemed_is_left_out(write_log: LogWriter) -> None:
    events = [_done("a", "ann", "shown", T), _done("b", "bo", "shown", T + 9 * DAY)]
    assert offer_frame(write_log(offers=[_offer(T + 10 * DAY)], offer_events=events), 0).event == ()


def test_withheld_showings_are_marked_and_not_mixed_with_showings(write_log: LogWriter) -> None:
    events = [
        _done("a", "held", "held_out", T),
        _done("a2", "held", "shown", T + DAY),
        _done("a3", "held", "redeemed", T + 2 * DAY),
        _done("b", "seen", "shown", T),
        _done("z", "seen", "clicked", T + 30 * DAY),
    ]
    frame = offer_frame(write_log(offers=[_offer(T + 10 * DAY)], offer_events=events), seed=0)
    assert frame.event == ("a", "b")
    assert frame.held_out.tolist() == [True, False]
    assert frame.redeemed.tolist() == [True, False]


def test_person_who_took_consent_back_is_left_out(write_log: LogWriter) -> None:
    events = [
        _done("a", "gone", "shown", T),
        _done("b", "here", "shown", T),
        _done("z", "here", "clicked", T + 30 * DAY),
    ]
    consents = [
        {"person": who, "purpose": "offers", "since": T - DAY, "until": until, "granted": True}
        | {"recorded_at": T - DAY}
        for who, until in (("gone", T + 20 * DAY), ("here", None))
    ]
    log = write_log(offers=[_offer(T + 10 * DAY)], offer_events=events, consents=consents)
    assert offer_frame(log, seed=0).event == ("b",)


def test_frame_of_a_log_without_offers_is_empty(write_log: LogWriter) -> None:
    assert offer_frame(write_log(), seed=0).event == ()
