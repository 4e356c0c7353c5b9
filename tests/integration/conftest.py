"""A real installation in a folder of its own: the command, the ledger, the server, HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).parents[2]
SCOPES = "gifts:check,gifts:send,gifts:read,ties:read,recommend:read,offers:score,events:write"


@dataclass(frozen=True)
class Client:
    """Calls a running server with a key."""

    address: str
    secret: str

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict]:
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.secret}",
                "Content-Type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def post(self, path: str, body: object, **headers: str) -> tuple[int, dict]:
        return self.call("POST", path, body, **headers)

    def get(self, path: str) -> tuple[int, dict]:
        return self.call("GET", path)


@dataclass(frozen=True)
class Installation:
    """One `LISHANG_HOME`, driven by the command a user would type."""

    home: Path
    rules: Path | None = None
    """A rules folder of its own; None for the shipped one."""

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "api", *arguments],
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"lishang {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def key(self, scopes: str = SCOPES) -> str:
        return self.run("keys", "create", "--name", "test", "--scopes", scopes).strip()

    @staticmethod
    def client(address: str, secret: str) -> Client:
        return Client(address, secret)

    @contextmanager
    def serving(self, workers: int = 1) -> Iterator[str]:
        with (self.home / "serve.log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "api", "serve", "--port", "0", "--workers", str(workers)],
                env=self._env(),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert server.stdout is not None
            try:
                line = server.stdout.readline()
                assert "http://" in line, (self.home / "serve.log").read_text()
                address = line.split()[-1]
                _await_ready(address)
                yield address
            finally:
                server.send_signal(signal.SIGTERM)
                assert server.wait(timeout=40) == 0

    def _env(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LISHANG_")}
        inherited.pop("MLFLOW_TRACKING_URI", None)
        own = {} if self.rules is None else {"LISHANG_RULES": str(self.rules)}
        return {**inherited, **own, "LISHANG_HOME": str(self.home), "PYTHONPATH": str(_CHECKOUT)}


def _await_ready(address: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with (
            suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(f"{address}/readyz", timeout=5),
        ):
            return
        time.sleep(0.1)
    raise AssertionError(f"{address} did not become ready")


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Installation]:
    """Makes an empty installation by name."""
    return lambda name: Installation(tmp_path_factory.mktemp(name))
