"""Sends, checks and batches over HTTP against the real server, beside a bare route."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.http_load import Server
from benchmarks.ledger import bare_check
from benchmarks.ledger.asking import SCOPES, batches, checks, sends
from benchmarks.ledger.clients import Asked, Clients, Driven
from benchmarks.ledger.ledgers import Ledgers
from engine.domain.clock import now
from engine.domain.errors import InvalidInput
from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys

SEND, CHECK, ECHO, BATCH = "send", "check", "echo", "batch"
BATCH_CLIENTS = 2


@dataclass(frozen=True, slots=True)
class HttpSizes:
    """What is asked, and how much."""

    kinds: Sequence[str]
    clients: Sequence[int]
    seconds: float
    workers: int
    people: int
    batch: int


class OverHttp:
    """A server on a ledger of its own, a bare one beside it, and the same client for both."""

    def __init__(self, servers: Mapping[str, Server], url: str, sizes: HttpSizes) -> None:
        self._servers = servers
        self._sizes = sizes
        self._database = Database(url)
        _, secret = ApiKeys(self._database).create("benchmark", SCOPES, None, now())
        people = sizes.people
        self._asked: dict[str, Iterator[Asked]] = {
            SEND: sends(secret, people),
            CHECK: checks(secret, people),
            ECHO: checks(secret, people),
        }
        if BATCH in sizes.kinds:
            self._asked[BATCH] = batches(secret, people, sizes.batch)
        self.found: dict[tuple[str, int], list[Driven]] = defaultdict(list)

    @staticmethod
    @contextmanager
    def started(ledgers: Ledgers, folder: Path, sizes: HttpSizes) -> Iterator[OverHttp]:
        """Start both servers; when they have ended, hold what was answered against the ledger.

        Raises
        ------
        InvalidInput
            If the ledger holds more or less than was answered.
        """
        url = ledgers.copy("served")
        with ExitStack() as until_the_end:
            home, bare = folder / "home", folder / "bare"
            home.mkdir()
            command = [sys.executable, "-m", "api", "serve", f"--workers={sizes.workers}"]
            server = Server.started(command, home, sizes.workers, url)
            servers = dict.fromkeys(sizes.kinds, until_the_end.enter_context(server))
            if ECHO in servers:
                bare.mkdir()
                command = [sys.executable, "-m", bare_check.__name__, str(sizes.workers)]
                server = Server.started(command, bare, sizes.workers)
                servers[ECHO] = until_the_end.enter_context(server)
            over = OverHttp(servers, url, sizes)
            yield over
        over.require_all_recorded()

    def round(self) -> None:
        """Ask each kind of question for a while with every number of clients, one by one."""
        for clients in self._sizes.clients:
            for kind in self._sizes.kinds:
                if kind != BATCH:
                    self._drive(kind, clients)
        if BATCH in self._sizes.kinds:
            self._drive(BATCH, BATCH_CLIENTS)

    def _drive(self, kind: str, count: int) -> None:
        clients = Clients(self._servers[kind], count)
        try:
            found = clients.drive(self._asked[kind], self._sizes.seconds)
        finally:
            clients.close()
        self.found[kind, count].append(found)

    def require_all_recorded(self) -> None:
        """Do nothing if the ledger holds exactly what was answered.

        Raises
        ------
        InvalidInput
            If not.
        """
        answered: Counter[str] = Counter()
        for (kind, _), found in self.found.items():
            answered[kind] += sum(one.answered for one in found)
        gifts, decisions = tables.gifts, tables.decisions
        with self._database.reading() as connection:
            sent = connection.execute(select(func.count()).select_from(gifts)).scalar_one()
            counted = select(func.count()).where(decisions.c.purpose == "check")
            checked = connection.execute(counted).scalar_one()
        self._database.close()
        expected = answered[CHECK] + answered[BATCH] * self._sizes.batch
        if (sent, checked) != (answered[SEND], expected):
            raise InvalidInput(
                f"answered were {answered[SEND]} sends and {expected} checks,"
                f" recorded are {sent} and {checked}"
            )
