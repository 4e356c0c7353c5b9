"""An application with a few routes of its own, and keys to call it with."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import pytest
from flask import g
from flask.testing import FlaskClient
from pydantic import Field

from api.app import Lishang, create_app
from api.auth import public, requires
from api.limits import body_limit
from api.openapi import Resource
from api.schemas.base import Answer, Body, Id, Instant, Parameters
from api.settings import Settings
from api.wiring import Shell
from engine.domain import errors
from engine.domain.clock import now
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope

SMALL_LIMIT = 256


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(Body):
    item: Id
    count: int = Field(1, ge=0, le=100)


class EchoBody(Body):
    """What the test route reads."""

    name: Id
    colour: Colour = Colour.RED
    share: float = 0.0
    since: Instant | None = None
    parts: list[Part] = Field(default_factory=list, max_length=10)


class EchoAnswer(Answer):
    name: str
    key: str


class EchoPath(Parameters):
    person: Id


class EchoQuery(Parameters):
    limit: int = Field(10, ge=1, le=100)


class EchoHeader(Parameters):
    retry: Id = Field(alias="Idempotency-Key")


class Seen(Answer):
    person: str
    limit: int
    retry: str


def _resource() -> Resource:
    api = Resource("echo", __name__, url_prefix="/v1/echo")

    @api.post("", responses={200: EchoAnswer})
    @requires(Scope.GIFTS_CHECK)
    def echo(body: EchoBody) -> EchoAnswer:
        """Say the name again."""
        return EchoAnswer(name=body.name, key=g.api_key.key_id)

    @api.post("/small", responses={201: EchoAnswer})
    @requires(Scope.GIFTS_SEND)
    @body_limit(SMALL_LIMIT)
    def small(body: EchoBody) -> tuple[EchoAnswer, int]:
        """Say a short name again."""
        return EchoAnswer(name=body.name, key=g.api_key.key_id), 201

    @api.get("/<person>", responses={200: Seen})
    @public
    def show(path: EchoPath, query: EchoQuery, header: EchoHeader) -> Seen:
        """Say what was read."""
        return Seen(person=path.person, limit=query.limit, retry=header.retry)

    @api.get("/raise/<person>")
    @public
    def fail(path: EchoPath) -> Answer:
        """Fail with the error of that name, or with one that nobody expects."""
        error = getattr(errors, path.person, None)
        if error is None:
            raise RuntimeError(f"secret {path.person}")
        raise error("host db.internal refused", "the hint")

    return api


@pytest.fixture
def app(sqlite_database: Database) -> Lishang:
    """The application on a migrated ledger, with the test routes."""
    made = create_app(Settings(database_url="sqlite:///unused.db"), Shell(sqlite_database))
    made.register_api(_resource())
    return made


@pytest.fixture
def client(app: Lishang) -> FlaskClient:
    """A client of it."""
    return app.test_client()


@pytest.fixture
def api_keys(sqlite_database: Database) -> ApiKeys:
    """The keys of the ledger that the application uses."""
    return ApiKeys(sqlite_database)


MakeKey = Callable[..., dict[str, str]]


@pytest.fixture
def bearer(api_keys: ApiKeys) -> MakeKey:
    """Makes a key with the given scopes and returns the header that carries it."""

    def make(*scopes: Scope) -> dict[str, str]:
        _, secret = api_keys.create("test", frozenset(scopes), None, now())
        return {"Authorization": f"Bearer {secret}"}

    return make
