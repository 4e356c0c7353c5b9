"""Gift queries show what was known when they were asked, and nothing that came later."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.domain.clock import DAY
from engine.domain.errors import NotEnoughData
from engine.domain.ports import ItemSignal
from training.frames.gifts import ENOUGH_GIFTS, GiftLog, GiftQuery
from training.log import ExportedLog

T = 20_000 * DAY
Row = dict[str, object]
LogWriter = Callable[..., ExportedLog]
ALL = (0, 2**62, 10**6)


def _items(*names: str) -> list[Row]:
    return [
        {
            "item": name,
            "name": name,
            "price_fen": 900,
            "tier": "basic",
            "category": "tea",
            "kind": "voucher",
            "mechanics": "direct",
            "relations": "friend,creator",
            "scenes": "chat",
            "recorded_at": 0,
        }
        for name in names
    ]


def _event(number: int, person: str, item: str, at: int, **more: object) -> Row:
    plain = {"kind": "liked", "weight": 1.0, "recorded_at": at}
    return {"event": f"e{number}", "person": person, "item": item, "occurred_at": at} | plain | more


def _friend(person: str, friend: str, since: int = 0, until: int | None = None) -> Row:
    row = {"person": person, "friend": friend, "since": since, "until": until}
    return row | {"recorded_at": since}


def _consent(person: str, since: int, until: int | None = None, granted: bool = True) -> Row:
    row = {"person": person, "purpose": "gift_suggestions", "since": since, "until": until}
    return row | {"granted": granted, "recorded_at": since}


def _filler() -> list[Row]:
    """Gifts among strangers, enough for gifts to be what is learned from."""
    return [
        {"sender": f"x{n}", "recipient": f"y{n}", "item": "tea", "occurred_at": T - 500 * DAY + n}
        for n in range(ENOUGH_GIFTS)
    ]


def _asked(log: ExportedLog, sender: str = "ann") -> GiftQuery:
    found = GiftLog(log, seed=0).queries(*ALL)
    [query] = [query for query in found if query.context.sender == sender]
    return query


ASKED: Row = {"sender": "ann", "recipient": "bo", "item": "cake", "occurred_at": T}
BASE: dict[str, list[Row]] = {
    "items": _items("tea", "cake", "pen"),
    "gifts": [
        *_filler(),
        ASKED | {"occasion": "birthday"},
        {"sender": "cy", "recipient": "bo", "item": "pen", "occurred_at": T - 3 * DAY}
        | {"state": "accepted", "outcome_at": T - 2 * DAY},
        {"sender": "bo", "recipient": "cy", "item": "tea", "occurred_at": T - 5 * DAY}
        | {"state": "declined", "outcome_at": T - 4 * DAY},
    ],
    "item_events": [
        _event(1, "bo", "tea", T - 4 * DAY, kind="wished"),
        _event(2, "di", "cake", T - DAY),
        _event(3, "ed", "pen", T - DAY),
        _event(4, "ann", "tea", T - 9 * DAY, kind="bought"),
    ],
    "friendships": [
        _friend("bo", "di", T - 8 * DAY),
        _friend("bo", "ed", T - 8 * DAY, T - 2 * DAY),
    ],
}


def test_query_of_a_gift_holds_what_was_known_then(write_log: LogWriter) -> None:
    query = _asked(write_log(**BASE))
    context = query.context
    assert query.chosen == {"cake"}
    assert (context.recipient, context.occasion, context.at) == ("bo", "birthday", T)
    assert context.recipient_history == (
        ItemSignal("pen", "received", T - 3 * DAY),
        ItemSignal("tea", "wished", T - 4 * DAY),
        ItemSignal("tea", "gave", T - 5 * DAY),
    )
    assert context.sender_history == (ItemSignal("tea", "bought", T - 9 * DAY),)
    assert context.recipient_friends_history == (ItemSignal("cake", "liked", T - DAY),)


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("item_events", _event(90, "bo", "cake", T)),
        ("item_events", _event(91, "bo", "cake", T - DAY, recorded_at=T + 1)),
        ("item_events", _event(92, "di", "pen", T + DAY)),
        (
            "gifts",
            {"sender": "cy", "recipient": "bo", "item": "cake", "occurred_at": T - DAY}
            | {"state": "accepted", "outcome_at": T + DAY},
        ),
        ("gifts", {"sender": "ed", "recipient": "cy", "item": "pen", "occurred_at": T + DAY}),
        ("friendships", _friend("bo", "ann", T + 1)),
    ],
)
def test_query_with_a_later_record_planted_stays_the_same(
    write_log: LogWriter, table: str, row: Row
) -> None:
    before = _asked(write_log("before", **BASE))
    after = _asked(write_log("after", **{**BASE, table: [*BASE[table], row]}))
    assert after == before


def test_query_without_the_recipients_consent_then_has_no_history(write_log: LogWriter) -> None:
    consents = [_consent("bo", T + 1), _consent("di", 0)]
    context = _asked(write_log(**BASE, consents=consents)).context
    assert context.recipient_history == context.sender_history == ()
    assert context.recipient_friends_history == ()


def test_query_shows_consenting_friends_only(write_log: LogWriter) -> None:
    agreed = _asked(write_log("a", **BASE, consents=[_consent("bo", 0), _consent("di", 0)]))
    silent = _asked(write_log("b", **BASE, consents=[_consent("bo", 0)]))
    assert agreed.context.recipient_friends_history == (ItemSignal("cake", "liked", T - DAY),)
    assert silent.context.recipient_friends_history == ()
    assert silent.context.recipient_history == agreed.context.recipient_history != ()


@pytest.mark.parametrize(
    "refusal",
    [
        _consent("di", T - 9 * DAY, granted=False),
        _consent("di", T - 9 * DAY, until=T - 8 * DAY),
    ],
)
def test_signals_of_who_took_consent_back_teach_nothing(write_log: LogWriter, refusal: Row) -> None:
    log = GiftLog(write_log(**BASE, consents=[refusal]), seed=0)
    items, weights, _ = log.daily_signals(None)
    everyone = GiftLog(write_log("all", **BASE), seed=0).daily_signals(None)
    assert weights.sum() == everyone[1].sum() - 1.0
    assert "cake" in items  # still given by ann


def test_taken_before_an_instant_leaves_out_the_rest(write_log: LogWriter) -> None:
    log = GiftLog(write_log(**BASE), seed=0)
    # bo wished for tea, ann bought tea; what was given says nothing of the giver's taste.
    assert sorted(log.taken(T - 3 * DAY).item) == ["tea", "tea"]
    assert sorted(log.taken(T - 2 * DAY + 1).item) == ["pen", "tea", "tea"]
    assert len(log.taken(None).item) == 5


def test_queries_of_a_log_with_few_gifts_come_from_what_people_chose(
    write_log: LogWriter,
) -> None:
    events = [_event(n, f"p{n % 3}", ("tea", "cake", "pen")[n % 3], T + n * DAY) for n in range(60)]
    log = GiftLog(write_log(items=BASE["items"], item_events=events), seed=0)
    found = log.queries(*ALL)
    assert log.timed
    assert len(found) == 60
    assert all(len(q.chosen) == 1 and q.context.sender == "" for q in found)
    assert sorted(len(q.context.recipient_history) for q in found) == sorted([*range(20)] * 3)


def test_log_without_times_is_cut_within_each_person(write_log: LogWriter) -> None:
    names = [f"i{n}" for n in range(20)]
    events = [
        _event(20 * p + n, f"p{p}", name, 0) for p in range(5) for n, name in enumerate(names)
    ]
    friends = [_friend("p0", "p1", 7), _friend("p1", "p0", 7)]
    log = write_log(items=_items(*names), item_events=events, friendships=friends)
    gifts = GiftLog(log, seed=3)
    since, until = gifts.cuts((0.8, 0.9))
    found = gifts.queries(since, until, 100)
    assert not gifts.timed
    assert sorted(query.context.recipient for query in found) == [f"p{p}" for p in range(5)]
    for query in found:
        known = {signal.item for signal in query.context.recipient_history}
        assert len(known) == 16
        assert len(query.chosen) == 2
        assert not known & query.chosen
        assert all(signal.occurred_at == 0 for signal in query.context.recipient_history)
        circle = 16 if query.context.recipient in {"p0", "p1"} else 0
        assert len(query.context.recipient_friends_history) == circle
    again = GiftLog(log, seed=3).queries(since, until, 100)
    assert again == found
    other = GiftLog(log, seed=4).queries(since, until, 100)
    assert [q.chosen for q in other] != [q.chosen for q in found]


def test_log_without_any_choice_is_refused(write_log: LogWriter) -> None:
    with pytest.raises(NotEnoughData):
        GiftLog(write_log(items=BASE["items"]), seed=0)
