"""`lishang webhooks` adds, lists and ends receivers; the secret is shown once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from engine.domain.clock import SECOND, now
from engine.domain.gift_events import GiftEvent, GiftEventKind
from engine.ledger import outbox
from engine.ledger.database import Database
from engine.ledger.webhooks import Webhooks

Run = Callable[..., Result]
URL = "https://shop.example/hooks"


@pytest.fixture
def run(tmp_path: Path, sqlite_database: Database) -> Run:
    """The command on a migrated ledger."""

    def invoke(*arguments: str) -> Result:
        env = {"LISHANG_HOME": str(tmp_path), "COLUMNS": "250"}
        return CliRunner().invoke(main, ["webhooks", *arguments], env=env)

    return invoke


@pytest.fixture
def webhooks(sqlite_database: Database) -> Webhooks:
    return Webhooks(sqlite_database)


def _tell(database: Database, events: int) -> None:
    with database.writing() as unit:
        for number in range(1, events + 1):
            told = GiftEvent("g1", number, GiftEventKind.SENT, 5, "an", "bo", "coffee", "sent")
            outbox.append(unit, told, now())


def test_add_prints_the_secret_once_and_nothing_else_shows_it(run, webhooks) -> None:
    result = run("add", URL)
    assert result.exit_code == 0, result.output
    [found] = webhooks.all()
    assert result.stdout.strip() == found.secret
    assert found.secret.startswith("whsec_")
    assert found.webhook in result.stderr
    listed = run("list")
    assert found.webhook in listed.stdout
    assert URL in listed.stdout
    assert found.secret not in listed.output


def test_add_takes_kinds_and_refuses_those_that_there_are_not(run, webhooks) -> None:
    result = run("add", URL, "--kinds", "gift.sent, gift.expired")
    assert result.exit_code == 0
    [found] = webhooks.all()
    assert found.kinds == {GiftEventKind.SENT, GiftEventKind.EXPIRED}
    assert "gift.expired, gift.sent" in run("list").stdout
    refused = run("add", URL, "--kinds", "gift.sent,gift.declined")
    assert refused.exit_code == 2
    assert "gift.declined" in refused.stderr
    assert len(webhooks.all()) == 1


def test_add_refuses_a_url_without_tls_unless_it_is_asked_for(run, webhooks) -> None:
    refused = run("add", "http://shop.example/hooks")
    assert (refused.exit_code, webhooks.all()) == (2, [])
    assert "--insecure" in refused.stderr
    assert run("add", "http://shop.example/hooks", "--insecure").exit_code == 0
    assert run("add", "http://localhost:9000/hooks").exit_code == 0


def test_add_begins_at_the_end_unless_told_from_the_start(run, webhooks, sqlite_database) -> None:
    _tell(sqlite_database, 3)
    run("add", URL)
    run("add", URL, "--from-start")
    assert [one.position for one in webhooks.all()] == [3, 0]


def test_list_says_since_when_and_why_one_fails_and_what_waits(
    run, webhooks, sqlite_database
) -> None:
    webhook, _ = webhooks.add(URL, [], now())
    _tell(sqlite_database, 3)
    at = 1_700_000_000 * SECOND
    leased = webhooks.lease(webhook, now())
    webhooks.fail(leased, "answered 503", at, 0.0)
    line = next(row for row in run("list").stdout.splitlines() if webhook in row)
    cells = [cell.strip() for cell in line.strip("│ ").split("│")]
    assert cells == [
        webhook,
        URL,
        "all",
        "0",
        "3",
        "2023-11-14 22:13Z",
        "answered 503 (1 attempts)",
    ]


def test_remove_ends_one_and_says_so_when_there_is_none(run, webhooks) -> None:
    webhook, _ = webhooks.add(URL, [], now())
    assert run("remove", webhook).exit_code == 0
    assert webhooks.all() == []
    refused = run("remove", webhook)
    assert refused.exit_code == 2
    assert webhook in refused.stderr
