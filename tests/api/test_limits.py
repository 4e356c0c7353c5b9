"""No route reads more than its limit, whatever length the caller declares."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from api.limits import DEFAULT_BODY
from engine.ledger.keys import Scope

Bearer = Callable[..., dict[str, str]]
SMALL_LIMIT = 256


class Endless(io.RawIOBase):
    """A good body followed by blanks without end; counts what was taken of it."""

    taken = 0
    start = b'{"name": "a"}'

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        start = self.start if self.taken == 0 else b""
        buffer[:] = start.ljust(len(buffer))
        self.taken += len(buffer)
        return len(buffer)


def _padded(size: int) -> bytes:
    return json.dumps({"name": "a"}).encode().ljust(size)


@pytest.mark.parametrize(
    ("path", "scope", "limit", "ok"),
    [
        ("/v1/echo", Scope.GIFTS_CHECK, DEFAULT_BODY, 200),
        ("/v1/echo/small", Scope.GIFTS_SEND, SMALL_LIMIT, 201),
    ],
)
def test_body_at_its_routes_limit_is_read_and_above_is_413(
    client: FlaskClient, bearer: Bearer, path: str, scope: Scope, limit: int, ok: int
) -> None:
    headers = bearer(scope) | {"Content-Type": "application/json"}
    assert client.post(path, data=_padded(limit), headers=headers).status_code == ok
    refused = client.post(path, data=_padded(limit + 1), headers=headers)
    assert refused.status_code == 413
    assert refused.content_type == "application/problem+json"
    assert refused.get_json(force=True)["code"] == "BODY_TOO_LARGE"


def test_body_without_a_length_is_cut_off_at_the_limit(client: FlaskClient, bearer: Bearer) -> None:
    body = Endless()
    response = client.post(
        "/v1/echo",
        headers=bearer(Scope.GIFTS_CHECK)
        | {"Content-Type": "application/json", "Transfer-Encoding": "chunked"},
        environ_overrides={
            "CONTENT_LENGTH": "",
            "wsgi.input": io.BufferedReader(body),
            "wsgi.input_terminated": True,
        },
    )
    assert response.status_code == 413
    assert body.taken < 3 * DEFAULT_BODY


def test_body_on_a_route_that_reads_none_is_limited_too(client: FlaskClient) -> None:
    assert client.get("/healthz", data=b"x" * (DEFAULT_BODY + 1)).status_code == 413


def test_body_on_a_route_that_reads_none_is_not_left_in_the_connection(client: FlaskClient) -> None:
    body = io.BytesIO(b"{}the next request")
    sent = {"CONTENT_LENGTH": "2", "wsgi.input": body}
    assert client.get("/healthz", environ_overrides=sent).status_code == 200
    assert body.read() == b"the next request"
