"""An application with a few routes of its own, the wired one, and keys to call them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import g
from flask.testing import FlaskClient
from pydantic import Field
from sqlalchemy import delete, insert, select
from werkzeug.test import TestResponse

from api.app import Lishang, create_app
from api.auth import public, requires
from api.limits import body_limit
from api.openapi import Resource
from api.schemas.base import Answer, Body, Id, Instant, Parameters
from api.settings import Settings
from api.wiring import Services, Shell, build
from engine.domain import errors
from engine.domain.clock import DAY, HOUR, now
from engine.domain.events import FriendshipChanged
from engine.ledger import intake, tables
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
def every_line_logged() -> Iterator[None]:
    """An application that another test made may have been told to log errors only."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


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


NOON = 20_500 * DAY + 4 * HOUR
"""Noon in Shanghai on some day on which the shipped rules are in effect."""

GOODS = {
    "name": "Something",
    "price_fen": 900,
    "tier": "basic",
    "category": "food",
    "kind": "cake",
    "mechanics": "direct",
    "relations": "friend",
    "scenes": "chat",
    "recorded_at": 0,
}


MOVED = (
    tables.gifts,
    tables.counters,
    tables.items,
    tables.postings,
    tables.outbox,
    tables.vouchers,
    tables.reviews,
    tables.ties,
)
"""What a move may write, beside decisions and answers to retries."""


class Counter:
    """The wired service behind its routes, a clock to put forward, and a key for everything."""

    def __init__(self, database: Database, home: Path) -> None:
        url = database.engine.url.render_as_string(hide_password=False)
        self.at, self.database = NOON, database
        settings = Settings(home=home, database_url=url.replace("+psycopg", ""))
        service = build(settings, lambda: self.at)
        assert isinstance(service, Services)
        self.service = service
        self.app = create_app(settings, service)
        self.client = self.app.test_client()
        self.everything = self.bearer(*(set(Scope) - {Scope.ADMIN}))
        self._keys = count()
        people = [("an", "bo"), ("bo", "an"), ("an", "cy"), ("cy", "an")]
        with database.writing() as unit:
            intake.receive(
                unit,
                [FriendshipChanged(f"{a}+{b}", NOON - 9 * DAY, a, b, True) for a, b in people],
                NOON,
            )

    def begin(self) -> None:
        """Forget every gift, and put the clock and the goods back."""
        self.at = NOON
        with self.database.writing() as unit:
            for table in (*MOVED, tables.decisions, tables.idempotency):
                unit.execute(delete(table))
            for item, changed in {
                "cake": {"brand": "bakery"},
                "tart": {},
                "coffee": {"kind": "voucher"},
                "watch": {"kind": "watch", "tier": "goods", "price_fen": 200_000},
            }.items():
                row = {**GOODS, "item": item, **changed}
                unit.execute(insert(tables.items).values(row))

    def bearer(self, *scopes: Scope) -> dict[str, str]:
        """The header of a new key with these scopes."""
        _, secret = ApiKeys(self.database).create("ann", frozenset(scopes), None, now())
        return {"Authorization": f"Bearer {secret}"}

    def send(self, item: str = "cake", recipient: str = "bo") -> str:
        """Send a gift that the rules let pass or hold, and return its id."""
        key = f"send-{next(self._keys)}"
        body = {"sender": "an", "recipient": recipient, "item": item, "payment_ref": key}
        told = self.client.post(
            "/v1/gifts", json=body, headers={**self.everything, "Idempotency-Key": key}
        )
        assert told.status_code in {201, 202}, told.get_data()
        return str(told.get_json()["gift"])

    def move(
        self, gift: str, move: str, key: str | None = None, auth: Any = None, **body: Any
    ) -> TestResponse:
        """Post to a move's route; who answers is `bo` unless the body says otherwise."""
        headers = dict(auth or self.everything)
        if key is not None:
            headers["Idempotency-Key"] = key
        if move in {"approve", "reject"}:
            decision = {"approve": move == "approve"}
            return self.client.post(f"/v1/reviews/{gift}", json=decision, headers=headers)
        told: dict[str, Any] = {"person": "bo", **body}
        if move == "swap":
            told = {"item": "tart", **told}
        if move in {"redeem", "refund"}:
            told = {"code": None, **body} if move == "redeem" else {}
        return self.client.post(f"/v1/gifts/{gift}:{move}", json=told, headers=headers)

    def done(self, gift: str, move: str, **told: Any) -> Any:
        """Make a move that must succeed and return its answer."""
        answer = self.move(gift, move, **told)
        assert answer.status_code == 200, answer.get_data()
        return answer.get_json()

    def view(self, gift: str, viewer: str) -> Any:
        """What one side sees of a gift."""
        return self.client.get(
            f"/v1/gifts/{gift}?viewer={viewer}", headers=self.everything
        ).get_json(force=True)

    def sweep(self) -> None:
        """Let everything end whose time is over."""
        self.service.moving.expire_due(self.at)

    def kept(self) -> dict[str, list[tuple[Any, ...]]]:
        """What is in these tables now."""
        found = {}
        with self.database.reading() as unit:
            for table in MOVED:
                # Places in the feed are given in the background.
                columns = [column for column in table.columns if column.name != "position"]
                rows = unit.execute(select(*columns)).all()
                found[table.name] = sorted(tuple(row) for row in rows)
        return found


@pytest.fixture(scope="module")
def shared_counter(
    shared_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counter]:
    """The wired service for a module's tests, on each database in turn."""
    made = Counter(shared_database, tmp_path_factory.mktemp("home"))
    yield made
    made.service.close()


@pytest.fixture
def counter(shared_counter: Counter) -> Counter:
    """The wired service without any gift: friends, goods of one price, and a watch."""
    shared_counter.begin()
    return shared_counter
