"""A sender cannot tell a decline from an expiry: by no route, neither before nor after."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from sqlalchemy import delete, insert, select

from api.app import create_app
from api.delivering import Delivering
from api.settings import Settings
from api.wiring import Services, build
from engine.domain.clock import DAY, HOUR, SECOND
from engine.domain.events import FriendshipChanged
from engine.domain.pair_state import Floats
from engine.domain.ports import ModelRef, TieClass, TieScore
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import Gifting
from engine.housekeeping import Housekeeping
from engine.ledger import decisions, gifts, intake, tables
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.ledger.webhooks import Webhooks
from engine.relating import Relating

BEGIN = 20_500 * DAY + 12 * HOUR
"""Eight in the evening in Shanghai: a day on, the caps of the sending day are still of use."""
GRANT = frozenset(Scope) - {Scope.ADMIN}
ITEMS = {
    "coffee": {"price_fen": 900, "kind": "voucher", "tier": "basic", "brand": "bean"},
    "tea": {"price_fen": 900, "kind": "voucher", "tier": "basic", "brand": "leaf"},
    "last": {"price_fen": 900, "kind": "cake", "tier": "basic", "stock": 1},
    "watch": {"price_fen": 200_000, "kind": "watch", "tier": "goods", "stock": 2},
    "box": {"price_fen": 5_000, "kind": "cake", "tier": "goods"},
}
_RANDOM = re.compile(r"(gift|dec|wh)_[0-9a-f]{20,}|urn:lishang:request:[^\"]+")


class States:
    """A tie model that tells all it is shown: whatever a tie remembers changes its scores."""

    ref = ModelRef("ties", "1")

    def score(self, out: Floats, back: Floats, structure: Floats, at: int) -> list[TieScore]:
        weights = np.sqrt(np.arange(1, out.shape[1] + 1))
        told = np.abs(out @ weights) + 3 * np.abs(back @ weights) + 5 * structure.sum(axis=1)
        return [
            TieScore(float(x % 1), float(x % 7 / 7), TieClass.FRIEND, float(x % 3 - 1), float(x))
            for x in told
        ]


class Shelf:
    ties, gifts, offers = States(), None, None


class Receiver:
    """A caller's webhook that keeps what it is told."""

    def __init__(self) -> None:
        self.bodies: list[str] = []
        kept = self.bodies

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                kept.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> list[str]:
        until = time.monotonic() + 60
        while len(self.bodies) < count:
            assert time.monotonic() < until, f"{len(self.bodies)} of {count} were delivered"
            time.sleep(0.02)
        return self.bodies


