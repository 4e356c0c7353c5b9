"""Lint of folders: what no pack shows by itself, the shipped rules, and the list of codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.domain.errors import PackInvalid
from engine.policy.cases import cases_in
from engine.policy.compiling import MOST_ALTERNATIVES, MOST_COMPARISONS
from engine.policy.findings import CODES, Finding, Severity, finding
from engine.policy.folder import packs_in
from engine.policy.lint import lint_folder, lint_pack
from engine.policy.reasons import REASONS_FILE, read_reasons

PACK = """\
pack: {0}
decides: {1}
version: 1
owner: test
jurisdiction: CN
effective: {{from: '{2}', until: '{3}'}}
rules:
  - id: a
    description: A rule.
    when: {4}
    then: deny
    reason: {5}
    cite: {{source: ours, verified: false}}
"""
YEARS = {year: f"{year}-01-01T00:00:00+00:00" for year in range(2026, 2031)}
WORDS = "    en: {text: No., next_step: Stop.}\n    zh: {text: 不。, next_step: 停。}\n"


def pack(name: str, begins: int, ends: int, decides: str = "offer_show", reason: str = "NO") -> str:
    when = "person.held_out" if decides == "offer_show" else "gift.to_self"
    return PACK.format(name, decides, YEARS[begins], YEARS[ends], when, reason)


def reasons(*written: str) -> str:
    return "reasons:\n" + "".join(f"  - {one}\n{WORDS}" for one in written)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / REASONS_FILE).write_text(reasons("code: NO"), encoding="utf-8")
    (tmp_path / "one.yaml").write_text(pack("one", 2026, 2028), encoding="utf-8")
    return tmp_path


def test_lint_folder_sound_folder_has_no_findings(folder: Path) -> None:
    (folder / "two.yaml").write_text(pack("two", 2028, 2030), encoding="utf-8")
    (folder / "gift.yaml").write_text(pack("gift", 2026, 2030, "gift_send"), encoding="utf-8")
    assert lint_folder(folder) == []


@pytest.mark.parametrize(
    "stray", ["one.yml", "cases/one.yml", "cases/more/one.yaml", "more/x.yaml"]
)
def test_file_that_nobody_would_read_is_found_by_lint_and_refused_by_the_rest(
    folder: Path, stray: str
) -> None:
    (folder / stray).parent.mkdir(parents=True, exist_ok=True)
    (folder / stray).write_text(pack("two", 2028, 2030), encoding="utf-8")
    (found,) = lint_folder(folder)
    assert (found.code, found.where) == ("UNREADABLE", f"{folder / stray}:1:1")
    with pytest.raises(PackInvalid, match="neither a pack nor cases"):
        packs_in(folder)


def test_folder_mounted_from_a_configmap_is_read(folder: Path) -> None:
    version = folder / "..2026_11_22"
    (version / "cases").mkdir(parents=True)
    (folder / "one.yaml").rename(version / "one.yaml")
    (folder / "..data").symlink_to(version.name)
    (folder / "one.yaml").symlink_to("..data/one.yaml")
    (version / "cases" / "gift.yaml").write_text("cases: []", encoding="utf-8")
    assert [pack.file for pack in packs_in(folder)] == ["one.yaml"]
    assert lint_folder(folder) == []


def test_cases_beside_one_pack_are_read_whatever_else_lies_there(folder: Path) -> None:
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / "more").mkdir()
    (folder / "more" / "x.yaml").write_text("a: 1", encoding="utf-8")
    assert cases_in(folder) == []


def test_lint_folder_without_packs_says_so(folder: Path) -> None:
    (folder / "one.yaml").unlink()
    assert lint_folder(folder)[0] == finding(
        "NO_PACKS", f"{folder}:1:1", "there are no rule packs", "check LISHANG_RULES"
    )


def test_lint_folder_file_that_cannot_be_read_hides_no_other(folder: Path) -> None:
    (folder / "bad.yaml").write_bytes(b"\xff\xfe")
    (folder / "one.yaml").write_text(pack("one", 2026, 2028, reason="NAY"), encoding="utf-8")
    unreadable, unknown, unused = lint_folder(folder)
    assert (unreadable.code, unreadable.where) == ("UNREADABLE", f"{folder}/bad.yaml:1:1")
    assert unreadable.message.startswith("cannot read bad.yaml: 'utf-8' codec can't decode byte")
    assert unreadable.hint == "name a text file in UTF-8 that is there"
    assert unknown.code == "UNKNOWN_REASON"
    assert unused.code == "UNUSED_REASON"


def test_lint_folder_without_reasons_says_so_and_leaves_them_unchecked(folder: Path) -> None:
    (folder / REASONS_FILE).unlink()
    (found,) = lint_folder(folder)
    assert (found.code, found.where) == ("UNREADABLE", f"{folder}/{REASONS_FILE}:1:1")


def test_lint_folder_packs_that_hold_at_once_are_all_named(folder: Path) -> None:
    (folder / "two.yaml").write_text(pack("two", 2027, 2029), encoding="utf-8")
    (folder / "six.yaml").write_text(pack("six", 2027, 2028), encoding="utf-8")
    found = lint_folder(folder)
    assert {f.code for f in found} == {"OVERLAPPING_WINDOWS"}
    assert [(f.where, f.message) for f in found] == [
        (f"{folder}/{later}.yaml:6:19", f"{pair} both decide offer_show from 2027-01-01T00:00:00Z")
        for later, pair in [
            ("six", "one.yaml and six.yaml"),
            ("two", "one.yaml and two.yaml"),
            ("two", "six.yaml and two.yaml"),
        ]
    ]
    assert {f.hint for f in found} == {"end the earlier pack where the later one begins"}


def test_lint_folder_reason_that_no_rule_gives_is_found(folder: Path) -> None:
    text = reasons(
        "code: NO",
        "code: SPARE",
        "code: COARSE",
        "{code: FINE, shown_as: COARSE}".replace("{", "").replace("}", "").replace(", ", "\n    "),
        "code: LIKED\n    given_by: models",
        "code: OLD\n    given_by: nobody",
    )
    (folder / REASONS_FILE).write_text(text, encoding="utf-8")

    def unused() -> list[Finding]:
        return lint_folder(folder)

    hint = "say given_by: models, or given_by: nobody; a code is never taken out"
    assert unused() == [
        finding(
            "UNUSED_REASON",
            f"{folder}/{REASONS_FILE}:{line}:11",
            f"no rule gives the reason {code}",
            hint,
        )
        for line, code in [(5, "SPARE"), (8, "COARSE"), (11, "FINE")]
    ]
    # A code that stands for one that is given is given with it.
    two = pack("two", 2028, 2029, reason="FINE")
    (folder / "two.yaml").write_text(two, encoding="utf-8")
    assert [f.message for f in unused()] == ["no rule gives the reason SPARE"]
    # A rule that is not understood may be meant to give it.
    broken = two.replace("FINE", "SPARE").replace("person.held_out", "person.held")
    (folder / "two.yaml").write_text(broken, encoding="utf-8")
    assert [f.code for f in unused() if "SPARE" in f.message] == []


def test_lint_folder_shipped_rules_have_neither_errors_nor_warnings(rules_folder: Path) -> None:
    grave = [f for f in lint_folder(rules_folder) if f.severity is not Severity.NOTE]
    assert grave == []


def test_lint_pack_says_the_same_each_time(rules_folder: Path) -> None:
    text = (rules_folder / "gift_send.yaml").read_text(encoding="utf-8")
    words = (rules_folder / REASONS_FILE).read_text(encoding="utf-8")
    once, again = (
        lint_pack(text, "gift_send.yaml", read_reasons(words, REASONS_FILE)) for _ in range(2)
    )
    assert once == again
    assert once == sorted(once, key=lambda f: (f.place, f.severity.rank))


def test_documentation_lists_every_code_with_its_severity(rules_folder: Path) -> None:
    text = (rules_folder.parent / "docs" / "lint.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([A-Z_]+)` \| (error|warning|note) \| .+ \| .+ \|$", text, re.M)
    assert len(listed) == len(dict(listed))
    assert dict(listed) == {code: severity.value for code, severity in CODES.items()}
    assert f"{MOST_ALTERNATIVES} alternatives" in text
    assert f"{MOST_COMPARISONS} comparisons" in text
