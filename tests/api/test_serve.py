"""The real server: drained at the end, bounded, counted over its workers, closed to ended keys."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from api.limits import DEFAULT_BODY
from engine.domain.clock import now
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.ledger.migration import migrate

ROOT = Path(__file__).resolve().parents[2]

APPLICATION = '''
import os, time
from api.app import Lishang, create_app
from api.wiring import Shell
from api.auth import public, requires
from api.openapi import Resource
from api.schemas.base import Answer, Body, Id
from api.settings import Settings
from engine.ledger.database import Database
from engine.ledger.keys import Scope


class Said(Body):
    name: Id


class Pid(Answer):
    pid: int


def create(settings: Settings) -> Lishang:
    app = create_app(settings, Shell(Database(settings.database_url)))
    api = Resource("test", __name__, url_prefix="/test")

    @api.get("/slow")
    @public
    def slow() -> Pid:
        """Take a while."""
        open(os.environ["SLOW_STARTED"], "w").close()
        time.sleep(1.0)
        return Pid(pid=os.getpid())

    @api.get("/pid")
    @public
    def pid() -> Pid:
        """Say which worker answers."""
        return Pid(pid=os.getpid())

    @api.post("/echo")
    @requires(Scope.GIFTS_CHECK)
    def echo(body: Said) -> Pid:
        """Read a body."""
        return Pid(pid=os.getpid())

    app.register_api(api)
    return app
'''


@dataclass
class Running:
    """A server of our own."""

    process: subprocess.Popen[str]
    port: int
    folder: Path
    keys: ApiKeys

    def ask(
        self, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Ask on a connection of its own, so that any worker may answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            method = "GET" if body is None else "POST"
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def pids(self) -> set[int]:
        """Ask often enough that every worker has answered."""
        found: set[int] = set()
        for _ in range(60):
            status, body = self.ask("/test/pid")
            assert status == 200
            found.add(json.loads(body)["pid"])
        return found

    def log(self) -> str:
        return (self.folder / "stderr").read_text()


@contextmanager
def _serving(folder: Path, workers: int) -> Iterator[Running]:
    (folder / "slow_application.py").write_text(APPLICATION)
    database = Database(f"sqlite:///{folder}/lishang.db")
    migrate(database)
    script = (
        "import os; from api.serving import serve; from api.settings import Settings\n"
        f"serve(Settings.from_env(os.environ), workers={workers},"
        " application='slow_application:create', announce=lambda a: print(a, flush=True))"
    )
    env = os.environ | {
        "LISHANG_HOME": str(folder),
        "LISHANG_DATABASE_URL": "",
        "PORT": "0",
        "TMPDIR": str(folder),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "SLOW_STARTED": str(folder / "started"),
    }
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=env,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)", address)
        assert found, (folder / "stderr").read_text()
        running = Running(process, int(found[1]), folder, ApiKeys(database))
        _wait_until(lambda: _answers(running), 60)
        yield running
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        database.close()


def _answers(running: Running) -> bool:
    try:
        return running.ask("/healthz")[0] == 200
    except OSError:
        return False


def _wait_until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two workers."""
    with _serving(tmp_path_factory.mktemp("server"), workers=2) as running:
        _wait_until(lambda: len(running.pids()) == 2, 60)
        yield running


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}


def test_server_refuses_a_revoked_key_in_every_worker_within_5_seconds(server: Running) -> None:
    key_id, secret = server.keys.create("k", frozenset({Scope.GIFTS_CHECK}), None, now())

    def statuses() -> set[int]:
        return {server.ask("/test/echo", _bearer(secret), b'{"name":"a"}')[0] for _ in range(30)}

    assert statuses() == {200}
    server.keys.revoke(key_id, now())
    revoked = time.monotonic()
    _wait_until(lambda: statuses() == {401}, 5)
    assert time.monotonic() - revoked < 5
    assert statuses() == {401}


def test_server_sums_its_workers_counts(server: Running) -> None:
    def count() -> float:
        _, text = server.ask("/metrics")
        line = r'lishang_requests_total{method="GET",route="/test/pid",status="200"} (\S+)'
        found = re.search(line, text.decode())
        return float(found[1]) if found else 0.0

    before = count()
    assert len(server.pids()) == 2
    assert count() == before + 60


def test_server_cuts_off_a_chunked_body_that_never_ends(server: Running) -> None:
    _, secret = server.keys.create("k", frozenset({Scope.GIFTS_CHECK}), None, now())
    head = (
        "POST /test/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        + "".join(f"{name}: {value}\r\n" for name, value in _bearer(secret).items())
        + "\r\n"
    ).encode()
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head + b'd\r\n{"name": "a"}\r\n')
        first = b""
        # The answer comes before the body has ended; a server that closes at once may take it back.
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(DEFAULT_BODY // 0x1000 + 2):
                connection.sendall(chunk)
        with suppress(ConnectionResetError):
            first = connection.recv(4096)
        assert first == b"" or b" 413 " in first.splitlines()[0]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /test/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /test/\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /test/pid?%ff=%00 HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n\r\n",
        b"POST /test/echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"BREW /test/pid HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GARBAGE\r\n\r\n",
    ],
)
def test_server_survives_a_malformed_request_without_a_500(
    server: Running, request_bytes: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        first = connection.recv(4096).split(b"\r\n")[0]
    assert b" 50" not in first
    assert server.ask("/healthz")[0] == 200


def test_server_replaces_a_worker_that_died(server: Running) -> None:
    before = server.pids()
    victim = before.pop()
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        try:
            now_there = server.pids()
        except OSError:
            return False
        return len(now_there) == 2 and victim not in now_there

    _wait_until(replaced, 40)
    assert server.process.poll() is None
    assert server.ask("/metrics")[0] == 200


def test_server_logs_json_lines_without_secrets(server: Running) -> None:
    key_id, secret = server.keys.create("k", frozenset({Scope.GIFTS_CHECK}), None, now())
    headers = _bearer(secret) | {"X-Request-Id": "find-me"}
    server.ask("/test/echo", headers, b'{"name": "body-text"}')
    lines = [json.loads(line) for line in server.log().splitlines()]
    (access,) = [line for line in lines if line.get("request") == "find-me"]
    assert access["route"] == "/test/echo"
    assert (access["status"], access["key"], access["method"]) == (200, key_id, "POST")
    assert access["ms"] > 0
    assert secret not in server.log()
    assert "body-text" not in server.log()


def test_server_on_a_taken_port_says_so_and_ends_with_2(server: Running) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from api.cli import main; main()",
            "serve",
            f"--port={server.port}",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"LISHANG_HOME": str(server.folder), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert f"127.0.0.1:{server.port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_server_told_to_end_finishes_what_is_under_way(end: signal.Signals, tmp_path: Path) -> None:
    with _serving(tmp_path, workers=1) as running:
        answers: list[tuple[int, bytes]] = []

        def ask() -> None:
            answers.append(running.ask("/test/slow"))

        # One is being answered and one waits for it when the signal comes.
        asking = [threading.Thread(target=ask) for _ in range(2)]
        for thread in asking:
            thread.start()
        _wait_until((tmp_path / "started").exists, 20)
        time.sleep(0.2)
        running.process.send_signal(end)
        assert running.process.wait(timeout=20) == 0
        for thread in asking:
            thread.join(timeout=20)
        assert [status for status, _ in answers] == [200, 200]
        with pytest.raises(OSError, match="refused"):
            running.ask("/healthz")
    left = [p.name for p in tmp_path.iterdir() if p.name.startswith("lishang-metrics-")]
    assert left == []
