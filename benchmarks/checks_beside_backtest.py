"""Whether a backtest starves its worker's checks: `python -m benchmarks.checks_beside_backtest`.

One worker of the real server holds recorded decisions; single sets of facts are evaluated one after
the other, first alone, then while the same worker replays the log under a candidate.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import orjson

from benchmarks.evaluate_http import DECISION, LIBRARIES, RULES, given_facts
from benchmarks.http_load import Server, get, post
from engine.domain.clock import now
from engine.domain.errors import InvalidInput
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from training.benchmark.report import BenchmarkReport, emit

PATH = f"/v1/policy/{DECISION}/evaluate"
BACKTESTS = "/v1/policy/backtests"


class Service:
    """One connection to one worker."""

    def __init__(self, server: Server, secret: str) -> None:
        [self._connection] = server.connect(1)
        self._secret = secret

    def post(self, path: str, body: object) -> Mapping[str, object]:
        """Post JSON and return the answer."""
        return self._told(self._connection.ask(post(path, orjson.dumps(body), self._secret)))

    def get(self, path: str) -> Mapping[str, object]:
        """Return what stands there."""
        return self._told(self._connection.ask(get(path, self._secret)))

    @staticmethod
    def _told(answer: tuple[bytes, bytes]) -> Mapping[str, object]:
        head, body = answer
        if not head.startswith((b"http/1.1 200", b"http/1.1 202")):
            raise InvalidInput("the service refused", body[:400].decode(errors="replace"))
        told: Mapping[str, object] = orjson.loads(body)
        return told


def checks(service: Service, seconds: float) -> Iterator[float]:
    """Yield how long each check takes, in milliseconds, one after the other."""
    bodies = [{"facts": [facts]} for facts in given_facts(200, 0.2, seed=9)]
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        service.post(PATH, bodies[int(begun * 1e6) % len(bodies)])
        yield (time.perf_counter() - begun) * 1_000


def beside(service: Service) -> tuple[list[float], float]:
    """Return the latencies of checks while a backtest runs, and its decisions a second."""
    text = (RULES / f"{DECISION}.yaml").read_text(encoding="utf-8")
    begun = time.perf_counter()
    job = service.post(BACKTESTS, {"text": text})
    latencies: list[float] = []
    while True:
        latencies += checks(service, 0.25)
        told = service.get(f"{BACKTESTS}/{job['backtest']}")
        if told["state"] == "done":
            return latencies, float(str(told["replayed"])) / (time.perf_counter() - begun)
        if told["state"] == "failed":
            raise InvalidInput("the backtest failed", str(told["fault"]))


def _figures(name: str, latencies: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(latencies, n=100)
    return {
        f"{name}p50_ms": cuts[49],
        f"{name}p99_ms": cuts[98],
        f"{name}checks": len(latencies),
    }


@click.command()
@click.option("--decisions", default=300_000, show_default=True, help="To replay.")
@click.option("--seconds", default=10.0, show_default=True, help="Of checks alone.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(decisions: int, seconds: float, out: Path | None) -> None:
    """Fill a log, then check alone and beside a backtest."""
    with tempfile.TemporaryDirectory(prefix="lishang-beside-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "api", "serve", "--workers=1"]
        with Server.started(command, folder, 1) as server:
            database = Database(f"sqlite:///{folder}/lishang.db")
            scopes = frozenset({Scope.POLICY_EVALUATE, Scope.POLICY_READ, Scope.POLICY_WRITE})
            _, secret = ApiKeys(database).create("benchmark", scopes, None, now())
            database.close()
            service = Service(server, secret)
            sets = given_facts(1_000, 0.2, seed=1)
            for _ in range(decisions // len(sets)):
                service.post(PATH, {"facts": sets})
            alone = list(checks(service, seconds))
            busy, rate = beside(service)
    metrics = _figures("", busy) | {"replayed_per_second": rate}
    title = f"checks beside a backtest of {decisions:,} decisions in the same worker"
    emit(BenchmarkReport(title, metrics, _figures("alone_", alone), LIBRARIES), out)


if __name__ == "__main__":
    main()
