"""`lishang decisions` from the shell: replay tells whether a verdict stands, prune what is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert

from api.cli import main
from engine.domain.clock import parse_time
from engine.domain.verdicts import DecisionRecord, FactValue
from engine.ledger import decisions, tables
from engine.ledger.database import Database
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine

RULES = Path(__file__).parents[2] / "rules"
NOON = parse_time("2026-03-01T12:00:00Z")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, sqlite_database: Database, sqlite_url: str) -> Run:
    env = {
        "LISHANG_HOME": str(tmp_path),
        "LISHANG_DATABASE_URL": sqlite_url,
        "LISHANG_RULES": str(RULES),
    }

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["decisions", *arguments], env=env)

    return invoke


@pytest.fixture(scope="module")
def decided() -> DecisionRecord:
    """A decision of the shipped rules on a person who saw too many offers."""
    facts: dict[str, FactValue | None] = {
        "person.offers_consent": True,
        "person.age_years": 30,
        "offer.running": True,
        "offer.category": "tea",
        "person.held_out": False,
        "person.shown_7d": 7,
        "person.offer_redeemed": False,
    }
    engine = PolicyEngine.from_folder(RULES)
    given = CATALOGUES["offer_show"].fact_set(facts)
    [verdict] = engine.decide_many("offer_show", [given], NOON)
    engine.close()
    return DecisionRecord("dec_1", "offer", NOON, verdict, given, 5)


@pytest.fixture
def stored(sqlite_database: Database, decided: DecisionRecord) -> Database:
    with sqlite_database.writing() as unit:
        decisions.record(unit, [decided])
    return sqlite_database


@pytest.mark.usefixtures("stored")
def test_replay_of_an_unchanged_decision_ends_with_0(run: Run, decided: DecisionRecord) -> None:
    result = run("replay", "dec_1")
    assert result.exit_code == 0, result.output
    assert "dec_1: offer at 2026-03-01T12:00:00Z" in result.stdout
    assert f"recorded: deny by offer_show version 1 ({decided.verdict.pack.hash})" in result.stdout
    assert "rules fired: frequency_cap; reasons: FREQUENCY_CAP" in result.stdout
    assert "replayed: identical" in result.stdout


def test_replay_of_a_changed_decision_ends_with_1_and_shows_it(run: Run, stored: Database) -> None:
    with stored.writing() as unit:
        unit.execute(tables.decisions.update().values(effect="allow", fired="[]"))
    result = run("replay", "dec_1")
    assert result.exit_code == 1
    assert "identical" not in result.stdout
    assert "differs in effect: recorded allow, now deny" in result.stdout
    assert "differs in rule frequency_cap: fires now, did not as recorded" in result.stdout


@pytest.mark.usefixtures("stored")
def test_replay_explained_shows_every_comparison(run: Run) -> None:
    shown = run("replay", "dec_1", "--explain").stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines()]
    table = [row for row in rows if row]
    assert ["frequency_cap", "yes", "person.shown_7d", "7", ">= 7 (params.shown_per_7_days)", "yes"] in table  # fmt: skip # noqa: E501
    assert ["offer_period", "no", "offer.running", "true", "!= true", "no"] in table
    assert ["adult_categories", "no", "offer.category", "tea"] in [row[:4] for row in table]


def test_replay_of_an_unknown_decision_ends_with_2(run: Run) -> None:
    result = run("replay", "dec_none")
    assert result.exit_code == 2
    assert "error: no decision 'dec_none' is recorded" in result.stderr
    assert "Traceback" not in result.output


def test_replay_of_a_version_nobody_keeps_ends_with_2(run: Run, stored: Database) -> None:
    with stored.writing() as unit:
        unit.execute(tables.decisions.update().values(pack_hash="ab" * 32))
    result = run("replay", "dec_1")
    assert result.exit_code == 2
    assert "is not kept" in result.stderr


def test_prune_counts_first_and_deletes_then(
    run: Run, sqlite_database: Database, decided: DecisionRecord
) -> None:
    with sqlite_database.writing() as unit:
        for number, at in enumerate((NOON - 2, NOON - 1, NOON)):
            record = DecisionRecord(f"dec_{number}", "offer", at, decided.verdict, decided.facts, 1)
            decisions.record(unit, [record])
        unit.execute(
            insert(tables.gifts).values(
                gift="g", sender="an", recipient="bo", item="coffee", price_fen=1,
                relation="friend", scene="chat", occasion="none", state="sent", origin="live",
                occurred_at=NOON, decision_id="dec_1", recorded_at=NOON,
            )
        )  # fmt: skip
    said = "decisions before 2026-03-01T12:00:00Z"
    dry = run("prune", "--before", "2026-03-01T20:00:00+08:00", "--dry-run")
    assert dry.exit_code == 0
    assert f"1 {said} would be deleted, 1 kept because gifts point to them" in dry.stdout
    wet = run("prune", "--before", "2026-03-01T12:00:00Z")
    assert f"1 {said} deleted, 1 kept because gifts point to them" in wet.stdout
    with sqlite_database.reading() as unit:
        left = {row.decision_id for row in unit.execute(tables.decisions.select())}
    assert left == {"dec_1", "dec_2"}


def test_prune_without_an_instant_deletes_nothing(run: Run, stored: Database) -> None:
    assert run("prune").exit_code == 2
    unreadable = run("prune", "--before", "yesterday")
    assert unreadable.exit_code == 2
    assert "cannot read the time 'yesterday'" in unreadable.stderr
    with stored.reading() as unit:
        assert decisions.find(unit, "dec_1") is not None
