"""A served installation on a database of its own: started, killed, started again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_CHECKOUT = Path(__file__).parents[2]
_PATIENCE = 90.0
_SETTLED = 8.0
"""Seconds after which the server takes the death of a worker for an accident."""


@dataclass
class Served:
    """`python -m api serve` in processes of its own, on a port that stays the same."""

    home: Path
    url: str
    rules: Path
    workers: int = 2
    bent: dict[str, str] = field(default_factory=dict)
    """What `bent_server` is told; empty for the server as it is."""
    port: int = 0
    _process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        module = "bent_server" if self.bent else "api"
        command = [sys.executable, "-m", module, "serve"]
        with (self.home / "serve.log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port), "--workers", str(self.workers)],
                env=self._env() | self.bent,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # its whole group can be killed
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "http://" in line, self.log()[-4_000:]
        self.port = int(line.rstrip().rpartition(":")[2])
        until = time.monotonic() + _PATIENCE
        while not self._is_ready():
            assert time.monotonic() < until, self.log()[-4_000:]
            time.sleep(0.05)

    def stop(self) -> None:
        """Tell it to end, and see that it ends well."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(timeout=60) == 0, self.log()[-4_000:]
            self._forget()

    def kill(self) -> None:
        """Kill the server with all its workers, as a power cut would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._forget()

    def kill_worker(self, chance: random.Random) -> bool:
        """Kill one worker that has run for a while; tell whether there was one."""
        old = [pid for pid in self.pids() if _age(pid) > _SETTLED]
        if not old:
            return False
        with suppress(ProcessLookupError):
            os.kill(chance.choice(old), signal.SIGKILL)
        return True

    def pids(self) -> list[int]:
        """The processes of the workers."""
        group = self._process.pid if self._process is not None else -1
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError, ProcessLookupError):
                pid = int(folder.name)
                spawned = b"spawn_main" in (folder / "cmdline").read_bytes()
                if spawned and os.getpgid(pid) == group:
                    found.append(pid)
        return sorted(found)

    def run(self, *arguments: str, expected: int = 0) -> str:
        """Run the command as a user would."""
        done = subprocess.run(
            [sys.executable, "-m", "api", *arguments],
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        told = f"lishang {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        assert done.returncode == expected, told
        return done.stdout

    def log(self) -> str:
        return (self.home / "serve.log").read_text()

    def _env(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("LISHANG_")}
        inherited.pop("MLFLOW_TRACKING_URI", None)
        return inherited | {
            "LISHANG_HOME": str(self.home),
            "LISHANG_DATABASE_URL": self.url,
            "LISHANG_RULES": str(self.rules),
            "LISHANG_LOG_LEVEL": "error",
            "PYTHONPATH": os.pathsep.join([str(_CHECKOUT), str(Path(__file__).parent)]),
            "TMPDIR": str(self.home),
        }

    def _is_ready(self) -> bool:
        with (
            suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{self.address}/readyz", timeout=5),
        ):
            return True
        return False

    def _forget(self) -> None:
        assert self._process is not None
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None


def _age(pid: int) -> float:
    """Return for how many seconds a process has run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    begun = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return float(Path("/proc/uptime").read_text().split()[0]) - begun
