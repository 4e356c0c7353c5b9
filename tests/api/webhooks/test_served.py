"""The real server tells a webhook of every gift, also when its workers are killed meanwhile."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from engine.domain.clock import DAY, now
from engine.domain.events import FriendshipChanged
from engine.ledger import intake, tables
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.ledger.webhooks import Webhooks

CHECKOUT = Path(__file__).parents[3]
PAIRS = 8
ITEM = {
    "item": "coffee",
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


@dataclass
class Served:
    """A running server of two workers and a key for it."""

    process: subprocess.Popen[str]
    port: int
    secret: str

    def ask(self, path: str, body: dict[str, str] | None = None, key: str = "") -> str:
        headers = {"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            None if body is None else json.dumps(body).encode(),
            {**headers, "Idempotency-Key": key} if key else headers,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def ask_until_answered(self, path: str, body: dict[str, str] | None = None, key: str = "k"):
        """Ask again when a worker was killed over it: the key makes it the same request."""
        for _ in range(20):
            try:
                return self.ask(path, body, key)
            except OSError:
                continue
        raise AssertionError("never answered")

    def workers(self) -> list[int]:
        """The processes of the workers: those that the server's own group has spawned."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                spawned = b"spawn_main" in (folder / "cmdline").read_bytes()
                if spawned and os.getpgid(int(folder.name)) == self.process.pid:
                    found.append(int(folder.name))
        return found


@pytest.fixture
def served(database: Database, tmp_path: Path) -> Iterator[Served]:
    """On each database in turn: friends, a coffee and a server."""
    at = now()
    with database.writing() as unit:
        unit.execute(insert(tables.items).values(ITEM))
        for n in range(PAIRS):
            pairs = [(f"s{n}", f"r{n}"), (f"r{n}", f"s{n}")]
            told = [FriendshipChanged(f"{a}+{b}", at - DAY, a, b, True) for a, b in pairs]
            intake.receive(unit, told, at)
    _, secret = ApiKeys(database).create(
        "test", frozenset({Scope.GIFTS_SEND, Scope.GIFTS_ANSWER, Scope.FEED_READ}), None, at
    )
    url = database.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    env = os.environ | {
        "LISHANG_HOME": str(tmp_path / "home"),
        "LISHANG_DATABASE_URL": url,
        "LISHANG_LOG_LEVEL": "warning",
        "PORT": "0",
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(CHECKOUT),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "api", "serve", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "stderr").open("w"),
        text=True,
        env=env,
        cwd=CHECKOUT,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)$", process.stdout.readline().strip())
        assert found, (tmp_path / "stderr").read_text()
        yield Served(process, int(found[1]), secret)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.mark.slow
def test_served_webhook_is_told_every_gift_in_order_whoever_is_killed(
    served, database, receiver, wait_until
) -> None:
    def is_up() -> bool:
        try:
            return bool(served.ask("/healthz"))
        except OSError:
            return False

    wait_until(is_up)
    webhooks = Webhooks(database)
    _, secret = webhooks.add(receiver.url, [], now())
    gifts: list[str] = []
    for number in range(2 * PAIRS):
        one, other = f"s{number % PAIRS}", f"r{number % PAIRS}"
        asked = {
            "sender": one,
            "recipient": other,
            "item": "coffee",
            "payment_ref": f"pay-{number}",
        }
        gift = json.loads(served.ask_until_answered("/v1/gifts", asked, f"k{number}"))["gift"]
        gifts.append(gift)
        served.ask_until_answered(f"/v1/gifts/{gift}:accept", {"person": other}, f"a{number}")
        if number == PAIRS:
            receiver.wait_for(1)
            os.kill(served.workers()[0], signal.SIGKILL)
            # If that one held the lease it would run out in a minute: so it does now.
            with database.writing() as unit:
                unit.execute(update(tables.webhooks).values(leased_until=now()))
    expected = {gift: [1, 2] for gift in gifts}

    def told() -> dict[str, list[int]]:
        numbers: dict[str, list[int]] = defaultdict(list)
        for message in dict.fromkeys(receiver.messages):
            gift, _, number = message.rpartition("_")
            numbers[gift].append(int(number))
        return numbers

    wait_until(lambda: told() == expected)
    assert all(one.is_signed_with(secret) for one in receiver.received)
    page = json.loads(served.ask_until_answered("/v1/feed?limit=1000"))
    assert [event["id"] for event in page["events"]] == list(dict.fromkeys(receiver.messages))
    text = served.ask("/metrics")
    found = re.search(r'deliveries_total\{outcome="delivered",webhook="[^"]+"\} (\S+)', text)
    assert found
    assert float(found[1]) >= 1
    assert "lishang_webhook_lag_seconds " in text
