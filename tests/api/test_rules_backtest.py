"""`lishang rules backtest` from the shell: a report, kept with the version it is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
import yaml
from click.testing import CliRunner, Result

from api.cli import main
from engine.domain.clock import now, parse_time
from engine.domain.pack_life import Actor
from engine.domain.verdicts import DecisionRecord, FactValue
from engine.ledger import decisions
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.shipping import Shipping

RULES = Path(__file__).parents[2] / "rules"
NOON = parse_time("2026-03-01T12:00:00Z")
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str) -> Run:
    env = {
        "LISHANG_HOME": str(tmp_path),
        "LISHANG_DATABASE_URL": sqlite_url,
        "LISHANG_RULES": str(RULES),
        "LISHANG_KEY": "",
        "COLUMNS": "200",
    }

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, ["rules", "backtest", *map(str, arguments)], env=env)

    return invoke


@pytest.fixture(scope="module")
def engine() -> PolicyEngine:
    return PolicyEngine.from_folder(RULES)


@pytest.fixture
def ledger(sqlite_database: Database, engine: PolicyEngine) -> Database:
    """Decisions on people who saw 0 to 9 offers, one a second."""
    plain: dict[str, FactValue | None] = {
        "person.offers_consent": True,
        "person.age_years": 30,
        "offer.running": True,
        "offer.category": "tea",
        "person.held_out": False,
        "person.shown_7d": 0,
        "person.offer_redeemed": False,
    }
    facts = [
        CATALOGUES["offer_show"].fact_set({**plain, "person.shown_7d": shown})
        for shown in range(10)
    ]
    verdicts = engine.decide_many("offer_show", facts, NOON)
    with sqlite_database.writing() as unit:
        decisions.record(
            unit,
            [
                DecisionRecord(f"dec_{n}", "offer", NOON + n * 1_000_000, verdict, given, 1)
                for n, (verdict, given) in enumerate(zip(verdicts, facts, strict=True))
            ],
        )
    return sqlite_database


@pytest.fixture
def candidate(tmp_path: Path) -> Path:
    """A version that shows at most 4 offers a week."""
    said = yaml.safe_load((RULES / "offer_show.yaml").read_text(encoding="utf-8"))
    said["version"] += 1
    said["params"]["shown_per_7_days"] = 4
    for rule in said["rules"]:
        if rule["id"] == "frequency_cap":
            rule["examples"] = [
                {"facts": {"person.shown_7d": shown}, "fires": shown >= 4} for shown in (3, 4, 5)
            ]
    path = tmp_path / "candidate.yaml"
    path.write_text(yaml.safe_dump(said), encoding="utf-8")
    return path


@pytest.mark.usefixtures("ledger")
def test_backtest_of_a_file_shows_what_changes(run: Run, candidate: Path) -> None:
    result = run(candidate)
    assert result.exit_code == 0, result.output
    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in result.stdout.splitlines()]
    assert ["newly blocked", "3", "30.00%"] in rows
    assert ["unchanged", "7", "70.00%"] in rows
    assert ["frequency_cap", "3", "6", "3", "0", "0", "3", "0", "0", "0"] in rows
    assert ["FREQUENCY_CAP", "3", "6", "3", "0", "0", "3", "0", "0", "0"] in rows
    examples = [row for row in rows if row and row[0].startswith("dec_")]
    assert [row[0] for row in examples] == ["dec_4", "dec_5", "dec_6"]
    assert "Counters, stock and habits would have developed otherwise" in result.stdout
    # Facts about people are told to machines only.
    assert "person.age_years" not in result.stdout
    assert "10 decisions in" in result.stderr


@pytest.mark.usefixtures("ledger")
def test_backtest_as_json_is_the_report_and_nothing_else(run: Run, candidate: Path) -> None:
    result = run(candidate, "--format", "json", "--examples", "1")
    said = orjson.loads(result.stdout)
    assert said["decisions"] == 10 and said["changes"]["newly_blocked"] == 3
    [example] = said["examples"]
    assert example["decision_id"] == "dec_4"
    assert example["facts"]["person.shown_7d"] == 4


@pytest.mark.usefixtures("ledger")
def test_backtest_of_a_window_leaves_the_rest(run: Run, candidate: Path) -> None:
    window = ("--since", "2026-03-01T12:00:05Z", "--until", "2026-03-01T12:00:07Z")
    said = orjson.loads(run(candidate, *window, "--format", "json").stdout)
    assert (said["decisions"], said["changes"]["newly_blocked"]) == (2, 2)
    assert (said["since"], said["until"]) == ("2026-03-01T12:00:05Z", "2026-03-01T12:00:07Z")


@pytest.mark.usefixtures("ledger")
def test_backtest_of_the_rules_that_decided_changes_nothing(run: Run) -> None:
    said = orjson.loads(run(RULES / "offer_show.yaml", "--format", "json").stdout)
    assert said["changes"] == {**dict.fromkeys(said["changes"], 0), "unchanged": 10}
    assert said["examples"] == []


@pytest.fixture
def secret(ledger: Database) -> str:
    _, secret = ApiKeys(ledger).create("author", frozenset({Scope.POLICY_WRITE}), None, now())
    return secret


@pytest.fixture
def published(ledger: Database, secret: str, candidate: Path, tmp_path: Path) -> Shipping:
    """The candidate as a kept version, proved by its examples alone."""
    rules = tmp_path / "rules"
    rules.mkdir()
    for path in RULES.glob("*.yaml"):
        (rules / path.name).write_bytes(path.read_bytes())
    shipping = Shipping(ledger, rules)
    shipping.seed(now())
    key = ApiKeys(ledger).find(secret, now())
    assert key is not None
    text = candidate.read_text(encoding="utf-8")
    shipping.publish({"candidate.yaml": text}, Actor(key.key_id, key.name), now())
    return shipping


def test_backtest_of_a_version_is_kept_with_it(run: Run, published: Shipping, secret: str) -> None:
    assert published.find("offer_show", 2).backtest is None
    result = run("offer_show@2", "--key", secret, "--format", "json")
    assert result.exit_code == 0, result.output
    assert "the report is kept with offer_show version 2" in result.stderr
    kept = published.find("offer_show", 2).backtest
    assert kept is not None
    assert orjson.loads(kept) == orjson.loads(result.stdout)
    assert published.events("offer_show")[-1].actor.name == "author"


def test_backtest_of_a_version_that_decides_is_shown_but_not_kept(
    run: Run, published: Shipping, secret: str
) -> None:
    result = run("offer_show@1", "--key", secret, "--format", "json")
    assert result.exit_code == 0, result.output
    assert orjson.loads(result.stdout)["changes"]["unchanged"] == 10
    assert "the report is not kept with the version" in result.stderr
    assert published.find("offer_show", 1).backtest is None


def test_backtest_of_a_version_asks_for_a_key_before_it_works(
    run: Run, published: Shipping
) -> None:
    result = run("offer_show@2")
    assert result.exit_code == 2
    assert "policy:write" in result.stderr
    assert result.stdout == ""
    assert published.find("offer_show", 2).backtest is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing.yaml",), "is no file"),
        (("offer_show@x",), "names no version"),
        (("FILE", "--since", "noon"), "cannot read the time 'noon'"),
        (("FILE", "--since", "2026-01-02", "--until", "2026-01-02"), "ends before it begins"),
    ],
)
def test_backtest_that_means_nothing_is_refused(
    run: Run, ledger: Database, candidate: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = run(*(str(candidate) if a == "FILE" else a for a in arguments))
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("ledger")
def test_backtest_of_a_broken_pack_says_where(run: Run, candidate: Path) -> None:
    text = candidate.read_text(encoding="utf-8")
    candidate.write_text(text.replace("person.held_out", "person.helt_out"), encoding="utf-8")
    result = run(candidate)
    assert result.exit_code == 2
    assert "candidate.yaml:" in result.stderr and "person.helt_out" in result.stderr


def test_backtest_file_that_cannot_be_compiled_is_refused(run: Run, tmp_path: Path) -> None:
    shipped = (RULES / "offer_show.yaml").read_text(encoding="utf-8")
    wide = " || ".join(f"person.shown_7d == {n}" for n in range(61))
    rule = f"\n  - {{id: w, description: x, when: {wide}, then: deny, reason: NO_CONSENT}}\n"
    file = tmp_path / "wide.yaml"
    file.write_text(shipped.rstrip("\n") + rule, encoding="utf-8")
    refused = run(file)
    assert refused.exit_code != 0
    assert "has 61 alternatives" in refused.output
