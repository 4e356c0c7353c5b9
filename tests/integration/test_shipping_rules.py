"""A running server follows the stored versions: every worker, whole versions, whoever is killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from api.rulebook import POLL_SECONDS
from engine.domain.clock import now
from engine.domain.pack_life import Actor, PackState
from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.ledger.migration import migrate
from engine.shipping import Shipping

CHECKOUT = Path(__file__).parents[2]
ANN, BOB = Actor("k1", "ann"), Actor("k2", "bob")
GIFT = {"sender": "an", "recipient": "bo", "item": "coffee", "explain": True}
LIMIT = 90.0
"""How long a busy machine may take for what takes two seconds on an idle one."""
RESTLESS = (OSError, urllib.error.URLError, HTTPException, TimeoutError)
"""What a caller sees of a worker that is killed while it answers."""


@dataclass
class Town:
    """A served installation, its store and the versions shipped so far."""

    lishang: object
    client: object
    database: Database
    shipping: Shipping
    write: Callable[..., str]
    version: int = 1

    def prepare(self, **changed: str) -> int:
        """Publish the next version, in shadow and ready to be enforced."""
        self.version += 1
        self.shipping.publish({"f.yaml": self.write(self.version, **changed)}, ANN, now())
        self.shipping.attach_backtest("gift_send", self.version, '{"decisions":1}', ANN, now())
        self.shipping.shadow("gift_send", self.version, ANN, now())
        return self.version

    def enforced(self) -> str:
        """The hash of the one version that the store lets decide."""
        [one] = [
            version.ref.hash
            for version in self.shipping.versions("gift_send")
            if version.state is PackState.ENFORCED
        ]
        return one

    def decides(self) -> str | None:
        """The hash of the version that decided just now; None where a worker was killed."""
        with suppress(*RESTLESS):
            status, answer = self.client.post("/v1/gifts/check", GIFT)
            assert status == 200, answer
            return answer["explanation"]["hash"]
        return None

    def readiness(self) -> dict[str, object] | None:
        with suppress(*RESTLESS):
            _, answer = self.client.get("/readyz")
            return next(check for check in answer["checks"] if check["name"] == "rulebook")
        return None

    def pids(self) -> set[int]:
        """The processes of the workers."""
        mine = f"LISHANG_HOME={self.lishang.home}\0".encode()
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                spawned = b"multiprocessing.spawn" in (folder / "cmdline").read_bytes()
                if spawned and mine in (folder / "environ").read_bytes():
                    found.add(int(folder.name))
        return found

    def started(self) -> int:
        """How many workers ever began to answer."""
        return (self.lishang.home / "serve.log").read_text().count("Started worker")


@pytest.fixture(scope="module")
def town(install, small_pack, tmp_path_factory) -> Iterator[Town]:
    rules = tmp_path_factory.mktemp("shipping") / "rules"
    rules.mkdir()
    shutil.copy(CHECKOUT / "rules" / "reasons.yaml", rules)
    for decision in ("gift_send", "gift_settle", "offer_show"):
        (rules / f"{decision}.yaml").write_text(small_pack(decides=decision), encoding="utf-8")
    lishang = type(install("shipping"))(install("shipping").home, rules)
    database = Database(f"sqlite:///{lishang.home}/lishang.db")
    migrate(database)
    scopes = frozenset({Scope.GIFTS_CHECK, Scope.POLICY_READ})
    _, secret = ApiKeys(database).create("test", scopes, None, now())
    with database.writing() as unit:
        unit.execute(
            insert(tables.items).values(
                item="coffee",
                name="Coffee",
                price_fen=900,
                tier="basic",
                category="drinks",
                kind="voucher",
                mechanics="direct",
                relations="friend",
                scenes="chat",
                recorded_at=0,
            )
        )
    with lishang.serving(workers=2) as address:
        client = lishang.client(address, secret)
        yield Town(lishang, client, database, Shipping(database, rules), small_pack)
    database.close()


def settles(holds: Callable[[], bool | None], seconds: float = LIMIT) -> float | None:
    """How long it took until something held for every worker, and stayed; None if it did not.

    Two workers answer in no fixed order: it has to hold without a break for longer than the time
    between two looks at the store. None for an answer means that nobody answered.
    """
    begun = time.monotonic()
    since = None
    while since is not None or time.monotonic() < begun + seconds:
        held = holds()
        if held is False:
            since = None
        elif held and since is None:
            since = time.monotonic()
        elif since is not None and time.monotonic() > since + POLL_SECONDS + 0.6:
            return since - begun
        time.sleep(0.01)
    return None


def all_decide_by(town: Town, expected: str) -> bool:
    def holds() -> bool | None:
        found = town.decides()
        return None if found is None else found == expected

    return settles(holds) is not None


def test_version_is_shipped_by_command_and_followed_by_every_worker(
    town: Town, tmp_path: Path
) -> None:
    keys = ApiKeys(town.database)
    _, ann = keys.create("ann", frozenset({Scope.POLICY_WRITE}), None, now())
    _, bob = keys.create("bob", frozenset({Scope.POLICY_APPROVE}), None, now())
    old = town.enforced()
    assert all_decide_by(town, old)
    town.version += 1
    path = tmp_path / "next.yaml"
    path.write_text(town.write(town.version, fact="pair.two_way_friends"), encoding="utf-8")
    named = f"gift_send@{town.version}"
    town.lishang.run("rules", "publish", str(path), "--key", ann)
    town.lishang.run("rules", "backtest", named, "--key", ann)
    town.lishang.run("rules", "shadow", named, "--without-history", "--key", ann)
    assert all_decide_by(town, old)  # a shadow has no say
    town.lishang.run("rules", "enforce", named, "--key", bob)
    new = town.enforced()
    assert new != old
    assert all_decide_by(town, new)
    town.lishang.run("rules", "rollback", "gift_send", "--key", bob)
    assert town.enforced() == old
    assert all_decide_by(town, old)


def test_workers_answer_by_the_old_or_the_new_version_and_soon_by_the_new(town: Town) -> None:
    old = town.enforced()
    answers: list[str | None] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers.append(town.decides())

    asking = threading.Thread(target=ask)
    asking.start()
    town.shipping.enforce("gift_send", town.prepare(), BOB, now())
    new = town.enforced()
    assert all_decide_by(town, new)
    ended.set()
    asking.join()
    assert set(answers) == {old, new}


def test_worker_killed_while_a_version_is_enforced_leaves_all_on_one_whole_version(
    town: Town,
) -> None:
    chance = random.Random(3)
    started = town.started()
    allowed = {town.enforced(), None}
    survivors = town.pids()
    for _ in range(3):
        number = town.prepare()
        # Not the one that took a dead one's place just now: the server would see a crash loop.
        victim = chance.choice(sorted(survivors))
        survivors = town.pids() - {victim}
        moment = chance.uniform(-0.02, POLL_SECONDS)
        killer = threading.Timer(max(moment, 0), os.kill, (victim, signal.SIGKILL))
        killer.start()
        time.sleep(max(-moment, 0))
        town.shipping.enforce("gift_send", number, BOB, now())
        allowed.add(town.enforced())
        killer.join()
        started += 1
        until = time.monotonic() + LIMIT
        while town.started() < started:
            assert time.monotonic() < until, "no worker took the place of the one that was killed"
            assert town.decides() in allowed
            time.sleep(0.05)
    assert all_decide_by(town, town.enforced())


SHIP_ON_AND_ON = """
import sys
from pathlib import Path
from engine.domain.clock import now
from engine.domain.pack_life import Actor
from engine.ledger.database import Database
from engine.shipping import Shipping

