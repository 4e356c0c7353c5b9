"""`lishang rules test`: what it prints, for whom, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main

Run = Callable[..., Result]

PACK = """\
pack: settle
decides: gift_settle
version: 2
owner: test
jurisdiction: CN
effective: {from: 2026-01-01T00:00:00+08:00}
rules:
  - id: dear
    description: A share of dear gifts.
    when: gift.price_fen > 100
    then: {set: {settle.platform_ppm: 250000}}
    examples:
      - {facts: {gift.price_fen: 99}, fires: false}
      - {facts: {gift.price_fen: 100}, fires: false}
      - {facts: {gift.price_fen: 101}, fires: true}
"""
CASES = """\
decides: gift_settle
base:
  gift.relation: friend
  gift.tier: basic
  gift.kind: voucher
  gift.price_fen: 900
  gift.has_brand: false
  gift.has_creator: false
  gift.has_ip_owner: false
cases:
  - {name: dear, effect: allow, fired: [dear], outputs: {settle.platform_ppm: 250000}}
"""
REASONS = """\
reasons:
  - {code: NO, en: {text: t, next_step: n}, zh: {text: t, next_step: n}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one sound pack with one case."""
    made = tmp_path / "rules"
    (made / "cases").mkdir(parents=True)
    (made / "settle.yaml").write_text(PACK, encoding="utf-8")
    (made / "reasons.yaml").write_text(REASONS, encoding="utf-8")
    (made / "cases" / "settle.yaml").write_text(CASES, encoding="utf-8")
    return made


@pytest.fixture
def run(tmp_path: Path, folder: Path) -> Run:
    def invoke(*arguments: object) -> Result:
        env = {"LISHANG_HOME": str(tmp_path), "LISHANG_RULES": str(folder)}
        return CliRunner().invoke(main, ["rules", "test", *map(str, arguments)], env=env)

    return invoke


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_rules_test_sound_rules_end_with_0(run: Run) -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (
        0,
        "settle version 2: sound; 1 of 1 rules fired, "
        "3 of 3 places at and beside thresholds probed, 3 examples, 1 cases, 0 failed\n",
    )


def test_rules_test_failure_ends_with_1_and_says_where(run: Run, folder: Path) -> None:
    _replace(folder / "cases" / "settle.yaml", "fired: [dear]", "fired: []")
    result = run()
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "cases/settle.yaml:11:5: case 'dear': "
        "expected exactly these rules to fire: none, found dear\n"
    )
    assert "NOT sound" in result.stdout


def test_rules_test_gap_ends_with_1_and_says_what_to_add(run: Run, folder: Path) -> None:
    _replace(folder / "settle.yaml", "      - {facts: {gift.price_fen: 99}, fires: false}\n", "")
    result = run()
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "settle.yaml:8:5: dear: gift.price_fen > 100 is never probed at 99\n"
        "    add - {facts: {gift.price_fen: 99}, fires: false}\n"
    )


def test_rules_test_unreadable_file_ends_with_2(run: Run, folder: Path) -> None:
    _replace(folder / "cases" / "settle.yaml", "  gift.tier: basic\n", "")
    result = run()
    assert result.exit_code == 2
    assert "error: cases/settle.yaml:3:3: the base leaves out gift.tier" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("rules/cases/settle.yaml", "is no pack"),
        ("rules/reasons.yaml", "is no pack"),
        ("empty", "there is no pack in"),
        ("nowhere", "does not exist"),
    ],
)
def test_rules_test_path_without_a_pack_ends_with_2(
    run: Run, tmp_path: Path, path: str, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / path)
    assert result.exit_code == 2
    assert message in result.stderr


def test_rules_test_json_is_for_machines(run: Run, folder: Path) -> None:
    told = json.loads(run("--format", "json").stdout)
    assert told["sound"] is True
    assert told["unclaimed"] == []
    (pack,) = told["packs"]
    assert (pack["pack"], pack["version"], pack["sound"], pack["cases"]) == ("settle", 2, True, 1)
    _replace(
        folder / "settle.yaml", "price_fen: 101}, fires: true", "price_fen: 101}, fires: false"
    )
    result = run("--format", "json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["sound"] is False
    assert told["packs"][0]["failures"][0]["where"] == "settle.yaml:15:9"


def test_rules_test_pack_elsewhere_uses_its_own_cases_and_reasons(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "draft"
    shutil.copytree(folder, other)
    (other / "reasons.yaml").unlink()  # those in service stand in
    _replace(other / "settle.yaml", "> 100", "> 1000")
    assert run(folder / "settle.yaml").exit_code == 0
    result = run(folder, other / "settle.yaml")
    assert result.exit_code == 1
    assert "settle.yaml:15:9: example 3 of dear: expected it to fire" in result.stdout
    assert "cases/settle.yaml:11:5: case 'dear'" in result.stdout


def test_rules_test_reasons_beside_the_pack_come_before_those_in_service(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "draft"
    shutil.copytree(folder, other)
    _replace(other / "settle.yaml", "    examples:", "    reason: ODD\n    examples:")
    result = run(other)
    assert result.exit_code == 2
    assert "gives the unknown reason ODD" in result.stderr
    _replace(other / "reasons.yaml", "code: NO", "code: ODD")
    assert run(other).exit_code == 0


def test_rules_test_case_that_no_pack_decides_is_no_silence(run: Run, folder: Path) -> None:
    _replace(
        folder / "cases" / "settle.yaml", "decides:", "at: 2020-01-01T00:00:00+08:00\ndecides:"
    )
    result = run()
    assert result.exit_code == 1
    assert "case 'dear': no pack here decides gift_settle then" in result.stdout
    assert run(folder / "settle.yaml").exit_code == 0


def test_rules_test_shipped_rules_are_sound_and_quick_to_test() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "rules", "test", "--format", "json", root / "rules"],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        timeout=60,  # 1.5 s on an idle machine
    )
    told = json.loads(done.stdout)
    left = [(p["failures"], p["coverage"]["gaps"]) for p in told["packs"] if not p["sound"]]
    assert left == []
    assert done.returncode == 0
    assert {pack["pack"] for pack in told["packs"]} >= {"gift_send", "gift_settle", "offer_show"}
    assert all(pack["cases"] for pack in told["packs"])
