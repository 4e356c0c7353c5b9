"""`lishang refresh` and `lishang rebuild` compute what is stored and say how much it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from engine.domain.clock import DAY, now
from engine.domain.events import FriendshipChanged, Interacted
from engine.ledger import intake, tables
from engine.ledger.database import Database
from engine.ledger.migration import migrate


@pytest.fixture
def ledger(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/lishang.db")
    migrate(database)
    at = now() - DAY
    with database.writing() as unit:
        intake.receive(
            unit,
            [
                *[FriendshipChanged(f"{a}{b}", at, a, b, True) for a, b in ("ab", "ba")],
                Interacted("i", at, "b", "c", "call", 1.0),
            ],
            at,
        )
    return database


def _run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"LISHANG_HOME": str(home)})


def test_refresh_structure_says_how_many_pairs_and_as_of_when(
    ledger: Database, tmp_path: Path
) -> None:
    result = _run(tmp_path, "refresh", "structure")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("structure of 2 pairs computed as of 20")
    with ledger.reading() as unit:
        found = unit.execute(tables.tie_structure.select()).all()
    assert {(row.first, row.second) for row in found} == {("a", "b"), ("b", "c")}
    assert all(row.as_of > now() - DAY / 2 for row in found)


def test_rebuild_ties_says_how_many_pairs(ledger: Database, tmp_path: Path) -> None:
    assert _run(tmp_path, "rebuild", "ties").stdout == "1 directed pairs rebuilt\n"