class World:
    """One course of events, told as the sender's side hears of it."""

    def __init__(self, database: Database, home: Path) -> None:
        self.at = BEGIN
        self.database = database
        self._empty()
        url = database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
        made = build(Settings(database_url=url, home=home), lambda: self.at)
        assert isinstance(made, Services)
        policy, terms = GiftPolicy(made.policy, Shelf()), GiftTerms(made.policy)
        made.gifting.log.close()
        self.service = replace(
            made,
            gifting=Gifting(made.database, policy, terms),
            relating=Relating(made.database, policy, Shelf()),
            delivering=Delivering(Webhooks(database), made.feed, made.clock, poll=0.05),
            # Only `sweep` keeps house here, so that both worlds do so at the same instants.
            housekeeping=Housekeeping(database, made.moving, made.clock, interval=3_600),
        )
        self.client = create_app(Settings(log_level="error"), self.service).test_client()
        _, secret = ApiKeys(database).create("service", GRANT, None, self.at)
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.receiver = Receiver()
        Webhooks(database).add(self.receiver.url, (), self.at, insecure=True)
        self.told: list[Any] = []
        self._names: dict[str, str] = {}
        self._keys = 0

    def close(self) -> None:
        self.service.close()
        self.receiver.server.shutdown()
        self.receiver.server.server_close()

    def call(self, method: str, path: str, body: object = None, key: str | None = None) -> Any:
        headers = self.headers | ({} if key is None else {"Idempotency-Key": key})
        sent = {"json": body} if method == "POST" and body is not None else {}
        return self.client.open(path, method=method, headers=headers, **sent)

    def ask(self, method: str, path: str, body: object = None, key: str | None = None) -> Any:
        """Call, and keep the answer as something the sender's side was told."""
        answer = self.call(method, path, body, key)
        told = self.at, method, self._plain(path), answer.status_code, self._plain(answer.text)
        self.told.append(told)
        return answer.get_json()

    def send(self, item: str, relation: str = "friend", key: str | None = None) -> str:
        self._keys += 1
        self.at += 1  # what is due at one instant has no order in which it must be told
        body = {
            "sender": "an",
            "recipient": "bo",
            "item": item,
            "payment_ref": f"pay-{self._keys}",
            "relation": relation,
            "scene": "bulk_order" if relation == "company" else "chat",
        }
        return self.ask("POST", "/v1/gifts", body, key or f"key-{self._keys}")["gift"]

    def answer(self, gift: str, move: str, **more: str) -> None:
        """Let the recipient do something of which the sender's side hears nothing here."""
        done = self.call("POST", f"/v1/gifts/{gift}:{move}", {"person": "bo", **more})
        assert done.status_code == 200, done.text

    def imports(self, state: str) -> list[str]:
        """Let a gift of just now and one of almost a day ago come by an import."""
        made = {"imported-1": self.at, "imported-2": self.at - 20 * HOUR}
        with self.database.writing() as unit:
            for gift, at in made.items():
                row = {
                    "gift": gift,
                    "sender": "an",
                    "recipient": "bo",
                    "item": "tea",
                    "price_fen": 900,
                    "relation": "friend",
                    "scene": "chat",
                    "occasion": "none",
                    "state": state,
                    "origin": "imported",
                    "occurred_at": at,
                    "outcome_at": at + 1 if state == "declined" else None,
                    "recorded_at": self.at,
                }
                unit.execute(insert(tables.gifts).values(row))
        return [*made]

    def as_recipient(self, gift: str) -> str:
        return self.call("GET", f"/v1/gifts/{gift}?viewer=recipient").get_json()["state"]

    def sweep(self) -> None:
        self.service.housekeeping.once(self.at)

    def observe(self, sent: list[str]) -> None:
        """Ask everything that the sender's side can ask."""
        gift = {"sender": "an", "recipient": "bo"}
        for one in sent:
            self.ask("GET", f"/v1/gifts/{one}")
            # Whoever sends may try moves that are lawful only in other states.
            for move, body in (("refund", None), ("redeem", {}), ("redeem", {"code": "A"})):
                self.ask("POST", f"/v1/gifts/{one}:{move}", body)
            self.ask("POST", f"/v1/reviews/{one}", {"approve": False})
        items = [*ITEMS]
        checks = [
            self.ask("POST", "/v1/gifts/check", {**gift, "item": item, "explain": True})
            for item in items
        ]
        batch = {"gifts": [{**gift, "item": item} for item in items]}
        self.ask("POST", "/v1/gifts/check:batch", batch)
        pairs = [gift, {"sender": "bo", "recipient": "an"}]
        self.ask("POST", "/v1/ties/scores", {"pairs": pairs})
        self.ask("POST", "/v1/recommendations/gifts", gift)
        self.ask("GET", "/v1/reviews")
        page = self.ask("GET", "/v1/feed?limit=1000")
        self.told.append([self._plain(b) for b in self.receiver.wait_for(len(page["events"]))])
        # A send that goes through where there is room in the caps, and is denied where not.
        self.send("last")
        self.told.append(self._counted())
        for checked in checks:
            self._facts(checked["decision_id"])
        self.told.append(self._kept())

    def _counted(self) -> list[str]:
        """Return what everybody can read of the metrics that does not hang on how long things
        took."""
        numbers = self.call("GET", "/metrics").text.splitlines()
        told = (
            "lishang_requests_total",
            "lishang_request_seconds_count",
            "lishang_decisions_total",
            "lishang_gifts_swept_total",
        )
        return [number for number in numbers if number.startswith(told)]

    def _facts(self, decision: str) -> None:
        """Keep all facts that a decision rested on, more than anybody is told of it."""
        until = time.monotonic() + 60
        while True:
            with self.database.reading() as unit:
                found = decisions.find(unit, decision)
            if found is not None:
                self.told.append((decision[:3], dict(found.facts.values)))
                return
            assert time.monotonic() < until, f"{decision} is not recorded"
            time.sleep(0.01)

    def _kept(self) -> list[object]:
        """Return what the ledger keeps beside the gifts' own rows: the same in both worlds."""
        counters, ties, items = tables.counters, tables.ties, tables.items
        postings, outbox = tables.postings, tables.outbox
        with self.database.reading() as unit:
            rows = [
                unit.execute(select(counters).order_by(*counters.primary_key)).all(),
                unit.execute(select(ties).order_by(*ties.primary_key)).all(),
                unit.execute(select(items.c.item, items.c.stock).order_by(items.c.item)).all(),
                unit.execute(
                    select(outbox.c.gift, outbox.c.number, outbox.c.recorded_at).order_by(
                        outbox.c.seq
                    )
                ).all(),
                unit.execute(
                    select(
                        postings.c.gift,
                        postings.c.entry,
                        postings.c.account,
                        postings.c.fen,
                        postings.c.occurred_at,
                    )
                ).all(),
            ]
        # By the gifts' made names, which do not depend on chance.
        return [sorted(self._plain(str(tuple(row))) for row in some) for some in rows]

    def _plain(self, text: str) -> str:
        """Return `text` with random names replaced by the order in which they first came."""

        def name(found: re.Match[str]) -> str:
            kind = found.group(1) or "request"
            return self._names.setdefault(found.group(0), f"{kind}-{len(self._names)}")

        return _RANDOM.sub(name, text)

    def _empty(self) -> None:
        with self.database.writing() as unit:
            for table in reversed(tables.metadata.sorted_tables):
                unit.execute(delete(table))
            if self.database.is_sqlite:
                unit.exec_driver_sql("DELETE FROM sqlite_sequence")  # the feed begins anew
            for item, given in ITEMS.items():
                values = {
                    "item": item,
                    "name": item,
                    "category": "drinks",
                    "mechanics": "direct",
                    "relations": "friend,company",
                    "scenes": "chat,bulk_order",
                    "recorded_at": 0,
                }
                unit.execute(insert(tables.items).values(values | given))
            friends = [("an", "bo"), ("bo", "an")]
            told = [FriendshipChanged(f"{a}{b}", self.at - 9 * DAY, a, b, True) for a, b in friends]
            intake.receive(unit, told, self.at)


