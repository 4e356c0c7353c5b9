"""A person's 150 ties over HTTP from the real server: `python -m benchmarks.ties.ego_http`.

Beside it the bare server (benchmarks.bare_server), which only sends back as much as an answer is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import orjson

from benchmarks import bare_server
from benchmarks.http_load import Connection, Server, get, post
from benchmarks.ledger.clients import Asked, Clients, percentile
from benchmarks.ties.trained_town import TIES, befriend_egos, make_town
from engine.domain.clock import now
from engine.domain.errors import InvalidInput
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope

_WARM_SECONDS = 1.0
_OK = b"200"


def measure(
    people: int, egos: int, rounds: int, seconds: float, seed: int, workers: int = 2
) -> tuple[dict[str, float], dict[str, float]]:
    """Ask one by one for people's `TIES` ties, in turn with echoing an answer.

    Parameters
    ----------
    people, seed
        Of the town that the model is trained on, and to whom the ties are.
    egos
        How many people are asked for, again and again.
    rounds, seconds
        How often, and how long each time.

    Returns
    -------
    tuple of dict of str to float
        Figures and baselines, in milliseconds, over all rounds.

    Raises
    ------
    InvalidInput
        If an answer is not 150 scored ties, the strongest first.
    """
    with TemporaryDirectory(prefix="lishang-ego-") as folder:
        home, bare = Path(folder) / "home", Path(folder) / "bare"
        home.mkdir()
        bare.mkdir()
        make_town(home, people, seed)
        names = befriend_egos(home, egos, seed)
        secret = _key(home)
        serving = [sys.executable, "-m", "api", "serve", f"--workers={workers}"]
        echoing = [sys.executable, "-m", bare_server.__name__, str(workers)]
        with (
            Server.started(serving, home, workers) as server,
            Server.started(echoing, bare, workers) as echo,
        ):
            answer = _checked(server, names[0], secret)
            asked = {"": (server, _egos(names, secret)), "echo_": (echo, _echoes(answer, secret))}
            took: dict[str, list[float]] = {name: [] for name in asked}
            for number in range(rounds + 1):  # the first warms up and does not count
                for name, (where, questions) in asked.items():
                    found = _drive(where, questions, seconds if number else _WARM_SECONDS)
                    took[name] += found if number else []
    figures = {
        f"{name}{label}_ms": percentile(latencies, share)
        for name, latencies in took.items()
        for label, share in (("p50", 0.5), ("p99", 0.99))
    }
    metrics = {name: value for name, value in figures.items() if not name.startswith("echo_")}
    baselines = {name: figures[name] for name in figures if name not in metrics}
    return metrics | {
        "answers": float(len(took[""])),
        "answer_bytes": float(len(answer)),
    }, baselines


def _drive(server: Server, asked: Iterator[Asked], seconds: float) -> list[float]:
    clients = Clients(server, 1)
    try:
        return clients.drive(asked, seconds).latencies_ms
    finally:
        clients.close()


def _egos(names: Sequence[str], secret: str) -> Iterator[Asked]:
    ranks = f'"rank":{TIES}'.encode()

    def holds(status: bytes, body: bytes) -> bool:
        return status == _OK and ranks in body

    return cycle(
        [Asked(get(f"/v1/people/{name}/ties?limit={TIES}", secret), holds) for name in names]
    )


def _echoes(body: bytes, secret: str) -> Iterator[Asked]:
    def holds(status: bytes, answer: bytes) -> bool:
        return status == _OK and len(answer) == len(body)

    return cycle([Asked(post("/echo", body, secret), holds)])


def _checked(server: Server, name: str, secret: str) -> bytes:
    """Return the answer of one person's ties.

    Raises
    ------
    InvalidInput
        If it is not 150 scored ties, the strongest first.
    """
    connection = Connection(server.port)
    _, body = connection.ask(get(f"/v1/people/{name}/ties?limit={TIES}", secret))
    connection.close()
    ties = orjson.loads(body).get("ties", [])
    strengths = [tie["strength"] for tie in ties]
    if len(ties) != TIES or strengths != sorted(strengths, reverse=True) or len(set(strengths)) < 2:
        raise InvalidInput(f"not {TIES} ties, the strongest first: {body[:400]!r}")
    return body


def _key(home: Path) -> str:
    database = Database(f"sqlite:///{home / 'lishang.db'}")
    _, secret = ApiKeys(database).create("benchmark", frozenset({Scope.TIES_READ}), None, now())
    database.close()
    return secret


@click.command()
@click.option("--people", default=1_000, show_default=True, help="Of the town trained on.")
@click.option("--egos", default=200, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--seconds", default=5.0, show_default=True, help="Of each round.")
@click.option("--seed", default=1, show_default=True, help="Of the town, the fit and the ties.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(people: int, egos: int, rounds: int, seconds: float, seed: int, out: Path | None) -> None:
    """Measure a person's 150 ties over HTTP with one client, and print the figures."""
    from training.benchmark.report import BenchmarkReport, emit  # noqa: PLC0415  # slow to load

    metrics, baselines = measure(people, egos, rounds, seconds, seed)
    libraries = ("flask", "granian", "lightgbm", "lleaves", "numpy", "orjson")
    emit(BenchmarkReport(f"{TIES} ties of a person over HTTP", metrics, baselines, libraries), out)


if __name__ == "__main__":
    main()
