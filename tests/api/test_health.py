"""Health tells alive from ready, and what is missing from what is fatal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.health import Check
from api.settings import Settings
from engine.domain.errors import ModelError, PolicyError
from engine.ledger.database import Database
from engine.ledger.migration import migrate

SETTINGS = Settings(database_url="sqlite:///unused.db")


def _found(what: str) -> str:
    return what


def _no_models() -> str:
    raise ModelError("no champion", "run: lishang train all")


def _no_pack() -> str:
    raise PolicyError("gift_send.yaml does not compile")


@dataclass
class Parts:
    database: Database
    extra: Sequence[Check]

    def checks(self) -> Sequence[Check]:
        return self.extra

    def start(self, _metrics: object) -> None:
        """Begin nothing."""


def _client(database: Database, *checks: Check) -> FlaskClient:
    return create_app(SETTINGS, Parts(database, checks)).test_client()


def test_healthz_answers_whatever_is_missing(tmp_path: Path) -> None:
    response = _client(Database(f"sqlite:///{tmp_path}/empty.db")).get("/healthz")
    assert (response.status_code, response.get_json()) == (200, {"status": "alive"})


def test_readyz_with_everything_is_ready(database: Database) -> None:
    pack = Check("pack", required=True, probe=lambda: _found("gift_send 1"))
    response = _client(database, pack).get("/readyz")
    assert response.status_code == 200
    body = response.get_json()
    assert body["status"] == "ready"
    assert [(c["name"], c["ok"]) for c in body["checks"]] == [("database", True), ("pack", True)]
    assert body["checks"][1]["message"] == "gift_send 1"


def test_readyz_without_models_is_degraded_but_ready(sqlite_database: Database) -> None:
    models = Check("models", required=False, probe=_no_models)
    response = _client(sqlite_database, models).get("/readyz")
    assert response.status_code == 200
    body = response.get_json()
    assert body["status"] == "degraded"
    assert "no champion" in body["checks"][1]["message"]


def test_readyz_without_its_rules_is_503_and_says_so(sqlite_database: Database) -> None:
    pack = Check("pack", required=True, probe=_no_pack)
    models = Check("models", required=False, probe=_no_models)
    response = _client(sqlite_database, pack, models).get("/readyz")
    assert response.status_code == 503
    assert response.content_type == "application/problem+json"
    assert response.headers["Retry-After"]
    body = response.get_json(force=True)
    assert (body["code"], body["detail"]) == ("NOT_READY", "not ready: pack")
    assert [c["ok"] for c in body["checks"]] == [True, False, False]


def test_readyz_follows_the_schema_of_the_database(sqlite_url: str) -> None:
    ledger = Database(sqlite_url)
    client = _client(ledger)
    assert client.get("/readyz").status_code == 503
    migrate(ledger)
    assert client.get("/readyz").status_code == 200
    ledger.close()


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/none"])
def test_readyz_with_an_unreachable_database_is_503(url: str) -> None:
    response = _client(Database(url)).get("/readyz")
    assert response.status_code == 503
    assert response.get_json(force=True)["checks"][0]["ok"] is False


def test_metrics_count_requests_by_route_and_not_by_path(client: FlaskClient) -> None:
    for person in ("a", "b"):
        client.get(f"/v1/echo/{person}", headers={"Idempotency-Key": "k"})
    client.get("/not/a/route")
    client.open("/healthz", method="BREW")
    response = client.get("/metrics")
    assert response.mimetype == "text/plain"
    text = response.get_data(as_text=True)
    assert 'lishang_requests_total{method="GET",route="/v1/echo/<person>",status="200"} 2.0' in text
    assert 'lishang_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'lishang_requests_total{method="OTHER",route="unmatched",status="405"} 1.0' in text
    assert 'lishang_request_seconds_count{method="GET",route="/v1/echo/<person>"} 2.0' in text
    assert "not/a/route" not in text
