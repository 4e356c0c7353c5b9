"""What the service answers gives away no block, no age and no limit against abuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from api.app import create_app
from api.settings import Settings
from api.wiring import Services, build
from engine.domain.clock import DAY, HOUR, format_time, local_date, local_day
from engine.ledger import tables
from engine.ledger.keys import ApiKeys, Scope

NOON = 20_500 * DAY + 4 * HOUR
"""Noon in Shanghai on some day."""

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
GOODS = {**ITEM, "tier": "goods", "kind": "goods"}
BOX = {**GOODS, "mechanics": "blind_box", "price_fen": 5_900}
ITEMS = {
    "coffee": ITEM,
    "watch": {**GOODS, "price_fen": 200_000},
    "box": {**BOX, "odds_disclosed": True},
    "undisclosed": BOX,
    "draw": {**ITEM, "mechanics": "lottery"},
}

Row = dict[str, Any]
Tell = Callable[[str, str], list[Row]]


def _born(years: int) -> str:
    today = local_date(NOON)
    return date(today.year - years, 1, 1).isoformat()


def _person(person: str, years: int, **more: str) -> Row:
    return {"type": "person", "person": person, "birth_date": _born(years), **more}


def _block(one: str, other: str) -> Row:
    return {"type": "block", "person": one, "blocked": other, "active": True}


def _consent(person: str) -> Row:
    return {"type": "consent", "person": person, "purpose": "guardian", "granted": True}


def _adults(s: str, r: str) -> list[Row]:
    return [_person(s, 30), _person(r, 30)]


SECRETS: dict[str, Tell] = {
    "adults": _adults,
    "nobody-knows": lambda s, r: [],
    "they-block": lambda s, r: [*_adults(s, r), _block(r, s)],
    "we-block": lambda s, r: [*_adults(s, r), _block(s, r)],
    "both-block": lambda s, r: [_block(s, r), _block(r, s)],
    "we-are-16": lambda s, r: [_person(s, 16), _person(r, 30)],
    "we-are-16-and-blocked": lambda s, r: [_person(s, 16), _person(r, 30), _block(r, s)],
    "we-are-12-in-hong-kong": lambda s, r: [_person(s, 12, region="HK"), _person(r, 30)],
    "we-are-6-in-hong-kong": lambda s, r: [_person(s, 6, region="HK"), _consent(s), _person(r, 30)],
    "they-are-6": lambda s, r: [_person(s, 30), _person(r, 6)],
    "they-are-12": lambda s, r: [_person(s, 30), _person(r, 12)],
    "they-are-12-with-consent": lambda s, r: [_person(s, 30), _person(r, 12), _consent(r)],
    "they-got-60-today": _adults,
    "they-got-300-today": _adults,
    "we-gave-much-this-hour": _adults,
}
"""What may be recorded of two people that neither learns from the other's gifts."""


def _kept(database: Any, secret: str, sender: str, recipient: str) -> None:
    """Write what no event tells: gifts and counters of before."""
    with database.writing() as unit:
        if secret.startswith("they-got"):
            got = int(secret.split("-")[2])
            row = {"scope": "recipient", "subject": recipient, "day": local_day(NOON)}
            unit.execute(insert(tables.counters).values({**row, "gifts": got, "fen": 900 * got}))
        if secret == "we-gave-much-this-hour":
            unit.execute(
                insert(tables.gifts).values(
                    gift=f"{sender}-before",
                    sender=sender,
                    recipient="somebody",
                    item="coffee",
                    price_fen=600_000,
                    relation="friend",
                    scene="chat",
                    occasion="none",
                    state="sent",
                    origin="imported",
                    occurred_at=NOON - HOUR // 2,
                    recorded_at=NOON - HOUR // 2,
                )
            )


@pytest.fixture
def service(database, tmp_path: Path) -> Iterator[Services]:
    """The service with the shipped rules, its clock at noon."""
    url = database.engine.url.render_as_string(hide_password=False)
    settings = Settings(home=tmp_path / "home", database_url=url.replace("+psycopg", ""))
    made = build(settings, clock=lambda: NOON)
    assert isinstance(made, Services)
    with database.writing() as unit:
        for item, row in ITEMS.items():
            unit.execute(insert(tables.items).values({**row, "item": item}))
    yield made
    made.close()


@pytest.fixture
def client(service: Services) -> FlaskClient:
    return create_app(Settings(), service).test_client()


@pytest.fixture
def auth(service: Services) -> dict[str, str]:
    """The header of a gifting flow's key, which may not read the policy."""
    scopes = {Scope.GIFTS_CHECK, Scope.GIFTS_SEND, Scope.RECOMMEND_READ, Scope.EVENTS_WRITE}
    _, secret = ApiKeys(service.database).create("flow", frozenset(scopes), None, NOON)
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def pairs(service: Services, client: FlaskClient, auth: dict[str, str]) -> list[tuple[str, bool]]:
    """Two people of each secret, once as friends and once as strangers, on the ledger."""
    made = [(secret, friends) for secret in SECRETS for friends in (True, False)]
    told: list[Row] = []
    for secret, friends in made:
        sender, recipient = _names(secret, friends)
        told += SECRETS[secret](sender, recipient)
        if friends:
            told += [
                {"type": "friendship", "person": a, "friend": b, "active": True}
                for a, b in ((sender, recipient), (recipient, sender))
            ]
        _kept(service.database, secret, sender, recipient)
    at = format_time(NOON - 40 * DAY)
    body = {"events": [{"id": str(n), "occurred_at": at, **event} for n, event in enumerate(told)]}
    answer = client.post("/v1/events", json=body, headers=auth)
    assert answer.get_json() == {"accepted": len(told), "repeated": 0}
    return made


