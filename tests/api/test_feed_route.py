"""The feed over HTTP: what was sent is told in order, from a cursor on, to who may read it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from api.app import create_app
from api.settings import Settings
from api.wiring import Services, build
from engine.domain.clock import DAY, format_time, now
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.ledger import outbox, tables
from engine.ledger.keys import ApiKeys, Scope

ITEM = {
    "name": "Coffee",
    "price_fen": 900,
    "tier": "basic",
    "category": "drinks",
    "kind": "voucher",
    "mechanics": "direct",
    "relations": "friend",
    "scenes": "chat",
    "recorded_at": 0,
}


class Hands:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.at = now()

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def service(database, tmp_path: Path, hands: Hands) -> Iterator[Services]:
    """The wired service on each database in turn: two friends and a coffee."""
    url = database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    # Its own housekeeping would come in between: it looks once a minute.
    made = build(
        Settings(home=tmp_path / "home", database_url=url, housekeeping_seconds=60.0), hands
    )
    assert isinstance(made, Services)
    with database.writing() as unit:
        unit.execute(insert(tables.items).values({**ITEM, "item": "coffee"}))
    yield made
    made.close()


@pytest.fixture
def client(service: Services) -> FlaskClient:
    made = create_app(Settings(), service).test_client()
    events = [
        {
            "type": "friendship",
            "id": f"{one}+{other}",
            "person": one,
            "friend": other,
            "active": True,
            "occurred_at": format_time(now() - DAY),
        }
        for one, other in (("an", "bo"), ("bo", "an"))
    ]
    answer = made.post(
        "/v1/events", json={"events": events}, headers=_key(service, Scope.EVENTS_WRITE)
    )
    assert answer.status_code == 200
    return made


@pytest.fixture
def reader(service: Services) -> dict[str, str]:
    return _key(service, Scope.FEED_READ)


def _key(service: Services, *scopes: Scope) -> dict[str, str]:
    _, secret = ApiKeys(service.database).create("test", frozenset(scopes), None, now())
    return {"Authorization": f"Bearer {secret}"}


def _send(client: FlaskClient, service: Services, payment: str) -> str:
    answer = client.post(
        "/v1/gifts",
        json={"sender": "an", "recipient": "bo", "item": "coffee", "payment_ref": payment},
        headers={**_key(service, Scope.GIFTS_SEND), "Idempotency-Key": payment},
    )
    assert answer.status_code == 201, answer.get_json()
    return str(answer.get_json()["gift"])


def _feed(client: FlaskClient, reader: dict[str, str], **query: Any) -> Any:
    answer = client.get("/v1/feed", query_string=query, headers=reader)
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def test_feed_of_an_empty_ledger_is_empty_and_says_where_to_go_on(client, reader) -> None:
    assert _feed(client, reader) == {"events": [], "next": "0"}
    assert _feed(client, reader, after="0") == {"events": [], "next": "0"}


def test_feed_tells_a_gift_from_sending_to_its_end(client, reader, service, hands) -> None:
    gift = _send(client, service, "pay-1")
    sent_at = hands.at
    first = _feed(client, reader)
    assert first["events"] == [
        {
            "id": f"{gift}_1",
            "type": "gift.sent",
            "timestamp": format_time(sent_at),
            "cursor": "1",
            "data": {
                "gift": gift,
                "number": 1,
                "sender": "an",
                "recipient": "bo",
                "item": "coffee",
                "state": "sent",
                "payment": None,
            },
        }
    ]
    assert _feed(client, reader, after=first["next"]) == {"events": [], "next": first["next"]}
    hands.at += ACCEPT_WITHIN
    assert service.housekeeping.once(hands.at).gifts == 1
    [ended] = _feed(client, reader, after=first["next"])["events"]
    assert (ended["id"], ended["type"]) == (f"{gift}_2", "gift.expired")
    assert ended["data"]["payment"] == {
        "payment_ref": "pay-1",
        "action": "release",
        "fen": 900,
    }


def test_feed_is_read_in_pages_each_event_once(client, reader, service) -> None:
    gifts = [_send(client, service, f"pay-{n}") for n in range(5)]
    after, read = None, []
    while True:
        page = _feed(client, reader, limit=2, **({} if after is None else {"after": after}))
        if not page["events"]:
            break
        assert page["next"] == page["events"][-1]["cursor"]
        read += [event["data"]["gift"] for event in page["events"]]
        after = page["next"]
    assert read == gifts


def test_feed_never_tells_where_a_gift_is_wanted(client, reader, service, hands) -> None:
    gift = _send(client, service, "pay-1")
    service.moving.accept(gift, "bo", "12 Secret Lane", None, hands.at)
    page = _feed(client, reader)
    assert [event["type"] for event in page["events"]] == ["gift.sent", "gift.accepted"]
    assert "Secret" not in str(page)


def test_cursor_that_no_feed_gave_is_refused_with_422(client, reader) -> None:
    for cursor in ("", "x", "-1", "1.0", "+1", "01", " 1", "1 ", "1e3", "١", "9" * 19, "0x1"):
        answer = client.get("/v1/feed", query_string={"after": cursor}, headers=reader)
        assert answer.status_code == 422, cursor
        [wrong] = answer.get_json()["errors"]
        assert wrong["field"] == "/after"
        assert "a cursor that this feed gave" in wrong["message"]


def test_limit_out_of_bounds_is_refused_with_422(client, reader) -> None:
    for limit in ("0", "1001", "-1", "x", "1.5"):
        answer = client.get("/v1/feed", query_string={"limit": limit}, headers=reader)
        assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "/limit")


def test_cursor_ahead_of_the_feed_or_behind_what_is_kept_is_refused_with_409(
    client, reader, service, hands
) -> None:
    for payment in ("pay-1", "pay-2", "pay-3"):
        _send(client, service, payment)
    service.feed.place()
    answer = client.get("/v1/feed", query_string={"after": "4"}, headers=reader)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "CURSOR_UNUSABLE")
    with service.database.writing() as unit:
        assert outbox.prune(unit, hands.at + DAY, most=2) == 2
    answer = client.get("/v1/feed", query_string={"after": "1"}, headers=reader)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "CURSOR_UNUSABLE")
    assert "the oldest is 3" in answer.get_json()["detail"]
    assert [event["cursor"] for event in _feed(client, reader)["events"]] == ["3"]


def test_feed_asks_for_its_scope(client, service) -> None:
    everything_else = frozenset(Scope) - {Scope.FEED_READ, Scope.ADMIN}
    answer = client.get("/v1/feed", headers=_key(service, *everything_else))
    assert (answer.status_code, answer.get_json()["code"]) == (403, "SCOPE_MISSING")
    assert client.get("/v1/feed").status_code == 401


def test_service_keeps_house_and_delivers_until_it_is_closed(client, service) -> None:
    def running() -> set[str]:
        named = {thread.name for thread in threading.enumerate()}
        return named & {"housekeeping", "delivering"}

    assert running() == {"housekeeping", "delivering"}
    text = client.get("/metrics").get_data(as_text=True)
    for metric in ("lishang_gifts_swept_total", "lishang_webhook_lag_seconds"):
        assert metric in text
    service.close()
    assert running() == set()
