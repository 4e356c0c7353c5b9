"""`lishang ledger` from the shell: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from api.cli import main
from engine.ledger import tables
from engine.ledger.database import Database

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, sqlite_database: Database, sqlite_url: str) -> Run:
    env = {"LISHANG_HOME": str(tmp_path), "LISHANG_DATABASE_URL": sqlite_url}

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["ledger", *arguments], env=env)

    return invoke


@pytest.fixture
def unclean(sqlite_database: Database) -> None:
    """A counter that no gift holds."""
    counted = {"scope": "sender", "subject": "an", "day": 9, "gifts": 1, "fen": 900}
    with sqlite_database.writing() as unit:
        unit.execute(insert(tables.counters).values(counted))


def test_audit_of_a_clean_ledger_ends_with_0_and_prints_its_figures(run: Run) -> None:
    result = run("audit")
    assert result.exit_code == 0
    assert "counters" in result.stdout
    assert result.stdout.rstrip().endswith("is clean")


def test_audit_of_an_unclean_ledger_ends_with_1_and_says_what(run: Run, unclean: None) -> None:
    result = run("audit")
    assert result.exit_code == 1
    assert "sender an on day 9" in result.stdout
    assert "NOT CLEAN: 1 faults" in result.stdout


def test_audit_as_json_is_for_machines(run: Run, unclean: None) -> None:
    result = run("audit", "--json", "--most", "0")
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (told["clean"], told["faults"]["counters"], told["first"]) == (False, 1, [])


def test_backup_and_restore_say_how_much_it_was(run: Run, unclean: None, tmp_path: Path) -> None:
    path = str(tmp_path / "saved.zip")
    assert "1 rows" in run("backup", path).stdout
    again = run("backup", path)
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)
    refused = run("restore", path)
    assert (refused.exit_code, "--replace" in refused.stderr) == (2, True)
    assert "1 rows" in run("restore", path, "--replace").stdout


def test_restore_of_no_backup_ends_with_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_text("no backup")
    for name in ("no.zip", "nothing.zip"):
        result = run("restore", str(tmp_path / name))
        assert result.exit_code == 2
        assert "error:" in result.stderr
