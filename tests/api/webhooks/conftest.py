"""A real receiver of webhooks that does whatever a test tells it to, plain or over TLS."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

GENEROUS = 60.0
"""Seconds that a busy machine may take for what takes one on an idle one."""

Behaviour = Callable[["_Handler"], None]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    connection: int

    @property
    def message(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Verify as a receiver would that has never seen our code."""
        key = base64.b64decode(secret.split("_", 1)[1])
        signed = b".".join(
            [self.message.encode(), self.headers["webhook-timestamp"].encode(), self.body]
        )
        expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        version, _, given = self.headers["webhook-signature"].partition(",")
        return version == "v1" and hmac.compare_digest(given, expected)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.receiver.note(
            Received(self.path, headers, body, time.monotonic(), id(self.connection))
        )
        self.server.receiver.behave(self)

    def do_GET(self) -> None:
        """A redirect that was followed would come so."""
        self.server.receiver.note(Received(self.path, {"webhook-id": ""}, b"", 0.0, 0))
        self.answer(204)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, *_: object) -> None:
        """A caller that gives up is no error here."""


class Receiver:
    """Takes events and does with each what `behave` says; by default it answers 204."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._noting = threading.Lock()
        self.received: list[Received] = []
        self.over = threading.Event()
        self.behave: Behaviour = lambda request: request.answer(204)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}/hooks?for=gifts"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def note(self, received: Received) -> None:
        with self._noting:
            self.received.append(received)

    def does(self, *behaviours: Behaviour) -> None:
        """Do these one after the other, the last of them from then on."""
        left = list(behaviours)

        def behave(request: _Handler) -> None:
            with self._noting:
                behaviour = left.pop(0) if len(left) > 1 else left[0]
            behaviour(request)

        self.behave = behave

    def answers(self, *statuses: int) -> None:
        """Answer with these, the last of them from then on."""
        self.does(*[lambda request, s=status: request.answer(s) for status in statuses])

    def hang(self, request: _Handler) -> None:
        """Say nothing until the test is over."""
        self.over.wait(GENEROUS)

    def dribble(self, request: _Handler) -> None:
        """Send a byte now and then, for ever."""
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.over.wait(0.05):
            request.wfile.write(b"X")
            request.wfile.flush()

    def drop(self, request: _Handler) -> None:
        """Cut the connection off without an answer."""
        request.close_connection = True
        request.connection.shutdown(socket.SHUT_RDWR)

    @property
    def messages(self) -> list[str]:
        with self._noting:
            return [one.message for one in self.received]

    def wait_for(self, messages: int) -> list[Received]:
        """Return what came once it is so many."""
        wait_until(lambda: len(self.messages) >= messages)
        with self._noting:
            return list(self.received)

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def wait_until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + GENEROUS
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[[Callable[[], object]], None]:
    """Waits for something to hold, generously."""
    return wait_until


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver over plain HTTP."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def another_receiver() -> Iterator[Receiver]:
    """A second one."""
    made = Receiver()
    yield made
    made.close()


@dataclass(frozen=True)
class Certified:
    """A receiver over TLS and whom one must trust to believe it."""

    receiver: Receiver
    trusting: ssl.SSLContext


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[Certified]:
    """A receiver over TLS with a certificate of its own for localhost."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key)),
            *("-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    made = Receiver(serving)
    yield Certified(made, ssl.create_default_context(cafile=str(certificate)))
    made.close()
