"""`lishang export ties`: who may, what is in the file, and what is on record afterwards."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import structlog
from click.testing import CliRunner, Result

from api.cli import main
from api.commands.export import export_and_log
from engine.domain.clock import DAY, HOUR, now, to_micros
from engine.domain.errors import InvalidInput
from engine.domain.events import ConsentChanged, FriendshipChanged, Interacted
from engine.domain.pack_life import Actor
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, closed_form
from engine.domain.people import Purpose
from engine.domain.structure import unknown
from engine.ledger import intake
from engine.ledger.database import Database
from engine.ledger.ego import read_ego
from engine.ledger.keys import ApiKeys, Scope
from models.tie_rows import TieRows
from models.ties import TieModel
from training.registry import ModelRegistry

START = 1_700_000_000_000_000
ANN = Actor("k1", "ann")
Run = Callable[..., Result]


def _rows(pairs: int, seed: int) -> TieRows:
    """Pairs that message at a steady rate of their own, before an instant and after it."""
    rng = np.random.default_rng(seed)
    rate = rng.lognormal(-3.0, 1.2, pairs)  # messages a day
    before = rng.poisson(rate * 60) + 1
    pair = np.repeat(np.arange(pairs), before)
    at = START + rng.integers(0, 60 * DAY, len(pair))
    ahead = rng.random(len(pair)) < 0.5
    kind = np.full(len(pair), int(Kind.MESSAGE))
    out, back = (
        closed_form(DEFAULT_LAYOUT, pair[m], kind[m], np.ones(m.sum()), at[m], pairs)
        for m in (ahead, ~ahead)
    )
    amount = rng.poisson(rate * 14).astype(np.float64)
    ends = np.full(pairs, START + 60 * DAY)
    return TieRows(out, back, unknown(pairs), ends, amount, np.arange(pairs))


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """The export sets up the log of its process, which here is that of other tests, too."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="module")
def model() -> TieModel:
    """A real tie model, of few pairs."""
    return TieModel.fit(
        _rows(150, 0), _rows(150, 1), 14 * DAY, begins=START, cutoff=START + 74 * DAY, seed=3
    )


@pytest.fixture
def ledger(sqlite_database: Database) -> Database:
    """Two who call each other, one who is only called, two friends, and one who objects."""
    at = now()
    calls = [("an", "bo"), ("bo", "an"), ("an", "cy"), ("an", "di")]
    friends = [("cy", "ed"), ("ed", "cy")]
    refusal = ConsentChanged("no", at - HOUR, "di", Purpose.TIE_SCORING, granted=False)
    with sqlite_database.writing() as unit:
        intake.receive(
            unit,
            [
                *(Interacted(f"{p}", at - DAY, *p, "call", 3.0) for p in calls),
                *(FriendshipChanged(f"f{p}", at - DAY, *p, True) for p in friends),
                refusal,
            ],
            at,
        )
    return sqlite_database


@pytest.fixture
def run(tmp_path: Path, ledger: Database, sqlite_url: str) -> Run:
    def invoke(*arguments: str, **env: str) -> Result:
        given = {"LISHANG_HOME": str(tmp_path / "home"), "LISHANG_DATABASE_URL": sqlite_url}
        quiet = {"LISHANG_LOG_LEVEL": "error", "LISHANG_KEY": ""}
        return CliRunner().invoke(main, ["export", "ties", *arguments], env=given | quiet | env)

    return invoke


def _lines(told: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.splitlines() if line.startswith("{")]


