"""Many kept connections driven from one thread: lean enough not to be what is measured."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

from benchmarks.http_load import Connection, Server
from engine.domain.errors import InvalidInput

_PATIENCE = 60.0
_PART = 1 << 18


@dataclass(frozen=True, slots=True)
class Asked:
    """A whole request, and what tells from status and body whether its answer is right."""

    request: bytes
    holds: Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True)
class Driven:
    """What was answered within a while."""

    answered: int
    seconds: float
    latencies_ms: list[float]
    client_cpu_seconds: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.answered / self.seconds


def percentile(latencies: list[float], share: float) -> float:
    """Return the latency that the given share of requests stays within."""
    ordered = sorted(latencies)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


class Clients:
    """So many connections to a server, every worker having its even share of them.

    A single one goes to whichever worker the system chooses.
    """

    def __init__(self, server: Server, count: int) -> None:
        even = count // server.workers * server.workers
        self._connections = server.connect(even) if even else []
        self._connections += [Connection(server.port) for _ in range(count - even)]
        self._sockets = {one.socket.fileno(): one.socket for one in self._connections}

    def drive(self, asked: Iterator[Asked], seconds: float) -> Driven:
        """Ask over every connection as fast as it answers, for so many seconds.

        Every answer is read through and judged. What is under way at the end is waited for.

        Raises
        ------
        InvalidInput
            If an answer is wrong, or nothing is left to ask.
        """
        poll = select.epoll()
        under_way: dict[int, tuple[float, Asked]] = {}
        received: dict[int, bytes] = {}
        latencies: list[float] = []
        clock = time.perf_counter
        cpu, begun = time.process_time(), clock()
        end = begun + seconds

        def ask(descriptor: int, connection: socket.socket) -> None:
            following = next(asked, None)
            if following is None:
                raise InvalidInput("nothing is left to ask", "give the benchmark more people")
            under_way[descriptor] = clock(), following
            connection.sendall(following.request)

        try:
            for descriptor, connection in self._sockets.items():
                poll.register(descriptor, select.EPOLLIN)
                ask(descriptor, connection)
            while under_way:
                ready = poll.poll(_PATIENCE)
                if not ready:
                    raise InvalidInput("the server fell silent", "see its log")
                for descriptor, _ in ready:
                    connection = self._sockets[descriptor]
                    answer = received.pop(descriptor, b"") + connection.recv(_PART)
                    told = _told(answer)
                    if told is None:
                        received[descriptor] = answer
                        continue
                    at, question = under_way.pop(descriptor)
                    now = clock()
                    latencies.append((now - at) * 1_000)
                    if not question.holds(*told):
                        raise InvalidInput(f"an answer was wrong: {answer[:600]!r}")
                    if now < end:
                        ask(descriptor, connection)
        finally:
            poll.close()
        return Driven(len(latencies), clock() - begun, latencies, time.process_time() - cpu)

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.close()


def _told(answer: bytes) -> tuple[bytes, bytes] | None:
    """Return the status and the body of an answer; None while a part of it is missing."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        if not answer:
            raise InvalidInput("the server closed a connection", "see its log")
        return None
    head = answer[:end].lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    if len(answer) < end + 4 + length:
        return None
    return answer[9:12], answer[end + 4 :]
