"""`lishang rules facts` and `schema`: every fact as people, programs and the docs read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from engine.policy.decisions import CATALOGUES
from engine.policy.pack_schema import pack_schema

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["rules", *arguments], env={"LISHANG_HOME": str(tmp_path)})

    return invoke


def test_facts_as_json_hold_every_fact_and_output_of_every_decision(run: Run) -> None:
    told = json.loads(run("facts", "--format", "json").output)
    assert list(told) == list(CATALOGUES)
    for decision, catalogue in CATALOGUES.items():
        assert [fact["name"] for fact in told[decision]["facts"]] == [
            entry.name for entry in catalogue.supplied
        ]
        assert [out["name"] for out in told[decision]["outputs"]] == list(catalogue.outputs)
    facts = {fact["name"]: fact for fact in told["gift_send"]["facts"]}
    assert facts["sender.age_years"] == {
        "name": "sender.age_years",
        "type": "int",
        "unit": "years",
        "supplier": "the person's record",
        "derived_by": "engine.domain.people.age_in_years",
        "when_unknown": 0,
        "known_by": "sender.age_years_known",
        "least": 0,
        "greatest": 2**53,
        "values": [],
        "description": "The sender's completed years.",
    }
    assert facts["gift.relation"]["values"] == ["friend", "creator", "company"]
    assert facts["gift.relation"]["known_by"] is None
    assert facts["gift.relation"]["least"] is facts["gift.relation"]["greatest"] is None
    assert facts["sender.day_gifts_after"]["least"] == 1
    platform = told["gift_settle"]["outputs"][0]
    assert (platform["least"], platform["greatest"]) == (0, 1_000_000)


def test_facts_of_one_decision_leave_the_others_out(run: Run) -> None:
    shown = run("facts", "--decision", "offer_show").output
    assert "person.shown_7d" in shown
    assert "gift.price_fen" not in shown
    assert "from 0" in shown
    assert run("facts", "--decision", "none").exit_code == 2


def test_facts_page_of_the_docs_is_the_present_one(run: Run) -> None:
    page = run("facts", "--format", "markdown").output
    kept = (ROOT / "docs" / "facts.md").read_text(encoding="utf-8")
    assert kept == page, "write it again: lishang rules facts --format markdown > docs/facts.md"
    for catalogue in CATALOGUES.values():
        for name in (*(entry.name for entry in catalogue.supplied), *catalogue.outputs):
            assert f"| `{name}` |" in page


def test_schema_is_printed_as_json(run: Run) -> None:
    assert json.loads(run("schema").output) == pack_schema()