def test_export_writes_every_scorable_tie_from_both_ends_as_the_model_scores_it(
    ledger: Database, model: TieModel, tmp_path: Path
) -> None:
    path = tmp_path / "ties.parquet"
    export_and_log(ledger, model, path, ANN)
    rows = pq.read_table(path).to_pylist()
    pairs = {("an", "bo"), ("bo", "an"), ("an", "cy"), ("cy", "an"), ("cy", "ed"), ("ed", "cy")}
    assert {(row["sender"], row["recipient"]) for row in rows} == pairs
    assert len(rows) == len(pairs)
    at = to_micros(rows[0]["as_of"])
    with ledger.reading() as unit:
        ego = read_ego(unit, "an", at)
    scores = model.score(ego.out, ego.back, ego.structure, at)
    expected = dict(zip(ego.recipients, scores, strict=True))
    for row in (row for row in rows if row["sender"] == "an"):
        score = expected[row["recipient"]]
        figures = (score.strength, score.p_exchange, score.asymmetry, score.observations)
        told = tuple(row[n] for n in ("strength", "p_exchange", "asymmetry", "observations"))
        np.testing.assert_allclose(told, figures, rtol=1e-12)
        assert (row["tie_class"], row["model_version"]) == (score.tie_class.value, "unregistered")
        assert to_micros(row["as_of"]) == at


def test_export_is_on_record(ledger: Database, model: TieModel, tmp_path: Path, capsys) -> None:
    path = tmp_path / "ties.parquet"
    export_and_log(ledger, model, path, ANN)
    begun, ended = _lines(capsys.readouterr().err)
    for line in (begun, ended):
        told = (line["key"], line["name"], line["model"], line["version"], line["file"])
        assert told == ("k1", "ann", "ties", "unregistered", str(path))
    assert (begun["event"], "ties" in begun) == ("ties export begun", False)
    assert (ended["event"], ended["ties"]) == ("ties exported", 6)
    kept = pq.read_schema(path).metadata
    assert kept[b"exported_by"] == b"k1 ann"
    assert kept[b"as_of"].decode() == ended["as_of"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_export_that_fails_leaves_no_file_but_a_line(
    ledger: Database, model: TieModel, tmp_path: Path, capsys
) -> None:
    with ledger.writing() as unit:
        unit.exec_driver_sql("UPDATE ties SET state = zeroblob(8) WHERE recipient = 'cy'")
    with pytest.raises(InvalidInput, match="1 numbers"):
        export_and_log(ledger, model, tmp_path / "ties.parquet", ANN)
    assert [line["event"] for line in _lines(capsys.readouterr().err)] == ["ties export begun"]
    assert list(tmp_path.glob("*ties.parquet*")) == []


def test_export_replaces_no_file(ledger: Database, model: TieModel, tmp_path: Path) -> None:
    path = tmp_path / "ties.parquet"
    path.write_text("mine")
    with pytest.raises(InvalidInput, match="exists already"):
        export_and_log(ledger, model, path, ANN)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("scope", [None, Scope.TIES_READ])
def test_export_without_its_scope_reads_and_writes_nothing(
    run: Run, ledger: Database, tmp_path: Path, scope: Scope | None
) -> None:
    secret = "" if scope is None else _key(ledger, scope)[1]
    result = run(str(tmp_path / "ties.parquet"), LISHANG_KEY=secret)
    assert result.exit_code == 2
    assert "ties:export" in result.stderr
    assert _lines(result.stderr) == []
    assert list(tmp_path.glob("*ties.parquet*")) == []


@pytest.mark.slow
def test_export_command_asks_for_a_champion_and_logs_whatever_the_log_level(
    run: Run, ledger: Database, model: TieModel, tmp_path: Path
) -> None:
    path = tmp_path / "ties.parquet"
    key, secret = _key(ledger, Scope.TIES_EXPORT)
    result = run(str(path), LISHANG_KEY=secret)
    assert result.exit_code == 2
    assert "lishang train ties" in result.stderr
    model.save(tmp_path / "model")
    registry = ModelRegistry(None, tmp_path / "home")
    registry.publish("ties", tmp_path / "model", {}, {}, promote=True)
    result = run(str(path), LISHANG_KEY=secret)
    assert result.exit_code == 0, result.output
    begun, ended = _lines(result.stderr)
    assert (begun["key"], begun["version"], ended["ties"]) == (key, "1", 6)
    assert pq.read_metadata(path).num_rows == 6


def _key(ledger: Database, *scopes: Scope) -> tuple[str, str]:
    return ApiKeys(ledger).create("ann", frozenset(scopes), None, now())
