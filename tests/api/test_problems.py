"""Whatever goes wrong is answered with problem details, and hostile bodies are refused."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from api.app import Lishang
from api.auth import scope_of
from engine.ledger.keys import Scope

Bearer = Callable[..., dict[str, str]]
JSON = {"Content-Type": "application/json"}
COUNT = "/parts/0/count"
MEMBERS = {"type", "title", "status", "detail", "code", "hint", "instance"}


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, object]:
    assert response.status_code == status, response.get_data()
    assert response.content_type == "application/problem+json"
    body = json.loads(response.get_data())
    assert set(body) >= MEMBERS
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:lishang:problem:{code}"
    assert body["instance"] == f"urn:lishang:request:{response.headers['X-Request-Id']}"
    return dict(body)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ("InvalidInput", 422, "INVALID_INPUT"),
        ("FileRefused", 422, "FILE_REFUSED"),
        ("UnknownReference", 404, "NOT_FOUND"),
        ("Conflict", 409, "CONFLICT"),
        ("IdempotencyConflict", 409, "IDEMPOTENCY_KEY_REUSED"),
        ("NotAuthenticated", 401, "NOT_AUTHENTICATED"),
        ("NotPermitted", 403, "SCOPE_MISSING"),
        ("PolicyError", 503, "POLICY_UNAVAILABLE"),
        ("PackInvalid", 503, "PACK_INVALID"),
        ("FactsInvalid", 503, "FACTS_INVALID"),
        ("LedgerUnavailable", 503, "LEDGER_UNAVAILABLE"),
        ("ModelError", 503, "MODEL_UNAVAILABLE"),
        ("ManifestMismatch", 503, "MANIFEST_MISMATCH"),
        ("LishangError", 500, "INTERNAL"),
    ],
)
def test_problem_for_each_error_has_its_status_and_code(
    client: FlaskClient, error: str, status: int, code: str
) -> None:
    response = client.get(f"/v1/echo/raise/{error}")
    body = assert_problem(response, status, code)
    # What went wrong inside is for the log, what the caller did wrong is for the caller.
    assert ("db.internal" in str(body)) == (status < 500)
    assert ("Retry-After" in response.headers) == (status == 503)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


def test_problem_for_an_unexpected_error_says_nothing_and_logs_the_place(
    client: FlaskClient,
) -> None:
    with capture_logs() as lines:
        response = client.get("/v1/echo/raise/Nobody", headers={"X-Request-Id": "trace-1"})
    body = assert_problem(response, 500, "INTERNAL")
    assert body["instance"] == "urn:lishang:request:trace-1"
    assert "secret" not in str(body)
    logged = next(line for line in lines if line["event"] == "unexpected")
    assert (logged["error"], logged["request"]) == ("RuntimeError", "trace-1")
    assert any("conftest.py" in frame for frame in logged["frames"])
    assert "secret" not in str(lines)


def test_problem_for_every_route_without_a_key_is_401_unless_public(app: Lishang) -> None:
    client = app.test_client()
    asked = 0
    for rule in app.url_map.iter_rules():
        public = scope_of(app.view_functions[rule.endpoint]) is None
        path = rule.rule
        for argument in rule.arguments:
            path = path.replace(f"<{argument}>", "x")
        for method in sorted((rule.methods or set()) - {"HEAD"}):
            if public:
                assert client.open(path, method=method).status_code != 401
            else:
                assert_problem(client.open(path, method=method), 401, "NOT_AUTHENTICATED")
                asked += 1
    assert asked >= 2


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing/here", 404, "ROUTE_UNKNOWN"),
        ("DELETE", "/healthz", 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", "/v1/echo", 405, "METHOD_NOT_ALLOWED"),
    ],
)
def test_problem_for_the_routers_refusals(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.open(path, method=method)
    assert_problem(response, status, code)
    assert ("Allow" in response.headers) == (status == 405)


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (b'{"name": "a"', 400, "MALFORMED_REQUEST", None),
        (b"", 400, "MALFORMED_REQUEST", None),
        (b"\xff\xfe", 400, "MALFORMED_REQUEST", None),
        (b'{"name": "\xff"}', 400, "MALFORMED_REQUEST", None),
        (b'{"name": "\\ud800"}', 400, "MALFORMED_REQUEST", None),
        (b'{"name": "a", "name": "b"}', 400, "MALFORMED_REQUEST", None),
        (b'{"name": "a", "parts": [{"item": "x", "item": "y"}]}', 400, "MALFORMED_REQUEST", None),
        (b"[" * 60_000, 400, "MALFORMED_REQUEST", None),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "MALFORMED_REQUEST", None),
        (b'{"name": "a", "share": ' + b"9" * 5_000 + b"}", 400, "MALFORMED_REQUEST", None),
        (b"null", 422, "INVALID_INPUT", ""),
        (b"[]", 422, "INVALID_INPUT", ""),
        (b"{}", 422, "INVALID_INPUT", "/name"),
        (b'{"name": 1}', 422, "INVALID_INPUT", "/name"),
        (b'{"name": ""}', 422, "INVALID_INPUT", "/name"),
        (b'{"name": "a\\u0000"}', 422, "INVALID_INPUT", "/name"),
        (b'{"name": "a\\n"}', 422, "INVALID_INPUT", "/name"),
        (b'{"name": "' + b"a" * 129 + b'"}', 422, "INVALID_INPUT", "/name"),
        (b'{"name": "a", "colour": "green"}', 422, "INVALID_INPUT", "/colour"),
        (b'{"name": "a", "share": NaN}', 422, "INVALID_INPUT", "/share"),
        (b'{"name": "a", "share": 1e999}', 422, "INVALID_INPUT", "/share"),
        (b'{"name": "a", "share": true}', 422, "INVALID_INPUT", "/share"),
        (b'{"name": "a", "since": 5}', 422, "INVALID_INPUT", "/since"),
        (b'{"name": "a", "since": "2026-01-01T00:00:00"}', 422, "INVALID_INPUT", "/since"),
        (b'{"name": "a", "since": "9999-12-31T23:59:59-12:00"}', 422, "INVALID_INPUT", "/since"),
        (b'{"name": "a", "more": 1}', 422, "INVALID_INPUT", "/more"),
        (
            b'{"name":"a","parts":[{"item":"x","count":"1"}]}',
            422,
            "INVALID_INPUT",
            "/parts/0/count",
        ),
        (
            b'{"name":"a","parts":[{"item":"x","count":1.0}]}',
            422,
            "INVALID_INPUT",
            "/parts/0/count",
        ),
        (b'{"name": "a", "a/b~c": 1}', 422, "INVALID_INPUT", "/a~1b~0c"),
    ],
)
def test_problem_for_a_bad_body_names_the_field_and_not_its_value(
    client: FlaskClient, bearer: Bearer, body: bytes, status: int, code: str, field: str | None
) -> None:
    response = client.post("/v1/echo", data=body, headers=JSON | bearer(Scope.GIFTS_CHECK))
    problem = assert_problem(response, status, code)
    assert len(response.get_data()) < 1_000
    if field is not None:
        errors = problem["errors"]
        assert isinstance(errors, list)
        assert [error["field"] for error in errors] == [field]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_problem_for_a_body_of_another_type_is_415(
    client: FlaskClient, bearer: Bearer, headers: dict[str, str]
) -> None:
    response = client.post("/v1/echo", data=b"{}", headers=headers | bearer(Scope.GIFTS_CHECK))
    assert_problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_problem_for_a_long_unknown_name_does_not_send_it_back(
    client: FlaskClient, bearer: Bearer
) -> None:
    members = {f"{n}{'x' * 1_500}": 1 for n in range(30)}
    headers = bearer(Scope.GIFTS_CHECK)
    response = client.post("/v1/echo", json={"name": "a"} | members, headers=headers)
    assert_problem(response, 422, "INVALID_INPUT")
    assert len(response.get_data()) < 5_000


def test_answer_to_a_good_body_carries_what_was_read(client: FlaskClient, bearer: Bearer) -> None:
    body = {"name": "礼物", "colour": "blue", "share": 1, "since": "2026-02-17T08:00:00+08:00"}
    headers = bearer(Scope.GIFTS_CHECK) | {"Content-Type": "application/json; charset=utf-8"}
    response = client.post("/v1/echo", data=json.dumps(body), headers=headers)
    assert response.status_code == 200
    assert response.get_json()["name"] == "礼物"
    assert response.content_type == "application/json"


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("/v1/echo/a?limit=0", {"Idempotency-Key": "k"}, "/limit"),
        ("/v1/echo/a?limit=ten", {"Idempotency-Key": "k"}, "/limit"),
        ("/v1/echo/a?limit=1&limit=2", {"Idempotency-Key": "k"}, "/limit"),
        ("/v1/echo/a?unknown=1", {"Idempotency-Key": "k"}, "/unknown"),
        ("/v1/echo/" + "a" * 129, {"Idempotency-Key": "k"}, "/person"),
        ("/v1/echo/a%00", {"Idempotency-Key": "k"}, "/person"),
        ("/v1/echo/a", {}, "/Idempotency-Key"),
        ("/v1/echo/a", {"Idempotency-Key": "k" * 129}, "/Idempotency-Key"),
    ],
)
def test_problem_for_a_bad_parameter_names_it(
    client: FlaskClient, path: str, headers: dict[str, str], field: str
) -> None:
    problem = assert_problem(client.get(path, headers=headers), 422, "INVALID_INPUT")
    assert [error["field"] for error in problem["errors"]] == [field]  # type: ignore[index, attr-defined]


def test_answer_to_good_parameters_carries_them(client: FlaskClient) -> None:
    response = client.get("/v1/echo/a?limit=7", headers={"Idempotency-Key": "k"})
    assert response.get_json() == {"person": "a", "limit": 7, "retry": "k"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "colour", "share", "since", "parts", "item", "count"])
            | st.text(max_size=8),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)
_BODIES = (
    st.binary(max_size=300)
    | _JSON.map(lambda value: json.dumps(value).encode())
    | st.tuples(_JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=3)).map(
        lambda both: both[0][:-1] + both[1]
    )
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_problem_for_any_body_is_never_a_500(
    client: FlaskClient, bearer: Bearer, data: st.DataObject
) -> None:
    headers = _fuzz_headers.setdefault(id(client), JSON | bearer(Scope.GIFTS_CHECK))
    response = client.post("/v1/echo", data=data.draw(_BODIES), headers=headers)
    if response.status_code == 200:
        assert set(response.get_json()) == {"name", "key"}
    else:
        assert response.status_code in {400, 422}
        assert_problem(response, response.status_code, response.get_json(force=True)["code"])


_fuzz_headers: dict[int, dict[str, str]] = {}