url, rules, first, second = sys.argv[1:]
job = Shipping(Database(url), Path(rules))
print("begins", flush=True)
while True:
    for version in (int(first), int(second)):
        job.rollback("gift_send", Actor("k2", "bob"), now(), to=version)
"""


def test_publisher_killed_in_the_middle_leaves_the_store_whole(town: Town) -> None:
    older = town.version
    newer = town.prepare()
    town.shipping.enforce("gift_send", newer, BOB, now())
    url = f"sqlite:///{town.lishang.home}/lishang.db"
    chance = random.Random(5)
    for _ in range(2):
        now_at = 2 if town.shipping.find("gift_send", newer).state is PackState.ENFORCED else 1
        order = (older, newer) if now_at == 2 else (newer, older)
        publisher = subprocess.Popen(
            [sys.executable, "-c", SHIP_ON_AND_ON, url, str(town.lishang.rules), *map(str, order)],
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "begins\n"
        time.sleep(chance.uniform(0.2, 0.5))
        publisher.kill()
        publisher.wait()
        publisher.stdout.close()
        town.enforced()  # exactly one
        events = town.shipping.events()
        assert [event.revision for event in events] == list(range(1, len(events) + 1))
    assert all_decide_by(town, town.enforced())


def test_broken_version_replaces_nothing_on_any_worker_and_readyz_says_so(town: Town) -> None:
    good = town.enforced()
    with town.database.writing() as unit:
        for statement in (
            "INSERT INTO pack_versions (pack, version, decides, hash, body, state, effective_from, "
            "author, author_name, published_at, checks, enforced_at) VALUES ('gift_send', 900, "
            "'gift_send', 'h', 'no pack', 'enforced', 0, 'x', 'x', 0, '{}', 9000000000000000)",
            "INSERT INTO pack_events SELECT max(revision) + 1, 'gift_send', 900, 'enforced', 'x', "
            "'x', 0 FROM pack_events",
        ):
            unit.execute(text(statement))

    def told() -> bool | None:
        check = town.readiness()
        return None if check is None else "gift_send@900" in str(check["message"])

    assert settles(told) is not None
    assert all_decide_by(town, good)
    with town.database.writing() as unit:
        unit.execute(text("UPDATE pack_versions SET state = 'retired' WHERE version = 900"))
        unit.execute(
            text(
                "INSERT INTO pack_events SELECT max(revision) + 1, 'gift_send', 900, 'retired', "
                "'x', 'x', 0 FROM pack_events"
            )
        )

    def mended() -> bool | None:
        check = town.readiness()
        return None if check is None else bool(check["ok"])

    assert settles(mended) is not None
    assert all_decide_by(town, good)
