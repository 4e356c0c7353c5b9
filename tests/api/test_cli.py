"""The command says what is wrong in two lines, makes keys and starts quickly."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import COMMANDS, main
from engine.domain.clock import DAY, now
from engine.ledger.database import Database
from engine.ledger.keys import ApiKeys, Scope

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(main, arguments, env={"LISHANG_HOME": str(tmp_path)} | env)

    return invoke


def _keys(tmp_path: Path) -> ApiKeys:
    return ApiKeys(Database(f"sqlite:///{tmp_path}/lishang.db"))


def test_help_lists_every_command_without_loading_one() -> None:
    heavy = "sqlalchemy,pydantic,flask,mlflow,sklearn,duckdb,lightgbm,granian,rich"
    script = (
        "import sys\nfrom api.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print('LOADED', [m for m in '{heavy}'.split(',') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root
    )
    assert "LOADED []" in done.stdout
    assert all(name in done.stdout for name in COMMANDS)
    assert time.perf_counter() - started < 5  # 0.2 s on an idle machine


@pytest.mark.parametrize("name", ["migrate", "settings", "keys", "serve"])
def test_command_has_its_own_help(run: Run, name: str) -> None:
    assert run(name, "--help").exit_code == 0


def test_command_with_a_bad_setting_says_which_and_ends_with_2(run: Run) -> None:
    result = run("settings", PORT="eighty")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: PORT: ")
    assert "\nhint: " in result.stderr
    assert "Traceback" not in result.output


def test_settings_prints_every_variable_whole(run: Run) -> None:
    result = run("settings", PORT="81")
    assert result.exit_code == 0
    for variable in ("LISHANG_HOME", "LISHANG_DATABASE_URL", "MLFLOW_TRACKING_URI", "PORT"):
        assert variable in result.stdout
    assert " 81 " in result.stdout


def test_migrate_makes_the_schema_and_can_be_repeated(run: Run) -> None:
    first, second = run("migrate"), run("migrate")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout


def test_keys_create_prints_a_secret_that_works_and_is_shown_once(run: Run, tmp_path: Path) -> None:
    result = run("keys", "create", "--name", "shop", "--scopes", "gifts:check, ties:read")
    secret = result.stdout.strip()
    found = _keys(tmp_path).find(secret, now())
    assert found is not None
    assert found.scopes == {Scope.GIFTS_CHECK, Scope.TIES_READ}
    assert found.expires_at is not None
    assert abs(found.expires_at - now() - 90 * DAY) < DAY
    listed = run("keys", "list")
    assert found.key_id in listed.stdout
    assert "valid" in listed.stdout
    assert secret not in listed.stdout


@pytest.mark.parametrize("expires", ["12h", "2100-01-01", "2100-01-01T00:00:00+08:00", "never"])
def test_keys_create_takes_a_span_a_time_or_never(run: Run, tmp_path: Path, expires: str) -> None:
    result = run("keys", "create", "--name", "a", "--scopes", "admin", "--expires", expires)
    assert result.exit_code == 0, result.output
    (key,) = _keys(tmp_path).list()
    assert (key.expires_at is None) == (expires == "never")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--scopes", "gifts:eat"),
        ("--scopes", ","),
        ("--expires", "soon"),
        ("--expires", "2001-01-01"),
        ("--expires", "0d"),
        ("--name", ""),
    ],
)
def test_keys_create_with_unusable_terms_makes_none(
    run: Run, tmp_path: Path, option: str, value: str
) -> None:
    given = {"--name": "a", "--scopes": "admin", "--expires": "90d"} | {option: value}
    result = run("keys", "create", *[part for pair in given.items() for part in pair])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert _keys(tmp_path).list() == []


def test_keys_revoke_ends_and_rotate_renews(run: Run, tmp_path: Path) -> None:
    first = run("keys", "create", "--name", "a", "--scopes", "admin").stdout.strip()
    keys = _keys(tmp_path)
    key_id = keys.list()[0].key_id
    second = run("keys", "rotate", key_id).stdout.strip()
    third = run("keys", "rotate", key_id, "--grace", "1h").stdout.strip()
    assert [keys.find(s, now()) is not None for s in (first, second, third)] == [False, True, True]
    assert run("keys", "revoke", key_id).exit_code == 0
    assert [keys.find(s, now()) is not None for s in (second, third)] == [False, False]
    assert "revoked" in run("keys", "list").stdout
    assert run("keys", "rotate", key_id).exit_code == 2
    assert run("keys", "revoke", "k123").exit_code == 2
