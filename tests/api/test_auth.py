"""Keys open what their scopes say, until they end, and never when the ledger cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from api.app import Lishang, create_app
from api.auth import KeyCache, requires, scope_of
from api.openapi import Resource
from api.schemas.base import Answer
from api.settings import Settings
from api.wiring import Shell
from engine.domain.clock import DAY, now
from engine.domain.errors import LedgerUnavailable, NotPermitted
from engine.ledger.database import Database
from engine.ledger.keys import PREFIX, ApiKey, ApiKeys, Scope

Bearer = Callable[..., dict[str, str]]
BODY = {"name": "a"}
SECRET = PREFIX + "A" * 43


class Counting(ApiKeys):
    """Keys that count how often the database was asked."""

    asked = 0

    def find(self, secret: str, at: int) -> ApiKey | None:
        self.asked += 1
        return super().find(secret, at)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nothing",
        f"Bearer {SECRET}",
        f"Bearer {SECRET} {SECRET}",
        f"Basic {SECRET}",
        "Basic dXNlcjpwYXNz",
        SECRET,
        "Bearer " + "x" * 5_000,
        "Bearer lsk_\xe4" + "A" * 42,
        "Bearer lsk_' OR 1=1 --",
    ],
)
def test_auth_with_no_valid_key_gives_one_answer(client: FlaskClient, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = client.post("/v1/echo", json=BODY, headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    told = response.get_json(force=True)
    assert told["detail"] == "no valid key came with the request"
    assert told["code"] == "NOT_AUTHENTICATED"


def test_auth_with_an_expired_or_revoked_key_gives_the_same_answer(
    app: Lishang, api_keys: ApiKeys
) -> None:
    at = now()
    scopes = frozenset({Scope.ADMIN})
    _, expired = api_keys.create("old", scopes, at - DAY, at - 2 * DAY)
    key_id, revoked = api_keys.create("gone", scopes, None, at - DAY)
    api_keys.revoke(key_id, at - 1)
    answers = []
    for secret in (expired, revoked, SECRET):
        headers = {"Authorization": f"Bearer {secret}", "X-Request-Id": "one"}
        response = app.test_client().post("/v1/echo", json=BODY, headers=headers)
        answers.append((response.status_code, response.get_data()))
    assert answers[0][0] == 401
    assert len(set(answers)) == 1


def test_auth_with_another_scope_is_403_and_with_admin_passes(
    client: FlaskClient, bearer: Bearer
) -> None:
    lacking = client.post("/v1/echo", json=BODY, headers=bearer(Scope.GIFTS_SEND, Scope.TIES_READ))
    assert lacking.status_code == 403
    assert lacking.get_json(force=True)["code"] == "SCOPE_MISSING"
    assert client.post("/v1/echo", json=BODY, headers=bearer(Scope.GIFTS_CHECK)).status_code == 200
    assert client.post("/v1/echo", json=BODY, headers=bearer(Scope.ADMIN)).status_code == 200


def test_auth_comes_before_the_body_is_read(client: FlaskClient) -> None:
    assert client.post("/v1/echo", data=b"\xff").status_code == 401


def test_auth_without_the_database_is_503_and_never_allowed(bearer: Bearer, tmp_path: Path) -> None:
    headers = bearer(Scope.GIFTS_CHECK)
    settings = Settings(database_url="sqlite:///unused.db")
    broken = Database(f"sqlite:///{tmp_path}/empty.db")  # it has no tables
    app = create_app(settings, Shell(broken))
    called = []
    api = Resource("probe", __name__)

    @api.post("/probe")
    @requires(Scope.GIFTS_CHECK)
    def probe() -> Answer:
        """Be called."""
        called.append(1)
        return Answer()

    app.register_api(api)
    response = app.test_client().post("/probe", headers=headers)
    assert response.status_code == 503
    assert response.get_json(force=True)["code"] == "LEDGER_UNAVAILABLE"
    assert not called
    broken.close()


def test_auth_of_an_unmarked_view_is_refused_when_made_and_when_called(app: Lishang) -> None:
    api = Resource("unmarked", __name__)

    def view() -> Answer:
        """Say nothing of who may call."""
        return Answer()

    with pytest.raises(TypeError, match="who may call"):
        api.get("/unmarked")(view)
    app.add_url_rule("/unmarked", view_func=view)
    assert app.test_client().get("/unmarked").status_code == 403
    with pytest.raises(NotPermitted):
        scope_of(view)


def test_cache_asks_once_within_its_time_and_again_after(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = [100.0]
    monkeypatch.setattr("api.auth.monotonic", lambda: seconds[0])
    keys = Counting(sqlite_database)
    key_id, secret = keys.create("k", frozenset({Scope.ADMIN}), None, now())
    cache = KeyCache(keys, now, seconds=2.0)
    assert [cache.find(secret) is None for _ in range(5)] == [False] * 5
    assert keys.asked == 1
    keys.revoke(key_id, now())
    seconds[0] += 1.9
    assert cache.find(secret) is not None  # the price of remembering
    seconds[0] += 0.2
    assert cache.find(secret) is None
    assert keys.asked == 2
    assert cache.find(secret) is None
    assert keys.asked == 2


def test_cache_ends_a_key_at_its_expiry_without_asking(sqlite_database: Database) -> None:
    at = [1_000]
    keys = Counting(sqlite_database)
    _, secret = keys.create("k", frozenset({Scope.ADMIN}), 2_000, at[0])
    cache = KeyCache(keys, lambda: at[0], seconds=60.0)
    assert cache.find(secret) is not None
    at[0] = 2_000
    assert cache.find(secret) is None
    assert keys.asked == 1


def test_cache_keeps_its_size_and_its_good_keys_under_a_flood_of_bad_ones(
    sqlite_database: Database,
) -> None:
    keys = Counting(sqlite_database)
    _, secret = keys.create("k", frozenset({Scope.ADMIN}), None, now())
    cache = KeyCache(keys, now, seconds=60.0, size=8)
    assert cache.find(secret) is not None
    for number in range(100):
        assert cache.find(f"{PREFIX}{number:043d}") is None
    assert keys.asked == 101
    assert cache.find(secret) is not None
    assert keys.asked == 101
    assert len(cache._bad) == 8


def test_cache_asks_nothing_for_what_cannot_be_a_key(sqlite_database: Database) -> None:
    keys = Counting(sqlite_database)
    cache = KeyCache(keys, now)
    assert cache.find("lsk_short") is None
    assert keys.asked == 0


def test_cache_does_not_remember_that_the_database_could_not_say(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ApiKeys(sqlite_database)
    _, secret = keys.create("k", frozenset({Scope.ADMIN}), None, now())
    cache = KeyCache(keys, now)

    def down(_secret: str, _at: int) -> ApiKey | None:
        raise LedgerUnavailable("down")

    with monkeypatch.context() as patch:
        patch.setattr(keys, "find", down)
        with pytest.raises(LedgerUnavailable):
            cache.find(secret)
    assert cache.find(secret) is not None
