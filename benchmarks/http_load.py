"""A real server of our own under load from a lean client on the same machine."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.domain.errors import InvalidInput

Request = tuple[bytes, Callable[[bytes], bool]]
"""A body and what tells whether an answer to it is right."""

_PATIENCE = 60.0
"""Seconds that a server may take to answer at all."""
_CHECKED = 8
"""Every how many answers one is read through; of all the status and the length are."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a server answered under load."""

    rates: Sequence[float]
    """Requests a second, one for each run."""
    latencies_ms: Sequence[float]
    """Of every request."""
    answered: int
    """Requests, those before the first run included."""
    server_cpu_seconds: float
    """Of all workers, for one request: what another load on the machine moves least."""
    client_cpu_seconds: float
    """Of the client, for one request."""

    @property
    def rate(self) -> float:
        """The median of the runs."""
        return statistics.median(self.rates)

    def latency_ms(self, share: float) -> float:
        """Return the latency that the given share of requests stays within."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs in processes of its own."""

    process: subprocess.Popen[str]
    port: int
    workers: int

    @staticmethod
    @contextmanager
    def started(
        command: Sequence[str], folder: Path, workers: int, database_url: str = ""
    ) -> Iterator[Server]:
        """Run a server whose first line of output ends in its address; end it at the end.

        Without `database_url` its ledger is a file in `folder`.

        Raises
        ------
        InvalidInput
            If it does not start.
        """
        env = os.environ | {
            "LISHANG_HOME": str(folder),
            "LISHANG_DATABASE_URL": database_url,
            "PORT": "0",
        }
        with (folder / "server.log").open("w") as log:
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=env,
                start_new_session=True,
            )
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip().rpartition(":")[2]
            if not port.isdigit():
                raise InvalidInput("the server did not start", (folder / "server.log").read_text())
            server = Server(process, int(port), workers)
            server.wait(folder / "server.log")
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=_PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def wait(self, log: Path) -> None:
        """Return as soon as every worker has taken a connection.

        Raises
        ------
        InvalidInput
            If they do not; tells the end of the server's `log`.
        """
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                for connection in self.connect(self.workers):
                    connection.close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise InvalidInput("the server does not answer", log.read_text()[-2_000:])

    def cpu_seconds(self) -> float:
        """Return how much processor time the workers have used so far."""
        ticks = 0
        for pid in _processes(self.process.pid):
            # After the name in parentheses: state, parent, …, 11: user ticks, 12: system ticks.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def connect(self, count: int) -> list[Connection]:
        """Return connections of which every worker has its even share.

        The system spreads connections at random: two of two on one worker would measure one core.
        """
        held: dict[int, list[Connection]] = {}
        share = count // self.workers
        for _ in range(200):
            connection = Connection(self.port)
            connection.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            mine = held.setdefault(self._worker_of(connection), [])
            if len(mine) < share:
                mine.append(connection)
            else:
                connection.close()
            if sum(map(len, held.values())) == share * self.workers:
                return [one for some in held.values() for one in some]
        raise ConnectionError("some workers take no connection")

    def _worker_of(self, connection: Connection) -> int:
        inode = _inode(self.port, connection.local_port)
        for pid in _processes(self.process.pid):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                try:
                    if entry.readlink() == Path(f"socket:[{inode}]"):
                        return pid
                except OSError:
                    continue
        raise ConnectionError("no worker holds this connection")


class Connection:
    """A connection that is kept: bytes out, one answer in."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(1 << 20)

    @property
    def socket(self) -> socket.socket:
        """What the system calls it."""
        return self._socket

    @property
    def local_port(self) -> int:
        """The port on this side."""
        return int(self._socket.getsockname()[1])

    def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Send a whole request; return the head and the body of the answer."""
        self._socket.sendall(request)
        view, filled, end = memoryview(self._buffer), 0, -1
        while end < 0:
            filled += self._received(view[filled:])
            end = self._buffer.find(b"\r\n\r\n", 0, filled)
        head = bytes(self._buffer[:end]).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        whole = end + 4 + length
        if whole > len(self._buffer):
            self._buffer = self._buffer + bytearray(whole - len(self._buffer))
            view = memoryview(self._buffer)
        while filled < whole:
            filled += self._received(view[filled:whole])
        return head, bytes(view[end + 4 : whole])

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _received(self, into: memoryview) -> int:
        count = self._socket.recv_into(into)
        if count == 0:
            raise ConnectionError("the server closed the connection")
        return count


def post(path: str, body: bytes, secret: str, *headers: str) -> bytes:
    """Return a whole request that posts JSON."""
    more = "".join(f"{header}\r\n" for header in headers)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {secret}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


def get(path: str, secret: str) -> bytes:
    """Return a whole request that asks for what stands there."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n".encode()


def load(
    server: Server,
    path: str,
    requests: Sequence[Request],
    secret: str,
    runs: int,
    seconds: float,
) -> Load:
    """Ask over one connection for each request, each as fast as it is answered.

    Raises
    ------
    InvalidInput
        If any answer is not as expected.
    """
    connections = server.connect(len(requests))
    rates: list[float] = []
    latencies: list[float] = []
    answered = 0
    spent: list[float] = []
    for run in range(runs + 1):  # the first warms up and does not count
        if run < 2:
            spent = [server.cpu_seconds(), time.process_time()]
        took: list[list[float]] = [[] for _ in connections]
        wrong: list[str] = []
        begun = time.perf_counter()
        threads = [
            threading.Thread(
                target=_ask_until,
                args=(connection, path, request, secret, begun + seconds, mine, wrong),
            )
            for connection, request, mine in zip(connections, requests, took, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - begun
        if wrong:
            raise InvalidInput(f"an answer was wrong: {wrong[0]}", "see the server's log")
        counted = [ms for mine in took for ms in mine]
        answered += len(counted)
        if run:
            rates.append(len(counted) / elapsed)
            latencies += counted
    for connection in connections:
        connection.close()
    server_spent = server.cpu_seconds() - spent[0]
    client_spent = time.process_time() - spent[1]
    measured = len(latencies)
    return Load(rates, latencies, answered, server_spent / measured, client_spent / measured)


def _ask_until(
    connection: Connection,
    path: str,
    request: Request,
    secret: str,
    end: float,
    took: list[float],
    wrong: list[str],
) -> None:
    body, holds = request
    whole = post(path, body, secret)
    try:
        while (begun := time.perf_counter()) < end and not wrong:
            head, answer = connection.ask(whole)
            took.append((time.perf_counter() - begun) * 1_000)
            read_through = len(took) % _CHECKED == 1
            if not head.startswith(b"http/1.1 200") or (read_through and not holds(answer)):
                wrong.append(repr(head[:40] + answer[:400]))
    except OSError as error:
        wrong.append(repr(error))


def _inode(port: int, peer: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[2].endswith(f":{peer:04X}"):
            return fields[9]
    raise ConnectionError("the system knows nothing of this connection")


def _processes(parent: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # After the name in parentheses: state, parent.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                yield int(entry.name)
