"""`lishang import` from the shell: files in, a table out, refusals in two lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from api.cli import main
from engine.ledger.database import Database
from engine.ledger.structure import MOST_PAIRS
from training.importing import FILE_KINDS

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, sqlite_url: str) -> Run:
    env = {"LISHANG_HOME": str(tmp_path), "LISHANG_DATABASE_URL": sqlite_url}

    def invoke(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, ["import", *map(str, arguments)], env=env)

    return invoke


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    path = tmp_path / "messages.csv"
    path.write_text("from,to,occurred_at\nann,bob,1\nann,bob,1\nbob,ann,2\n")
    return path


def stored(url: str, query: str) -> int:
    with Database(url).reading() as connection:
        return int(connection.execute(text(query)).scalar_one())


MAP = ("--map", "sender=from", "--map", "interactions.recipient=to")


def test_import_command_makes_the_ledger_and_tells_what_went_in(
    run: Run, messages: Path, sqlite_url: str
) -> None:
    first = run("--interactions", messages, *MAP, "--assume-consents", "offers,tie_scoring")
    assert first.exit_code == 0, first.output
    assert "3 rows in" in first.stdout
    assert "2 people met, 4 consents recorded, 2 ties computed" in first.stdout
    again = run("--interactions", messages, *MAP)
    assert "0 people met, 0 consents recorded, 0 ties computed" in again.stdout
    assert stored(sqlite_url, "SELECT count(*) FROM interactions") == 3


def test_import_command_refuses_bad_rows_and_says_where(
    run: Run, messages: Path, sqlite_url: str
) -> None:
    messages.write_text(messages.read_text() + "ann,,3\n")
    result = run("--interactions", messages, *MAP)
    assert result.exit_code == 2
    assert f"{messages}:5: recipient: missing" in result.stderr
    assert "--max-bad 1" in result.stderr
    assert stored(sqlite_url, "SELECT count(*) FROM interactions") == 0
    listed = messages.with_name("mine.csv")
    allowed = run("--interactions", messages, *MAP, "--max-bad", "1", "--rejects", listed)
    assert allowed.exit_code == 0
    assert f"bad rows are listed in {listed}" in allowed.stdout
    assert listed.read_text() == f"at,field,reason,value\n{messages}:5,recipient,missing,\n"


def test_import_command_reads_times_in_the_unit_given(
    run: Run, messages: Path, sqlite_url: str
) -> None:
    assert run("--interactions", messages, *MAP, "--time-unit", "d").exit_code == 0
    assert stored(sqlite_url, "SELECT max(occurred_at) FROM interactions") == 2 * 86_400_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Name a file"),
        (("--preset", "copenhagen"), "takes the folder"),
        (("--map", "sender"), "not of the form field=column"),
        (("--assume-consents", "fame"), "'fame' is not one of offers"),
        (("--assume-consents", "offers,guardian"), "'guardian' is not one of offers"),
        (("--time-unit", "weeks"), "is not one of"),
        (("--max-bad", "-1"), "-1 is not in the range"),
        (("--gifts", "nowhere.csv"), "does not exist"),
    ],
)
def test_import_command_called_wrongly_says_how(
    run: Run, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LISHANG_DATA", raising=False)  # it names the folder of a preset
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_import_command_finds_a_preset_by_the_data_folder(
    run: Run, lishang_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISHANG_DATA", str(lishang_data))
    result = run("--preset", "copenhagen")
    assert result.exit_code == 0, result.output
    assert "24,333" in result.output


def test_import_command_reads_a_preset_and_writes_nothing_beside_it(
    run: Run, lishang_data: Path, sqlite_url: str
) -> None:
    folder = lishang_data / "copenhagen"
    before = sorted(folder.iterdir())
    result = run("--preset", "copenhagen", folder)
    assert result.exit_code == 0, result.output
    assert "24,333" in result.stdout
    assert sorted(folder.iterdir()) == before
    people = stored(sqlite_url, "SELECT count(*) FROM people")
    assert stored(sqlite_url, "SELECT count(*) FROM consents") == 3 * people


def test_import_command_preset_without_consents_records_none(
    run: Run, lishang_data: Path, sqlite_url: str
) -> None:
    result = run("--preset", "copenhagen", lishang_data / "copenhagen", "--assume-consents", "")
    assert result.exit_code == 0, result.output
    assert stored(sqlite_url, "SELECT count(*) FROM consents") == 0


def test_import_help_and_page_name_every_field(run: Run) -> None:
    shown = run("--help").stdout
    page = (Path(__file__).resolve().parents[2] / "docs" / "import.md").read_text("utf-8")
    for kind in FILE_KINDS.values():
        assert f"--{kind.name.replace('_', '-')}" in shown
        section = page.split(f"### `--{kind.name.replace('_', '-')}`")[1].split("###")[0]
        for field in kind.fields:
            assert field.name in shown
            assert f"| `{field.name}` |" in section, (kind.name, field.name)


def test_import_of_few_friendships_computes_the_structure_around_them(
    run: Run, tmp_path: Path, sqlite_url: str
) -> None:
    path = tmp_path / "friendships.csv"
    path.write_text("person,friend,since\nbob,ann,1\nann,bob,1\nann,cy,1\n")
    assert "refresh structure" not in run("--friendships", path).stdout
    assert stored(sqlite_url, "SELECT count(*) FROM tie_structure") == 1
    assert "refresh structure" not in run("--friendships", path).stdout  # nothing changed


def test_import_of_many_friendships_says_what_computes_the_structure_around_them(
    run: Run, tmp_path: Path, sqlite_url: str
) -> None:
    path = tmp_path / "friendships.csv"
    rows = [f"{a},{b},1\n" for n in range(MOST_PAIRS + 1) for a, b in ((n, "x"), ("x", n))]
    path.write_text("person,friend,since\n" + "".join(rows))
    assert "now run lishang refresh structure" in run("--friendships", path).stdout
    assert stored(sqlite_url, "SELECT count(*) FROM tie_structure") == 0
    assert "refresh structure" not in run("--friendships", path).stdout
