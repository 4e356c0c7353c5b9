"""An anomaly of the rules engine denies, retires the engine it happened in and can be seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import durable_rules_engine as durable
import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.settings import Settings
from api.wiring import Services, build
from engine.domain.clock import now
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.policy import guarded

OFFER = {
    "person.offers_consent": True,
    "person.age_years": 30,
    "offer.running": True,
    "offer.category": "tea",
    "person.held_out": False,
    "person.shown_7d": 0,
    "person.offer_redeemed": False,
}
ASSERT, START, NEXT, RETRACT = (
    "assert_fact",
    "start_action_for_state",
    "complete_and_start_action",
    "retract_fact",
)
RETIRED, REFUSED = "lishang_policy_engines_retired_total", "lishang_policy_anomalies_total"


@pytest.fixture
def service(sqlite_database: Database, tmp_path: Path) -> Iterator[Services]:
    url = sqlite_database.engine.url.render_as_string(hide_password=False)
    made = build(Settings(home=tmp_path / "home", database_url=url))
    assert isinstance(made, Services)
    yield made
    made.close()


@pytest.fixture
def client(service: Services) -> FlaskClient:
    return create_app(Settings(), service).test_client()


@pytest.fixture
def evaluate(client: FlaskClient, service: Services) -> Callable[[], int]:
    """Ask for a verdict on an ordinary offer and return the status of the answer."""
    keys = ApiKeys(service.database)
    _, secret = keys.create("test", frozenset({Scope.POLICY_EVALUATE}), None, now())

    def ask() -> int:
        answer = client.post(
            "/v1/policy/offer_show/evaluate",
            json={"facts": [OFFER]},
            headers={"Authorization": f"Bearer {secret}"},
        )
        return answer.status_code

    return ask


def counted(client: FlaskClient, name: str) -> float:
    text = client.get("/metrics").get_data(as_text=True)
    return sum(float(n) for n in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def raising(error: BaseException) -> Callable[..., object]:
    def call(*_: object) -> object:
        raise error

    return call


def giving(answer: object) -> Callable[..., object]:
    return lambda *_: answer


@pytest.mark.parametrize(
    "faults",
    [
        {ASSERT: raising(durable.error("Could not assert fact, error code: 303"))},
        {ASSERT: raising(MemoryError())},
        {ASSERT: giving((1, 1))},
        {ASSERT: giving((2, 1))},
        {ASSERT: giving((3, 1))},
        {ASSERT: giving((0, 99))},
        {START: raising(durable.error("Could not start action, error code: 307"))},
        {START: giving(None)},
        {START: giving(("{}", "")), NEXT: giving(None)},
        {START: giving(("{}", '{"wit":{}}')), NEXT: giving('{"wit":{}}')},
        {START: giving(("{}", '{"unheard of":{}}')), NEXT: giving(None)},
        {START: giving(("{}", '{"r00":{}}')), NEXT: giving(None)},
        {NEXT: raising(durable.error("Could not complete, error code: 307"))},
        {NEXT: raising(SystemError())},
        {RETRACT: giving((1, 1))},
        {RETRACT: giving((0, 99))},
        {RETRACT: raising(durable.error("Could not retract fact, error code: 305"))},
    ],
    ids=[
        "error on assert",
        "no memory",
        "nothing matched",
        "already observed",
        "deferred",
        "another session",
        "error on start",
        "silence",
        "an empty answer",
        "endless answers",
        "an unknown rule",
        "no witness",
        "error on complete",
        "system error",
        "not retracted",
        "retracted elsewhere",
        "error on retract",
    ],
)
def test_anomaly_is_refused_its_engine_retired_and_counted(
    client: FlaskClient,
    evaluate: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    faults: dict[str, Callable[..., object]],
) -> None:
    used: list[int] = []
    assert_fact = durable.assert_fact

    def watched(handle: int, fact: str) -> object:
        used.append(handle)
        return faults[ASSERT](handle, fact) if ASSERT in faults else assert_fact(handle, fact)

    assert (evaluate(), counted(client, RETIRED), counted(client, REFUSED)) == (200, 0, 0)
    with monkeypatch.context() as patch:
        for name, fault in faults.items():
            patch.setattr(guarded.durable, name, fault)
        patch.setattr(guarded.durable, ASSERT, watched)
        assert evaluate() == 503
    (retired,) = used
    assert (counted(client, RETIRED), counted(client, REFUSED)) == (1, 1)
    with monkeypatch.context() as patch:
        faults.clear()
        patch.setattr(guarded.durable, ASSERT, watched)
        assert [evaluate() for _ in range(3)] == [200] * 3
    assert retired not in used[1:]
    assert (counted(client, RETIRED), counted(client, REFUSED)) == (1, 1)
    readiness = client.get("/readyz").get_data(as_text=True)
    assert "engines retired after an anomaly: 1" in readiness
