"""Case files: what is read, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.clock import parse_time
from engine.domain.errors import PackInvalid, PolicyError
from engine.domain.verdicts import Effect
from engine.policy.cases import Case, cases_in, read_cases
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType, Output

CATALOGUES = {
    "pay": FactCatalogue(
        "pay",
        [
            FactEntry("gift.price_fen", FactType.INT, "test", "a price", "fen"),
            FactEntry("gift.tier", FactType.TEXT, "test", "a tier", values=("basic", "scene")),
            FactEntry("sender.age_years", FactType.INT, "test", "an age", "years", 0),
        ],
        [Output("pay.share_ppm", FactType.INT, "a share", "ppm", 0, 1_000_000)],
    )
}
FILE = """\
decides: pay
base:
  gift.price_fen: 900
  gift.tier: basic
  sender.age_years: null
cases:
  - name: as it is
    effect: allow
    fired: []
  - name: a child
    facts: {sender.age_years: 12, gift.price_fen: 1}
    effect: deny
    fired: [no_child, dear]
    reasons: [TOO_YOUNG]
    outputs: {pay.share_ppm: 5}
"""


def read(text: str) -> list[Case]:
    return read_cases(text, "cases/pay.yaml", CATALOGUES)


def test_case_is_its_base_with_its_changes() -> None:
    plain, child = read(FILE)
    assert plain.facts.values == {
        "gift.price_fen": 900,
        "gift.tier": "basic",
        "sender.age_years": 0,
        "sender.age_years_known": False,
    }
    assert (plain.effect, plain.fired, plain.reasons, plain.outputs) == (
        Effect.ALLOW,
        frozenset(),
        None,
        None,
    )
    assert child.facts.values == {
        "gift.price_fen": 1,
        "gift.tier": "basic",
        "sender.age_years": 12,
        "sender.age_years_known": True,
    }
    assert (child.effect, child.fired) == (Effect.DENY, {"no_child", "dear"})
    assert (child.reasons, child.outputs) == ({"TOO_YOUNG"}, {"pay.share_ppm": 5})
    assert (child.name, child.decides, child.at) == ("a child", "pay", None)
    assert child.written_at == "cases/pay.yaml:10:5"


def test_cases_of_a_time_carry_it() -> None:
    assert read("at: 2027-01-01T00:00:00+08:00\n" + FILE)[0].at == parse_time(
        "2027-01-01T00:00:00+08:00"
    )


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("decides: pay", "decides: pays", "1:10: no decision is called 'pays'", "known: pay"),
        (
            "  gift.tier: basic\n",
            "",
            "3:3: the base leaves out gift.tier",
            "null for what nobody knows",
        ),
        ("900", "null", "3:19: gift.price_fen must always be known", "give a whole number"),
        ("900", "'900'", "3:19: gift.price_fen must be a whole number, not str", "a price"),
        ("900", "9.5", "3:19: base.gift.price_fen: ", "docs/rules.md"),
        ("tier: basic", "tier: basis", "4:14: gift.tier must be one of basic, scene", "a tier"),
        ("gift.price_fen: 1", "gift.prize_fen: 1", "11:35: unknown fact", "gift.price_fen?"),
        (
            "{sender.age_years: 12",
            "{sender.age_years_known: true",
            "11:13: unknown fact 'sender.age_years_known'",
            "write sender.age_years: null where nobody knows it",
        ),
        ("years: 12", "years: true", "11:31: sender.age_years must be a whole number", "an age"),
        ("effect: deny", "effect: refuse", "12:13: cases.1.effect: ", "docs/rules.md"),
        ("    effect: allow\n", "", "7:5: cases.0.effect: Field required", "docs/rules.md"),
        ("no_child, dear", "dear, dear", "13:19: 'dear' stands twice", "once or not at all"),
        ("name: a child", "name: as it is", "10:11: two cases are called 'as it is'", "what it"),
        ("share_ppm: 5", "share_ppm: -5", "15:15: pay.share_ppm must lie within 0", "share_ppm"),
        ("pay.share_ppm: 5", "pay.part: 5", "15:15: pay.part is no output", "pay.share_ppm"),
        ("fired: []", "fired: []\n    note: x", "10:5: cases.0.note: ", "docs/rules.md"),
        ("decides: pay", "at: soon\ndecides: pay", "1:5: 'soon' is no instant", "offset"),
    ],
)
def test_read_cases_names_what_is_wrong_and_where(
    old: str, new: str, message: str, hint: str
) -> None:
    assert FILE.count(old) == 1
    with pytest.raises(PackInvalid) as refused:
        read(FILE.replace(old, new))
    assert refused.value.message.startswith(f"cases/pay.yaml:{message}")
    assert hint in refused.value.hint


def test_cases_in_reads_every_file_of_the_folder_in_order(tmp_path: Path) -> None:
    assert cases_in(tmp_path, CATALOGUES) == []
    folder = tmp_path / "cases"
    folder.mkdir()
    (folder / "b.yaml").write_text(FILE, encoding="utf-8")
    (folder / "a.yaml").write_text(FILE.replace("a child", "一个孩子"), encoding="utf-8")
    (folder / "notes.txt").write_text("no cases", encoding="utf-8")
    cases = cases_in(tmp_path, CATALOGUES)
    assert [case.name for case in cases] == ["as it is", "一个孩子", "as it is", "a child"]
    assert cases[1].written_at == "cases/a.yaml:10:5"


def test_cases_in_file_that_is_no_text_is_a_policy_error(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PolicyError, match=r"cannot read a\.yaml"):
        cases_in(tmp_path, CATALOGUES)
