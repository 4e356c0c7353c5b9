"""`lishang demo`: a generated town, trained models and a running service in one command."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import click
import orjson

from api.commands.context import Context
from api.commands.importing import import_and_show
from api.commands.simulate import town_files
from api.commands.train import train_and_show
from api.serving import free_port
from api.settings import Settings
from engine.domain.clock import DAY, local_date, now
from engine.domain.errors import LedgerUnavailable
from engine.domain.people import Purpose
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from training.importing.options import ImportOptions
from training.refresh import refresh_structure
from training.registry import ModelRegistry
from training.simulate import write_town
from training.train import FITS

PEOPLE, DAYS, SEED = 2_000, 120, 1
KEY_NAME = "demo"
_READY_SECONDS = 60


@click.command()
@click.option("--stop", is_flag=True, help="End the service that an earlier demo left running.")
@click.pass_obj
def demo(context: Context, stop: bool) -> None:
    """Load a generated town, train the models, start the service and print what to try.

    The service goes on in the background; `lishang demo --stop` ends it. Run again, the demo
    keeps the town and the models that are there and starts the service anew.
    """
    settings = context.settings
    _end_service(settings.home)
    if stop:
        return
    town = settings.home / "town"
    database = context.database()
    if not (town / "truth").is_dir():
        click.echo(f"generating a town of {PEOPLE:,} people over {DAYS} days")
        today = local_date(now())
        write_town(town, PEOPLE, DAYS, SEED, today - timedelta(days=DAYS))
    import_and_show(database, town_files(town), ImportOptions())
    click.echo(f"structure of {refresh_structure(database, now()):,} pairs computed")
    registry = ModelRegistry(settings.mlflow_tracking_uri, settings.home)
    missing = [model for model in FITS if registry.champion(model) is None]
    if missing:
        train_and_show(database, registry, missing, SEED, promote=False)
    secret = _new_key(database)
    context.close()
    address = _start_service(settings)
    _explain(address, secret, town)


def _new_key(database: Database) -> str:
    keys = ApiKeys(database)
    at = now()
    for key in keys.list():
        if key.name == KEY_NAME and key.valid(at):
            keys.revoke(key.key_id, at)
    _, secret = keys.create(KEY_NAME, frozenset({Scope.ADMIN}), at + 30 * DAY, at)
    return secret


def _start_service(settings: Settings) -> str:
    free_port(settings.host, settings.port)  # or another's answer would pass for ours
    address = f"http://{settings.host}:{settings.port}"
    with (settings.home / "demo.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "api", "serve", "--workers", "2"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives this command and its terminal
        )
    _pid_file(settings.home).write_text(str(process.pid))
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with (
            suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{address}/readyz", timeout=2) as answer,
        ):
            if answer.status == 200:
                return address
        time.sleep(0.2)
    raise LedgerUnavailable(
        f"the service did not become ready at {address}",
        f"see {settings.home / 'demo.log'}; if the port is taken: PORT=8081 make demo",
    )


def _end_service(home: Path) -> None:
    pid_file = _pid_file(home)
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    with suppress(ProcessLookupError, FileNotFoundError):  # it has ended by itself
        # A process id may have been given away since: only our own server is ended.
        if b"-m\0api\0serve" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            _wait_for_end(pid)
    pid_file.unlink()


def _wait_for_end(pid: int) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until and Path(f"/proc/{pid}").exists():
        time.sleep(0.1)


def _pid_file(home: Path) -> Path:
    return home / "demo.pid"


def _explain(address: str, secret: str, town: Path) -> None:
    click.echo(f"\nLishang answers at {address}; its routes are at {address}/docs")
    click.echo(f"key: {secret}\n")
    for title, route, body in _calls(town):
        click.echo(f"# {title}")
        click.echo(
            f"curl -s {address}{route} -H 'Authorization: Bearer {secret}'"
            f" -H 'Content-Type: application/json' -d {shlex.quote(orjson.dumps(body).decode())}\n"
        )
    click.echo("To end the service: make demo-stop")


def _calls(town: Path) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Three calls about people who agreed to suggestions, in the town's last days."""
    agreed = {
        row["person"]
        for row in _rows(town / "people.csv")
        if Purpose.GIFT_SUGGESTIONS in row["consents"].split(";")
    }
    gift = _last(
        row
        for row in _rows(town / "gifts.csv")
        if (row["relation"], row["outcome"]) == ("friend", "accepted")
        and row["recipient"] in agreed
    )
    pair = {"sender": gift["sender"], "recipient": gift["recipient"]}
    yield "May this gift be sent?", "/v1/gifts/check", {**pair, "item": gift["item"]}
    wish = {**pair, "occasion": "birthday", "budget_fen": 5_000, "limit": 3}
    yield "What could it be instead?", "/v1/recommendations/gifts", wish
    shown = _last(row for row in _rows(town / "offer_events.csv") if row["kind"] == "shown")
    offers = [row["offer"] for row in _rows(town / "offers.csv")][-2:]
    audience: dict[str, object] = {"people": [shown["person"], gift["sender"]], "offers": offers}
    yield "Which offers suit whom?", "/v1/offers/scores", audience


def _last(rows: Iterable[dict[str, str]]) -> dict[str, str]:
    *_, last = rows
    return last


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)