def _names(secret: str, friends: bool) -> tuple[str, str]:
    ties = "friends" if friends else "strangers"
    return f"s-{secret}-{ties}", f"r-{secret}-{ties}"


def _groups(
    pairs: list[tuple[str, bool]], ask: Callable[[str, str, str, str], tuple[int, Row]]
) -> dict[tuple[object, ...], dict[str, tuple[int, Row]]]:
    """Ask for every pair and item in each language; group what differs in secrets alone."""
    found: dict[tuple[object, ...], dict[str, tuple[int, Row]]] = defaultdict(dict)
    for secret, friends in pairs:
        for item in ITEMS:
            for language in ("en", "zh") if item in ("coffee", "draw") else ("en",):
                status, body = ask(*_names(secret, friends), item, language)
                found[friends, item, language, body["verdict"]][secret] = status, body
    return found


def _refused_for(groups: dict[tuple[object, ...], dict[str, Any]], item: str) -> set[str]:
    return set(groups[True, item, "en", "deny"])


def test_checks_of_pairs_that_differ_in_secrets_are_word_for_word_the_same(
    client: FlaskClient, auth: dict[str, str], pairs: list[tuple[str, bool]]
) -> None:
    def ask(sender: str, recipient: str, item: str, language: str) -> tuple[int, Row]:
        gift = {"sender": sender, "recipient": recipient, "item": item, "language": language}
        answer = client.post("/v1/gifts/check", json=gift, headers=auth)
        body = answer.get_json()
        assert body.pop("decision_id").startswith("dec_")
        return answer.status_code, body

    groups = _groups(pairs, ask)
    for key, answers in groups.items():
        first = next(iter(answers.values()))
        assert all(answer == first for answer in answers.values()), (key, answers)
    # The secrets did decide: friends were refused for them alone, and held back for them alone.
    blocked_or_young = {secret for secret in SECRETS if "block" in secret or "we-are" in secret}
    assert _refused_for(groups, "coffee") == {*blocked_or_young, "they-got-300-today"}
    assert {"nobody-knows", "they-are-6", "they-are-12"} < _refused_for(groups, "box")
    assert {"adults", "they-are-12-with-consent"}.isdisjoint(_refused_for(groups, "box"))
    held = {"they-got-60-today", "we-gave-much-this-hour"}
    assert set(groups[True, "coffee", "en", "review"]) == held
    assert len(groups[True, "watch", "en", "review"]) >= 5
    # Strangers and draws are refused openly, whatever else is so.
    for item in ITEMS:
        assert groups[False, item, "en", "deny"].keys() == SECRETS.keys()
    _, open_refusal = groups[True, "draw", "en", "deny"]["we-are-16-and-blocked"]
    assert [reason["code"] for reason in open_refusal["reasons"]] == ["LOTTERY_STYLE"]
    _, coarse = groups[True, "coffee", "en", "deny"]["they-block"]
    assert [reason["code"] for reason in coarse["reasons"]] == ["NOT_POSSIBLE_NOW"]


def test_refused_sends_of_pairs_that_differ_in_secrets_are_word_for_word_the_same(
    client: FlaskClient, auth: dict[str, str], pairs: list[tuple[str, bool]]
) -> None:
    seen: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for secret, friends in pairs:
        sender, recipient = _names(secret, friends)
        answer = client.post(
            "/v1/gifts",
            json={
                "sender": sender,
                "recipient": recipient,
                "item": "coffee",
                "payment_ref": f"paid-{sender}",
            },
            headers={**auth, "Idempotency-Key": sender},
        )
        body = answer.get_json()
        assert body.pop("decision_id")
        assert (body.pop("gift") is None) is (body["verdict"] == "deny")
        seen[f"{friends} {body['verdict']}"].append((answer.status_code, body))
    assert all(answer == answers[0] for answers in seen.values() for answer in answers)
    assert {name: len(answers) for name, answers in seen.items()} == {
        "True allow": 5,
        "True deny": 8,
        "True review": 2,
        "False deny": len(SECRETS),
    }


def test_suggestions_refused_for_secrets_are_word_for_word_the_same(
    client: FlaskClient, auth: dict[str, str], pairs: list[tuple[str, bool]]
) -> None:
    """A pair to which no gift may go hears the same of every cause."""
    at = format_time(NOON - DAY)
    likes = [
        {"type": "item_event", "id": item, "occurred_at": at, "person": "cy", "item": item}
        for item in ITEMS
    ]
    body = {"events": [{**like, "kind": "liked"} for like in likes]}
    assert client.post("/v1/events", json=body, headers=auth).get_json()["accepted"] == len(ITEMS)
    refused = {}
    for secret in (secret for secret, friends in pairs if friends):
        sender, recipient = _names(secret, friends=True)
        gift = {"sender": sender, "recipient": recipient, "item": "coffee"}
        verdict = client.post("/v1/gifts/check", json=gift, headers=auth).get_json()["verdict"]
        wish = {"sender": sender, "recipient": recipient}
        answer = client.post("/v1/recommendations/gifts", json=wish, headers=auth)
        assert bool(answer.get_json()["gifts"]) is (verdict == "allow"), secret
        if verdict == "deny":
            refused[secret] = answer.status_code, answer.get_json()
    assert len(refused) == 8
    first = refused["they-block"]
    assert [note["code"] for note in first[1]["notes"]] == ["NOT_POSSIBLE_NOW", "MODEL_UNAVAILABLE"]
    assert all(answer == first for answer in refused.values()), refused
