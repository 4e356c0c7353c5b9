"""`lishang rules lint`: what people read, what CI reads, and how the command ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main

Run = Callable[..., Result]

REASONS = """\
reasons:
  - code: NO
    en: {text: No., next_step: Stop.}
    zh: {text: 不。, next_step: 停。}
"""
PACK = """\
pack: offers
decides: offer_show
version: 1
owner: test
jurisdiction: CN
effective: {from: '2026-01-01T00:00:00+08:00'}
rules:
  - id: cap
    description: A cap.
    when: person.shown_7d > 7
    then: deny
    reason: NO
    cite: {source: ours, verified: false}
"""
NARROWER = """\
  - id: narrower
    description: Within the other.
    when: person.shown_7d > 9 && offer.category == 'tea'
    then: deny
    reason: NO
    cite: {source: the law, verified: false}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of rules in which nothing is wrong."""
    made = tmp_path / "rules"
    made.mkdir()
    (made / "reasons.yaml").write_text(REASONS, encoding="utf-8")
    (made / "offers.yaml").write_text(PACK, encoding="utf-8")
    return made


@pytest.fixture
def run(tmp_path: Path, folder: Path) -> Run:
    env = {"LISHANG_HOME": str(tmp_path / "home"), "LISHANG_RULES": str(folder)}

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["rules", "lint", *arguments], env=env)

    return invoke


def test_rules_lint_sound_folder_ends_with_0_even_when_strict(run: Run) -> None:
    result = run("--strict")
    assert (result.exit_code, result.stdout) == (0, "0 errors, 0 warnings, 0 notes\n")


def test_rules_lint_warning_ends_with_1_only_when_strict(run: Run, folder: Path) -> None:
    (folder / "offers.yaml").write_text(PACK + NARROWER, encoding="utf-8")
    assert run().exit_code == 0
    assert run("--strict").exit_code == 1
    assert run("--strict", "--format", "json").exit_code == 1


def test_rules_lint_error_ends_with_2_beside_warnings(run: Run, folder: Path) -> None:
    broken = (PACK + NARROWER).replace("then: deny", "then: denied", 1)
    (folder / "offers.yaml").write_text(broken, encoding="utf-8")
    assert run().exit_code == 2
    assert run("--strict").exit_code == 2


def test_rules_lint_text_shows_place_severity_code_message_hint_and_witness(
    run: Run, folder: Path
) -> None:
    (folder / "offers.yaml").write_text(PACK + NARROWER, encoding="utf-8")
    assert run().stdout == (
        f"{folder}/offers.yaml:14:5 warning SUBSUMED the rule 'narrower' fires only where 'cap' "
        "(line 8) fires, and that one denies too: this one changes nothing\n"
        "    hint: take it out, or narrow 'cap'\n"
        '    witness: {offer.category: "tea", person.shown_7d: 10}\n'
        f"{folder}/offers.yaml:14:5 note UNVERIFIED nobody has checked the rule 'narrower' "
        "against its source\n"
        "    hint: let counsel read it beside: the law\n"
        "0 errors, 1 warning, 1 note\n"
    )


def test_rules_lint_json_is_one_object_with_everything(run: Run, folder: Path) -> None:
    (folder / "offers.yaml").write_text(PACK + NARROWER, encoding="utf-8")
    report = json.loads(run("--format", "json").stdout)
    assert list(report) == ["checked", "counts", "findings"]
    assert report["checked"] == [str(folder)]
    assert report["counts"] == {"error": 0, "warning": 1, "note": 1}
    assert report["findings"][0] == {
        "code": "SUBSUMED",
        "severity": "warning",
        "file": f"{folder}/offers.yaml",
        "line": 14,
        "column": 5,
        "rule": "narrower",
        "message": "the rule 'narrower' fires only where 'cap' (line 8) fires, "
        "and that one denies too: this one changes nothing",
        "hint": "take it out, or narrow 'cap'",
        "witness": {"offer.category": "tea", "person.shown_7d": 10},
    }


def test_rules_lint_files_are_judged_by_the_reasons_beside_them(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.yaml"
    alone.write_text(PACK, encoding="utf-8")
    assert run(str(alone)).exit_code == 0  # by the reasons of LISHANG_RULES
    (tmp_path / "reasons.yaml").write_text(REASONS.replace("NO", "NAY"), encoding="utf-8")
    result = run(str(alone), str(folder / "offers.yaml"))
    assert result.exit_code == 2
    assert re.findall(r"^(\S+) error (\S+)", result.stdout, re.M) == [
        (f"{alone}:8:5", "UNKNOWN_REASON")
    ]


def test_rules_lint_reason_catalogue_is_judged_by_itself(run: Run, folder: Path) -> None:
    assert run(str(folder / "reasons.yaml")).exit_code == 0
    (folder / "reasons.yaml").write_text(REASONS.replace("code", "kode"), encoding="utf-8")
    result = run(str(folder / "reasons.yaml"))
    assert result.exit_code == 2
    assert "error WRONG_SHAPE reasons.0.code: Field required" in result.stdout


def test_rules_lint_file_that_is_no_text_is_a_finding(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe")
    result = run(str(tmp_path / "bad.yaml"), "--format", "json")
    assert result.exit_code == 2
    assert [f["code"] for f in json.loads(result.stdout)["findings"]] == ["UNREADABLE"]


def test_rules_lint_path_that_is_not_there_ends_with_2(run: Run) -> None:
    result = run("nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


def test_rules_lint_default_folder_is_named_from_here(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "offers.yaml").write_text(PACK + NARROWER, encoding="utf-8")
    monkeypatch.chdir(folder.parent)
    assert run().stdout.startswith("rules/offers.yaml:14:5 warning SUBSUMED")
