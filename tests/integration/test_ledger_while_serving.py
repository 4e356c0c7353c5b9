"""Audit, backup and restore of a ledger that a real server answers from all the while."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from engine.domain.clock import now
from engine.ledger import tables
from engine.ledger.audit import audit
from engine.ledger.backup_restore import restore
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.ledger.migration import migrate

ROOT = Path(__file__).parents[2]
CLIENTS = 4
PEOPLE, FRIENDS = 600, 10
"""Each is friends with those who come next: enough for ten gifts a day from each of them."""
PAUSE_SECONDS = 0.05
ITEM = {
    "name": "Cake",
    "price_fen": 900,
    "tier": "basic",
    "category": "food",
    "kind": "cake",
    "mechanics": "direct",
    "relations": "friend",
    "scenes": "chat",
    "recorded_at": 0,
}


class Served:
    """A real server on a ledger, and the command beside it."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.database = database
        url = database.engine.url.set(drivername=database.engine.dialect.name)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LISHANG_")}
        self._env = inherited | {
            "LISHANG_HOME": str(folder),
            "LISHANG_DATABASE_URL": url.render_as_string(hide_password=False),
            "PYTHONPATH": str(ROOT),
        }
        scopes = frozenset({Scope.GIFTS_CHECK, Scope.GIFTS_SEND})
        _, self._secret = ApiKeys(database).create("test", scopes, None, now())
        self._log = (folder / "serve.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "api", "serve", "--port", "0", "--workers", "2"],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().split()[-1]
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"{self.address}/readyz", timeout=5):
                break
            time.sleep(0.1)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "api", *arguments],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def post(self, path: str, body: object, key: str = "") -> tuple[int, dict[str, object]]:
        request = urllib.request.Request(
            self.address + path,
            method="POST",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._secret}",
                "Content-Type": "application/json",
                **({"Idempotency-Key": key} if key else {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


class Load:
    """Clients that check and send all the while, and what they were answered."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self.answers: list[tuple[float, float, int, str | None]] = []
        """When asked, when answered, the status and the gift."""
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def await_sent(self, gifts: int) -> None:
        """Wait until that many more gifts are sent."""
        wanted = len(self._sent()) + gifts
        until = time.monotonic() + 120
        while len(self._sent()) < wanted:
            assert time.monotonic() < until, self.answers[-5:]
            time.sleep(0.02)

    def _sent(self) -> list[str]:
        return [gift for _, _, status, gift in self.answers if status < 300 and gift]

    def _ask(self) -> None:
        while not self._stopping.is_set():
            n = next(self._numbers)
            sender = n % PEOPLE
            body = {
                "sender": f"p{sender}",
                "recipient": f"p{(sender + 1 + n // PEOPLE % FRIENDS) % PEOPLE}",
                "item": "cake",
            }
            asked, gift = time.monotonic(), None
            if n % 3 == 0:
                status, _ = self._served.post("/v1/gifts/check", body)
            else:
                paid = {**body, "payment_ref": f"pay-{n}"}
                status, told = self._served.post("/v1/gifts", paid, f"key-{n}")
                gift = told.get("gift")
            self.answers.append((asked, time.monotonic(), status, str(gift) if gift else None))
            time.sleep(PAUSE_SECONDS)


@pytest.fixture
def served(database: Database, tmp_path: Path) -> Iterator[Served]:
    """A server on each database in turn, and friends."""
    pairs = [(a, (a + 1 + n) % PEOPLE) for a in range(PEOPLE) for n in range(FRIENDS)]
    with database.writing() as unit:
        unit.execute(insert(tables.items).values({**ITEM, "item": "cake"}))
        unit.execute(
            insert(tables.friendships),
            [
                {"person": f"p{a}", "friend": f"p{b}", "since": 0, "recorded_at": 0}
                for a, b in (*pairs, *[(b, a) for a, b in pairs])
            ],
        )
    running = Served(tmp_path, database)
    yield running
    running.close()


def _gifts(database: Database) -> set[str]:
    with database.reading() as unit:
        return set(unit.execute(select(tables.gifts.c.gift)).scalars())


def test_ledger_is_audited_saved_and_replaced_while_it_is_served(
    served: Served, tmp_path: Path
) -> None:
    saved = tmp_path / "saved.zip"
    with Load(served) as load:
        load.await_sent(20)
        audited = served.run("ledger", "audit", "--json")
        assert audited.returncode == 0, audited.stdout + audited.stderr
        assert json.loads(audited.stdout)["figures"]["gifts"] >= 20
        done = served.run("ledger", "backup", str(saved))
        assert done.returncode == 0, done.stderr
        assert "only its owner" in done.stderr
        load.await_sent(20)
        refused = served.run("ledger", "restore", str(saved))
        assert refused.returncode == 2
        assert "--replace" in refused.stderr
        began = time.monotonic()
        done = served.run("ledger", "restore", str(saved), "--replace")
        assert done.returncode == 0, done.stderr
        ended = time.monotonic()
        load.await_sent(20)
    assert {status for _, _, status, _ in load.answers} <= {200, 201, 503}
    there = _gifts(served.database)
    after = {gift for asked, _, status, gift in load.answers if status < 300 and asked > ended}
    assert after - {None} <= there
    lost = {g for _, _, status, g in load.answers if status < 300 and g is not None} - there
    assert lost  # what was sent between the backup and the restore
    assert all(asked < ended for asked, _, _, gift in load.answers if gift in lost)
    with served.database.reading(snapshot=True) as unit:
        assert audit(unit, now()).first == ()
    # The backup itself is whole, on a ledger of its own.
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    migrate(other)
    restore(other, saved, replace=False)
    with other.reading(snapshot=True) as unit:
        assert audit(unit, now()).first == ()
    before = {gift for _, answered, _, gift in load.answers if gift in there and answered < began}
    assert before <= _gifts(other) <= there
    other.close()