def _course(world: World, declines: bool) -> tuple[list[Any], list[str]]:
    """Let gifts be sent, some be declined or not, and the time go by; return all that was told,
    and the states that the recipient saw once the gifts were declined or not."""
    company = world.send("box", relation="company")
    watch = world.send("watch")
    for held in (company, watch):
        world.ask("POST", f"/v1/reviews/{held}", {"approve": True})
    coffee, swapped, last, kept = (world.send(i) for i in ("coffee", "tea", "last", "coffee"))
    due = BEGIN + 3 + 24 * HOUR  # of the coffee, which was sent third
    unanswered = world.send("coffee")
    left = [coffee, swapped, last, watch, company]
    everything = [*left, kept, unanswered]
    world.observe(everything)
    world.at += HOUR
    world.answer(swapped, "swap", item="coffee")
    world.answer(kept, "accept")
    for gift in left:
        if declines:
            world.answer(gift, "decline")
        else:
            # Something else that recipients do, and that their senders are not told of, too.
            world.answer(kept, "voucher")
    seen = [world.as_recipient(gift) for gift in left]
    everything += world.imports("declined" if declines else "sent")
    world.observe(everything)
    for instant in (
        BEGIN + 3 * HOUR,  # the last hour of the sending day
        due - 1,
        due,
    ):
        world.at = instant
        world.observe(everything)
    world.at += SECOND
    world.sweep()
    world.observe(everything)
    world.sweep()
    for later in (-2 * HOUR, -22 * HOUR, DAY, 31 * DAY):
        # The clock may be set back, even to the day on which the caps were taken.
        world.at = BEGIN + 24 * HOUR + later
        world.observe(everything)
    return world.told, seen


def test_gifts_due_at_one_instant_are_moved_in_an_order_that_no_decline_changes(
    database: Database, home: Path
) -> None:
    world = World(database, home)
    try:
        sent = []
        for _ in range(6):
            sent.append(world.send("coffee"))
            world.at -= 1
        for gift in sent[::2]:
            world.answer(gift, "decline")
        world.at += DAY
        with database.reading() as unit:
            due = gifts.due(unit, None, world.at + 1, 10)
        assert [gift for _, gift in due] == sorted(sent)
    finally:
        world.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"


def test_decline_and_expiry_are_told_alike_by_every_route_at_every_instant(
    database: Database, home: Path
) -> None:
    courses = []
    for declines in (True, False):
        world = World(database, home / str(declines))
        try:
            courses.append(_course(world, declines))
        finally:
            world.close()
    (declined, seen), (expired, seen_else) = courses
    # The worlds do differ: the recipient knows.
    assert (seen, seen_else) == (["declined"] * 5, ["sent"] * 5)
    assert len(declined) == len(expired)
    for one, other in zip(declined, expired, strict=True):
        assert one == other
    # And the routes did answer, also with refusals of what was tried.
    statuses = {status for _, _, _, status, _ in _answers(expired)}
    assert statuses >= {200, 201, 202, 409}
    kinds = [e["type"] for e in orjson.loads(_last_feed(expired))["events"]]
    assert kinds.count("gift.expired") >= 6


def _answers(told: list[Any]) -> list[tuple[int, str, str, int, str]]:
    return [step for step in told if isinstance(step, tuple) and len(step) == 5]


def _last_feed(told: list[Any]) -> str:
    return [text for _, _, path, _, text in _answers(told) if path.startswith("/v1/feed")][-1]
