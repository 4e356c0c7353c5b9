"""A server that is told to end writes the decision of every check that it has answered."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest


@pytest.fixture
def lishang(tmp_path: Path, install):
    made = install("shutdown")
    items, friends = tmp_path / "items.csv", tmp_path / "friends.csv"
    items.write_text("item,price_fen\ncoffee,900\n")
    friends.write_text("person,friend\nan,bo\nbo,an\n")
    made.run("import", "--items", str(items), "--friendships", str(friends))
    return made


def _checked(lishang, address: str, secret: str, count: int) -> set[str]:
    client = lishang.client(address, secret)
    gift = {"sender": "an", "recipient": "bo", "item": "coffee"}

    def check(_: int) -> str:
        status, answer = client.post("/v1/gifts/check", gift)
        assert status == 200
        return answer["decision_id"]

    with ThreadPoolExecutor(8) as pool:
        return set(pool.map(check, range(count)))


def _recorded(lishang) -> set[str]:
    ledger = sqlite3.connect(lishang.home / "lishang.db")
    try:
        return {row[0] for row in ledger.execute("SELECT decision_id FROM decisions")}
    finally:
        ledger.close()


def test_server_ended_right_after_checks_has_written_them_all(lishang) -> None:
    secret = lishang.key()
    with lishang.serving(workers=2) as address:
        told = _checked(lishang, address, secret, 60)
    assert len(told) == 60
    assert told <= _recorded(lishang)


def test_server_ended_while_the_database_is_held_waits_and_writes(lishang) -> None:
    secret = lishang.key()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        other = sqlite3.connect(lishang.home / "lishang.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        held.set()
        release.wait(60)
        other.execute("ROLLBACK")
        other.close()

    holder = threading.Thread(target=hold)
    with lishang.serving() as address:
        holder.start()
        assert held.wait(30)
        told = _checked(lishang, address, secret, 20)
        assert not told & _recorded(lishang)
        # The server is told to end now; the database is let go only later.
        threading.Timer(2.0, release.set).start()
        began = time.monotonic()
    assert time.monotonic() - began >= 1.0
    holder.join(30)
    assert told <= _recorded(lishang)
