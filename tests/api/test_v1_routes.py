"""The /v1 routes on the wired service with the shipped rules, before any model is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select

from api.app import create_app
from api.settings import Settings
from api.wiring import Services, build
from engine.domain.clock import DAY, format_time, now
from engine.ledger import decisions, tables
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
GIFT = {"sender": "an", "recipient": "bo", "item": "coffee"}


@pytest.fixture
def service(database, tmp_path: Path) -> Iterator[Services]:
    """The service on each database in turn: two friends, a coffee and a watch."""
    url = database.engine.url.render_as_string(hide_password=False)
    home = tmp_path / "home"
    made = build(Settings(home=home, database_url=url.replace("+psycopg", "")))
    assert isinstance(made, Services)
    with database.writing() as unit:
        unit.execute(insert(tables.items).values({**ITEM, "item": "coffee"}))
        watch = {**ITEM, "item": "watch", "price_fen": 200_000, "tier": "goods"}
        unit.execute(insert(tables.items).values(watch))
        unit.execute(insert(tables.items).values({**ITEM, "item": "draw", "mechanics": "lottery"}))
    yield made
    made.close()


@pytest.fixture
def client(service: Services) -> FlaskClient:
    return create_app(Settings(), service).test_client()


@pytest.fixture
def auth(service: Services) -> dict[str, str]:
    """The header of a key that may do everything."""
    scopes = frozenset(Scope) - {Scope.ADMIN}
    _, secret = ApiKeys(service.database).create("test", scopes, None, now())
    return {"Authorization": f"Bearer {secret}"}


def _tell(client: FlaskClient, auth: dict[str, str], *events: dict[str, Any]) -> Any:
    stamped = [{"occurred_at": format_time(now() - DAY), **event} for event in events]
    return client.post("/v1/events", json={"events": stamped}, headers=auth)


def _friendship(one: str, other: str, active: bool = True, suffix: str = "") -> dict[str, Any]:
    return {
        "type": "friendship",
        "id": f"{one}+{other}{suffix}",
        "person": one,
        "friend": other,
        "active": active,
    }


@pytest.fixture
def friends(client: FlaskClient, auth: dict[str, str]) -> None:
    answer = _tell(client, auth, _friendship("an", "bo"), _friendship("bo", "an"))
    assert answer.get_json() == {"accepted": 2, "repeated": 0}


def _send(client, auth, key: str = "k", **changed: str):
    headers = {**auth, "Idempotency-Key": key}
    body = {**GIFT, "payment_ref": f"paid-{key}-{auth['Authorization'][-8:]}", **changed}
    return client.post("/v1/gifts", json=body, headers=headers)


def _codes(answer: Any) -> list[str]:
    return [reason["code"] for reason in answer.get_json()["reasons"]]


def _facts(service: Services, answer: Any) -> Any:
    service.gifting.log.flush()
    with service.database.reading() as unit:
        found = decisions.find(unit, answer.get_json()["decision_id"])
    assert found is not None
    return found.facts.values


def test_check_answers_in_the_language_asked_for(client, auth) -> None:
    english = client.post("/v1/gifts/check", json=GIFT, headers=auth)
    chinese = client.post("/v1/gifts/check", json={**GIFT, "language": "zh"}, headers=auth)
    assert english.status_code == chinese.status_code == 200
    assert _codes(english) == _codes(chinese) == ["NOT_TWO_WAY_FRIENDS"]
    assert "好友" in chinese.get_json()["reasons"][0]["text"]


def test_check_explains_only_to_a_key_that_may_read_the_policy(service, client, auth) -> None:
    body = {**GIFT, "explain": True}
    answer = client.post("/v1/gifts/check", json=body, headers=auth).get_json()
    [rule] = answer["explanation"]["rules"]
    assert rule["rule"] == "two_way_friends"
    assert {c["attribute"] for c in rule["conditions"]} == {
        "gift.relation",
        "pair.two_way_friends",
    }
    assert len(answer["explanation"]["hash"]) == 64
    _, secret = ApiKeys(service.database).create(
        "checkout", frozenset({Scope.GIFTS_CHECK}), None, now()
    )
    refused = client.post(
        "/v1/gifts/check", json=body, headers={"Authorization": f"Bearer {secret}"}
    )
    assert (refused.status_code, refused.get_json()["code"]) == (403, "SCOPE_MISSING")


def test_send_is_201_and_its_retry_the_same_answer(client, auth, friends) -> None:
    first, retry = _send(client, auth), _send(client, auth)
    assert first.status_code == retry.status_code == 201
    assert first.get_json() == retry.get_json()


def test_send_of_a_dear_gift_on_an_unknown_tie_is_held_with_202(client, auth, friends) -> None:
    answer = _send(client, auth, item="watch")
    assert answer.status_code == 202
    assert (answer.get_json()["verdict"], _codes(answer)) == ("review", ["HELD_FOR_REVIEW"])
    gift = answer.get_json()["gift"]
    assert client.get(f"/v1/gifts/{gift}", headers=auth).get_json()["state"] == "held"


def test_send_that_is_denied_is_200_without_a_gift(client, auth, friends) -> None:
    answer = _send(client, auth, item="draw")
    assert (answer.status_code, answer.get_json()["gift"]) == (200, None)
    assert _codes(answer) == ["LOTTERY_STYLE"]


def test_send_with_a_used_key_and_another_body_is_409(client, auth, friends) -> None:
    _send(client, auth)
    answer = _send(client, auth, item="draw")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")


def test_idempotency_keys_of_two_callers_do_not_meet(service, client, auth, friends) -> None:
    _, secret = ApiKeys(service.database).create("b", frozenset({Scope.GIFTS_SEND}), None, now())
    mine, theirs = _send(client, auth), _send(client, {"Authorization": f"Bearer {secret}"})
    assert mine.get_json()["gift"] != theirs.get_json()["gift"]


def test_send_without_an_idempotency_key_is_422_and_sends_nothing(client, auth, friends) -> None:
    answer = client.post("/v1/gifts", json={**GIFT, "payment_ref": "paid"}, headers=auth)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"] == "/Idempotency-Key"


def test_send_without_a_payment_is_422_and_sends_nothing(client, auth, friends) -> None:
    answer = client.post("/v1/gifts", json=GIFT, headers={**auth, "Idempotency-Key": "k"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == ["/payment_ref"]


def test_second_gift_on_one_payment_is_409_and_the_key_stays_free(client, auth, friends) -> None:
    assert _send(client, auth, "k1", payment_ref="paid").status_code == 201
    answer = _send(client, auth, "k2", payment_ref="paid")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "CONFLICT")
    assert _send(client, auth, "k2", payment_ref="paid-anew").status_code == 201


def test_concurrent_sends_over_http_stop_exactly_at_the_cap(service, auth, client, friends) -> None:
    app = create_app(Settings(), service)

    def send(n: int) -> int:
        return _send(app.test_client(), auth, f"k{n}").status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(send, range(16)))
    assert sorted(statuses) == [200] * 6 + [201] * 10


def test_gift_shows_its_price_to_the_sender_only(client, auth, friends) -> None:
    gift = _send(client, auth).get_json()["gift"]
    mine = client.get(f"/v1/gifts/{gift}", headers=auth).get_json()
    theirs = client.get(f"/v1/gifts/{gift}?viewer=recipient", headers=auth).get_json()
    assert (mine["state"], mine["price_fen"], theirs["price_fen"]) == ("sent", 900, None)


def test_declined_gift_looks_to_its_sender_sent_and_then_expired(service, client, auth) -> None:
    with service.database.writing() as unit:
        for gift, sent_at in (("g1", now() - DAY // 2), ("g2", now() - 2 * DAY)):
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
                    state="declined",
                    origin="live",
                    due_at=sent_at + DAY,
                    occurred_at=sent_at,
                    recorded_at=sent_at,
                )
            )
    states = [client.get(f"/v1/gifts/{g}", headers=auth).get_json()["state"] for g in ("g1", "g2")]
    assert states == ["sent", "expired"]


def test_unknown_gift_and_unknown_item_are_404(client, auth) -> None:
    assert client.get("/v1/gifts/none-such", headers=auth).status_code == 404
    answer = client.post("/v1/gifts/check", json={**GIFT, "item": "none-such"}, headers=auth)
    assert (answer.status_code, answer.get_json()["code"]) == (404, "NOT_FOUND")


def test_event_batch_goes_in_whole_or_not_at_all(client, auth) -> None:
    _tell(client, auth, _friendship("an", "bo"))
    answer = _tell(client, auth, _friendship("bo", "an"), _friendship("an", "bo", active=False))
    assert (answer.status_code, answer.get_json()["code"]) == (409, "CONFLICT")
    assert _codes(client.post("/v1/gifts/check", json=GIFT, headers=auth)) == [
        "NOT_TWO_WAY_FRIENDS"
    ]


def test_every_type_of_event_is_taken_and_effective_for_the_next_check(
    client, auth, friends
) -> None:
    answer = _tell(
        client,
        auth,
        {"type": "person", "id": "1", "person": "an", "zone": "Asia/Shanghai"},
        {"type": "consent", "id": "2", "person": "bo", "purpose": "offers", "granted": True},
        {
            "type": "interaction",
            "id": "3",
            "sender": "an",
            "recipient": "bo",
            "kind": "message",
            "weight": 2,
        },
        {"type": "item_event", "id": "4", "person": "bo", "item": "coffee", "kind": "liked"},
        {
            "type": "limit",
            "id": "5",
            "person": "an",
            "day_gifts_limit": 0,
            "day_fen_limit": None,
        },
    )
    assert answer.get_json() == {"accepted": 5, "repeated": 0}
    assert _codes(client.post("/v1/gifts/check", json=GIFT, headers=auth)) == ["OWN_LIMIT_REACHED"]
    block = {"type": "block", "id": "6", "person": "bo", "blocked": "an", "active": True}
    _tell(client, auth, block)
    # A block must not show beside, nor be told from, another reason.
    assert _codes(client.post("/v1/gifts/check", json=GIFT, headers=auth)) == ["OWN_LIMIT_REACHED"]


def test_region_own_gift_limit_and_guardian_are_effective_for_the_next_check(
    service, client, auth, friends
) -> None:
    limit = {"type": "limit", "person": "an", "day_gifts_limit": None, "day_fen_limit": None}
    answer = _tell(
        client,
        auth,
        {"type": "person", "id": "1", "person": "an", "region": "CN-HK"},
        {"type": "consent", "id": "2", "person": "an", "purpose": "guardian", "granted": True},
        {**limit, "id": "3", "gift_fen_limit": 899},
        {**limit, "id": "4"},
    )
    assert answer.get_json() == {"accepted": 4, "repeated": 0}
    known = _facts(service, client.post("/v1/gifts/check", json=GIFT, headers=auth))
    assert (known["sender.region"], known["sender.guardian_consent"]) == ("CN-HK", True)
    assert known["sender.gift_fen_limit"] == 899


def test_moderation_is_taken_with_a_check_and_with_a_send(service, client, auth, friends) -> None:
    body = {**GIFT, "moderation": "rejected"}
    answers = (
        client.post("/v1/gifts/check", json=body, headers=auth),
        _send(client, auth, moderation="rejected"),
    )
    for answer in answers:
        assert _facts(service, answer)["gift.moderation"] == "rejected"
    assert _facts(service, _send(client, auth, "k2"))["gift.moderation_known"] is False
    refused = client.post("/v1/gifts/check", json={**GIFT, "moderation": "seen"}, headers=auth)
    assert refused.status_code == 422


def test_moderation_is_a_part_of_what_an_idempotency_key_stands_for(
    service, client, auth, friends
) -> None:
    first = _send(client, auth)
    assert _send(client, auth).get_json() == first.get_json()
    assert _send(client, auth, moderation="approved").status_code == 409


def test_batch_of_checks_answers_each_in_order_as_if_it_were_checked_alone(
    client, auth, friends
) -> None:
    gifts = [
        GIFT,
        {**GIFT, "item": "none-such"},
        {**GIFT, "item": "draw", "language": "zh"},
        {**GIFT, "sender": "bo", "recipient": "an"},
        {**GIFT, "recipient": "cy"},
        {**GIFT, "item": "watch"},
    ]
    answer = client.post("/v1/gifts/check:batch", json={"gifts": gifts}, headers=auth)
    assert answer.status_code == 200
    results = answer.get_json()["results"]
    assert results[1]["verdict"] is None
    assert results[1]["error"]["code"] == "NOT_FOUND"
    assert "none-such" in results[1]["error"]["detail"]
    for gift, result in zip(gifts, results, strict=True):
        if gift["item"] != "none-such":
            alone = client.post("/v1/gifts/check", json=gift, headers=auth).get_json()
            assert result["error"] is None
            assert result["verdict"].pop("decision_id") != alone.pop("decision_id")
            assert result["verdict"] == alone


def test_batch_of_checks_records_every_decision_and_sends_nothing(
    service, client, auth, friends
) -> None:
    body = {"gifts": [GIFT] * 1_000}
    results = client.post("/v1/gifts/check:batch", json=body, headers=auth).get_json()["results"]
    service.gifting.log.flush()
    with service.database.reading() as unit:
        kept = set(unit.execute(select(tables.decisions.c.decision_id)).scalars())
        assert unit.execute(select(tables.gifts)).first() is None
    ids = {result["verdict"]["decision_id"] for result in results}
    assert len(ids) == 1_000
    assert ids <= kept


@pytest.mark.parametrize(
    ("gifts", "field"),
    [
        ([], "/gifts"),
        ([GIFT] * 1_001, "/gifts"),
        ([GIFT, {**GIFT, "sender": ""}], "/gifts/1/sender"),
        ([{**GIFT, "explain": True}], "/gifts/0/explain"),
    ],
)
def test_batch_of_checks_that_is_malformed_is_refused_whole(client, auth, gifts, field) -> None:
    answer = client.post("/v1/gifts/check:batch", json={"gifts": gifts}, headers=auth)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]


def test_metrics_tell_how_many_decisions_wait(service, client, auth) -> None:
    client.post("/v1/gifts/check", json=GIFT, headers=auth)
    service.gifting.log.flush()
    assert b"lishang_decisions_waiting 0.0" in client.get("/metrics").data


def test_gift_of_a_company_comes_from_a_bulk_order_only(client, auth) -> None:
    answer = client.post("/v1/gifts/check", json={**GIFT, "relation": "company"}, headers=auth)
    assert "SCENE_NOT_ALLOWED" in _codes(answer)


def test_held_gift_is_hidden_from_its_recipient(client, auth, friends) -> None:
    gift = _send(client, auth, item="watch").get_json()["gift"]
    assert client.get(f"/v1/gifts/{gift}?viewer=recipient", headers=auth).status_code == 404


def test_body_that_ends_before_its_declared_length_is_400(client, auth) -> None:
    body = json.dumps(GIFT).encode()
    answer = client.post(
        "/v1/gifts/check",
        data=body,
        content_type="application/json",
        headers=auth,
        environ_overrides={"CONTENT_LENGTH": str(len(body) + 50)},
    )
    assert answer.status_code == 400


def test_readyz_is_503_while_no_pack_is_in_effect(database, tmp_path) -> None:
    url = database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    service = build(Settings(database_url=url, home=tmp_path), clock=lambda: 1)
    client = create_app(Settings(), service).test_client()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "no pack for gift_send is in effect" in answer.get_data(as_text=True)
    service.close()


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (
            {
                "type": "interaction",
                "id": "1",
                "sender": "an",
                "recipient": "bo",
                "kind": "how are you?",
            },
            "/events/0/interaction/kind",
        ),
        (
            {"type": "person", "id": "1", "person": "an", "birth_date": "2999-01-01"},
            "/events/0/person/birth_date",
        ),
        ({"type": "person", "id": "1", "person": "an", "zone": "localtime"}, None),
        ({"type": "person", "id": "1", "person": "an", "zone": "Mars/Base"}, None),
        (
            {"type": "person", "id": "1", "person": "an", "region": "cn"},
            "/events/0/person/region",
        ),
        ({**_friendship("an", "an")}, "/events/0/friendship"),
        ({**_friendship("an", "bo"), "active": "yes"}, "/events/0/friendship/active"),
        ({"type": "unheard-of", "id": "1"}, "/events/0"),
        ({**_friendship("an", "bo"), "occurred_at": "2199-01-01T00:00:00Z"}, None),
    ],
)
def test_event_that_means_nothing_is_422(client, auth, event, field) -> None:
    answer = _tell(client, auth, event)
    assert answer.status_code == 422
    if field:
        assert answer.get_json()["errors"][0]["field"] == field


def test_ties_without_a_model_are_503_and_say_so(client, auth) -> None:
    pair = {"sender": "an", "recipient": "bo"}
    answer = client.post("/v1/ties/scores", json={"pairs": [pair]}, headers=auth)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "MODEL_UNAVAILABLE")


def test_recommendations_without_a_model_are_popular_and_allowed(client, auth, friends) -> None:
    for n, item in enumerate(["draw", "coffee"]):
        _tell(
            client,
            auth,
            {"type": "item_event", "id": f"i{n}", "person": "cy", "item": item, "kind": "liked"},
        )
    wish = {"sender": "an", "recipient": "bo"}
    answer = client.post("/v1/recommendations/gifts", json=wish, headers=auth).get_json()
    assert [gift["item"] for gift in answer["gifts"]] == ["coffee"]
    assert answer["gifts"][0]["reason"]["code"] == "POPULAR"
    assert "MODEL_UNAVAILABLE" in [note["code"] for note in answer["notes"]]


def test_offers_without_consent_have_no_score_and_say_so(service, client, auth) -> None:
    with service.database.writing() as unit:
        unit.execute(
            insert(tables.offers).values(
                offer="o1",
                brand="bean",
                category="drinks",
                item="coffee",
                value_fen=300,
                price_fen=700,
                starts_at=0,
                ends_at=now() + DAY,
                recorded_at=0,
            )
        )
    answer = client.post(
        "/v1/offers/scores", json={"people": ["an"], "offers": ["o1"]}, headers=auth
    )
    [score] = answer.get_json()["scores"]
    assert (score["eligible"], score["p_redeem"]) == (False, None)
    assert [reason["code"] for reason in score["reasons"]] == ["NO_CONSENT"]


def test_too_many_people_times_offers_is_422(client, auth) -> None:
    body = {"people": [f"p{n}" for n in range(1_000)], "offers": [f"o{n}" for n in range(6)]}
    assert client.post("/v1/offers/scores", json=body, headers=auth).status_code == 422


def test_decisions_are_counted_for_metrics(client, auth) -> None:
    client.post("/v1/gifts/check", json=GIFT, headers=auth)
    text = client.get("/metrics").get_data(as_text=True)
    sample = 'lishang_decisions_total{decision="gift_send",effect="deny",'
    assert f'{sample}reason="NOT_TWO_WAY_FRIENDS"}} 1.0' in text


def test_rules_that_cannot_be_loaded_answer_503_and_readyz_says_why(database, tmp_path) -> None:
    url = database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    service = build(Settings(database_url=url, rules=tmp_path / "nowhere"))
    client = create_app(Settings(), service).test_client()
    _, secret = ApiKeys(database).create("t", frozenset({Scope.GIFTS_CHECK}), None, now())
    headers = {"Authorization": f"Bearer {secret}"}
    answer = client.post("/v1/gifts/check", json=GIFT, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "POLICY_UNAVAILABLE")
    assert client.get("/readyz").status_code == 503
    service.database.close()


GOOD: dict[str, dict[str, Any]] = {
    "/v1/gifts/check": {**GIFT, "explain": True, "scene": "chat"},
    "/v1/gifts": {**GIFT, "occasion": "birthday", "language": "zh"},
    "/v1/ties/scores": {"pairs": [{"sender": "an", "recipient": "bo"}]},
    "/v1/recommendations/gifts": {"sender": "an", "recipient": "bo", "budget_fen": 5, "limit": 3},
    "/v1/offers/scores": {"people": ["an"], "offers": ["o1"], "language": "en"},
    "/v1/events": {"events": [{"occurred_at": "2026-01-01T00:00:00Z", **_friendship("a", "b")}]},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), route=st.sampled_from(sorted(GOOD)), value=JSON)
def test_no_body_on_any_route_is_answered_with_an_unexpected_error(
    client, auth, data, route, value
) -> None:
    place = data.draw(st.sampled_from([*GOOD[route], "unheard-of", None]))
    body = value if place is None else {**GOOD[route], place: value}
    answer = client.post(
        route,
        data=json.dumps(body),
        content_type="application/json",
        headers={**auth, "Idempotency-Key": "k"},
    )
    # 503: no tie model is in service here.
    assert answer.status_code in {200, 400, 404, 409, 422, 503}
    if answer.status_code != 200:
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["code"] not in {"INTERNAL", "LEDGER_UNAVAILABLE"}
