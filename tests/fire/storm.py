"""64 clients that ask a real server at once, each over a connection that it keeps."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

CLIENTS = 64
PATIENCE = 120.0
"""Seconds for which a call is repeated until it is answered."""
_PAUSE = 0.05


@dataclass(frozen=True)
class Call:
    """One thing that is asked, under a key of its own where it may be asked again."""

    path: str
    body: dict[str, Any]
    key: str | None = None
    method: str = "POST"
    about: str = ""
    """What the test that made it calls it."""


@dataclass(frozen=True)
class Told:
    """What came of a call: the last answer, and how often there was none before it."""

    call: Call
    status: int
    body: dict[str, Any]
    refused: tuple[tuple[int, str], ...] = ()
    """Status and code of every refusal that asked to come back later."""
    broken: tuple[str, ...] = ()
    """How each connection ended that ended before an answer came."""


@dataclass
class Storm:
    """Asks one server; what a call is refused for the moment (503) is asked again."""

    port: int
    secret: str
    patient: bool = True
    """Whether a call is repeated at all."""
    seen: list[Told] = field(default_factory=list)
    """Everything that was told, in the order in which it came."""

    def run(
        self,
        calls: Sequence[Call],
        clients: int = CLIENTS,
        meanwhile: Callable[[], None] | None = None,
    ) -> list[Told]:
        """Make all `calls`, in their order but `clients` at a time; return what each was told.

        `meanwhile` runs beside them in the calling thread.
        """
        told: list[Told | None] = [None] * len(calls)
        turns = itertools.count()
        failures: list[BaseException] = []

        def serve() -> None:
            client = _Client(self.port, self.secret, self.patient)
            try:
                while (turn := next(turns)) < len(calls) and not failures:
                    told[turn] = client.ask(calls[turn])
                    self.seen.append(told[turn])
            except BaseException as failure:  # told by the thread that waits for all
                failures.append(failure)
            finally:
                client.close()

        threads = [threading.Thread(target=serve) for _ in range(min(clients, len(calls)))]
        for thread in threads:
            thread.start()
        try:
            if meanwhile is not None:
                meanwhile()
        finally:
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        return [one for one in told if one is not None]

    def besiege(
        self,
        course: Callable[[Callable[[Call], Told]], None],
        meanwhile: Callable[[], None],
        clients: int = 16,
    ) -> int:
        """Let clients run courses, each to its end, until `meanwhile` is over; return how many.

        A course is given what asks for it; whatever a client is told is kept in `seen`.
        """
        over = threading.Event()
        failures: list[BaseException] = []
        ended = itertools.count()

        def serve() -> None:
            client = _Client(self.port, self.secret, self.patient)

            def ask(call: Call) -> Told:
                told = client.ask(call)
                self.seen.append(told)
                return told

            try:
                while not over.is_set():
                    course(ask)
                    next(ended)
            except BaseException as failure:  # told by the thread that waits for all
                failures.append(failure)
                over.set()
            finally:
                client.close()

        threads = [threading.Thread(target=serve) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            meanwhile()
        finally:
            over.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]
        return next(ended)

    def ask(self, call: Call) -> Told:
        """Make one call."""
        return self.run([call], 1)[0]


class _Client:
    def __init__(self, port: int, secret: str, patient: bool) -> None:
        self._port = port
        self._headers = {
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/json",
        }
        self._patient = patient
        self._connection: HTTPConnection | None = None

    def ask(self, call: Call) -> Told:
        until = time.monotonic() + PATIENCE
        refused: list[tuple[int, str]] = []
        broken: list[str] = []
        while True:
            try:
                status, body = self._once(call)
            except (OSError, HTTPException) as error:
                self.close()
                broken.append(repr(error))
                # Nobody knows what became of it: only its key makes it safe to ask again.
                if call.method != "GET" and call.key is None:
                    return Told(call, 0, {}, tuple(refused), tuple(broken))
            else:
                if status != 503 or not self._patient:
                    return Told(call, status, body, tuple(refused), tuple(broken))
                refused.append((status, str(body.get("code"))))
            if time.monotonic() > until:
                raise TimeoutError(f"no answer to {call}: {refused[-3:]}, {broken[-3:]}")
            time.sleep(_PAUSE)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, call: Call) -> tuple[int, dict[str, Any]]:
        if self._connection is None:
            self._connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        key = {} if call.key is None else {"Idempotency-Key": call.key}
        body = None if call.method == "GET" else json.dumps(call.body)
        self._connection.request(call.method, call.path, body, {**self._headers, **key})
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else {}
