"""Lint: what each finding says, where, with which hint and on which facts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine.domain.verdicts import FactSet, FactValue
from engine.policy import attribute_names
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType, Output
from engine.policy.evaluating import holds
from engine.policy.findings import CODES, Finding, Severity, finding
from engine.policy.lint import lint_pack, lint_reasons
from engine.policy.packs import read_pack
from engine.policy.reasons import read_reasons
from engine.policy.vocabulary import vocabulary_of

BOX = FactCatalogue(
    "box",
    [
        FactEntry("box.open", FactType.BOOL, "test", "a truth"),
        FactEntry("box.fen", FactType.INT, "test", "a number"),
        FactEntry("box.cap", FactType.INT, "test", "a number"),
        FactEntry("box.age", FactType.INT, "test", "a number", when_unknown=0),
        FactEntry("box.kind", FactType.TEXT, "test", "a kind", values=("tea", "cake", "toy")),
        FactEntry("box.name", FactType.TEXT, "test", "a text"),
        FactEntry("box.gifts", FactType.INT, "test", "a count", least=1),
    ],
    [Output("pay.ppm", FactType.INT, "a share", "ppm", 0, 1_000_000)],
)
TWELVE = [f"n.f{number}" for number in range(12)]
MANY = FactCatalogue("many", [FactEntry(name, FactType.INT, "test", "") for name in TWELVE])
CATALOGUES = {"box": BOX, "many": MANY}

REASONS = """\
reasons:
  - code: NO
    en: {text: No., next_step: Stop.}
    zh: {text: 不。, next_step: 停。}
  - code: NOT_YET
    en: {text: No., next_step: Stop.}
    zh: {text: 不。, next_step: 停。}
"""

HEAD = """\
pack: box
decides: box
version: 1
owner: test
jurisdiction: CN
effective: {from: '2026-01-01T00:00:00+08:00'}
rules:
"""
PARAMS = "effective: {from: '2026-01-01T00:00:00+08:00'}\nparams: {dear: 100, kinds: [tea]}"
WITH_PARAMS = HEAD.replace("effective: {from: '2026-01-01T00:00:00+08:00'}", PARAMS)

RULE = """\
  - id: {0}
    description: A rule.
    when: >-
      {1}
    then: {2}
    reason: NO
    cite: {{source: ours, verified: false}}
"""
SET = RULE.replace("reason: NO", "priority: {3}")


def rule(name: str, when: str, then: str = "deny", reason: str = "NO") -> str:
    return RULE.format(name, when, then).replace("reason: NO", f"reason: {reason}")


def sets(name: str, when: str, value: int, priority: int) -> str:
    return SET.format(name, when, f"{{set: {{pay.ppm: {value}}}}}", priority)


@dataclass(frozen=True)
class Case:
    """A pack and the one finding that it gives."""

    text: str
    code: str
    where: str
    rule: str | None
    message: str
    hint: str
    witness: dict[str, FactValue] | None = None

    @property
    def finding(self) -> Finding:
        return finding(
            self.code, f"box.yaml:{self.where}", self.message, self.hint, self.rule, self.witness
        )


SHAPE_HINT = "the keys and their types are listed in docs/rules.md"
VALUE_HINT = "use true, false, a whole number within ±2^53 (money in fen) or a plain text"
UNDECIDED_HINT = "fewer alternatives, or fewer comparisons between facts, can be decided"
# Twelve different numbers among eleven: easy to see, long to search.
PIGEONS = " && ".join(
    [f"{name} >= 1 && {name} <= 11" for name in TWELVE]
    + [f"{one} != {two}" for place, one in enumerate(TWELVE) for two in TWELVE[place + 1 :]]
)

CASES = [
    Case(
        HEAD.replace("owner: test", "owner: test\nowner: test") + rule("a", "box.open"),
        *("NOT_YAML", "5:1", None),
        *("the key 'owner' stands twice", "keep one of the two"),
    ),
    Case(
        HEAD.replace("owner: test", "owner: 5") + rule("a", "box.open"),
        *("WRONG_SHAPE", "4:8", None),
        *("owner: Input should be a valid string", SHAPE_HINT),
    ),
    Case(
        HEAD + rule("a", "box.open") + "    priority: 1001\n",
        *("OUT_OF_RANGE", "15:15", "a"),
        *("rules.0.priority: Input should be less than or equal to 1000", SHAPE_HINT),
    ),
    Case(
        HEAD + rule("a", "box.fen > 9007199254740993"),
        *("OUT_OF_RANGE", "11:17", "a"),
        *("9007199254740993 is no value a fact can have", VALUE_HINT),
    ),
    Case(
        HEAD + rule("a", f"box.name == '{'x' * 257}'"),
        *("OUT_OF_RANGE", "11:19", "a"),
        *(f"'{'x' * 257}' is no value a fact can have", VALUE_HINT),
    ),
    Case(
        WITH_PARAMS + rule("a", "box.fen > params.dear / 0 && box.kind in params.kinds"),
        *("OUT_OF_RANGE", "12:17", "a"),
        *("params.dear / 0 cannot be calculated", "divide by no zero and stay within ±2^53"),
    ),
    Case(
        HEAD.replace("decides: box", "decides: bag") + rule("a", "box.open"),
        *("UNKNOWN_DECISION", "2:10", None),
        *("no decision is called 'bag'", "known: box, many"),
    ),
    Case(
        HEAD.replace("from: '2026-01-01T00:00:00+08:00'", "from: '2026-01-01'")
        + rule("a", "box.open"),
        *("WRONG_WINDOW", "6:19", None, "'2026-01-01' has no offset"),
        "write an instant with its offset, such as 2026-01-01T00:00:00+08:00",
    ),
    Case(
        HEAD + rule("a", "box.open") + rule("a", "box.fen > 3"),
        *("DOUBLED_RULE", "15:9", "a"),
        *("two rules are called 'a'", "give each rule an id of its own"),
    ),
    Case(
        HEAD + rule("a", "box.open &&"),
        *("NOT_CEL", "11:18", "a", "the condition is no CEL expression: it ends too early"),
        "compare with ==, !=, <, <=, >, >=, in; join with && and ||; negate with !",
    ),
    Case(
        HEAD + rule("a", "box.open && size(box.name) > 3"),
        *("NOT_COMPILABLE", "11:19", "a"),
        *("functions cannot be compiled", "ask for a derived fact instead"),
    ),
    Case(
        HEAD + rule("a", "box.opened"),
        *("UNKNOWN_FACT", "11:7", "a", "unknown fact 'box.opened'", "did you mean box.open?"),
    ),
    Case(
        HEAD + rule("a", "box.fen > params.dear"),
        *("UNKNOWN_PARAM", "11:17", "a", "unknown parameter 'dear'", "known: none"),
    ),
    Case(
        HEAD + rule("a", "box.kind == 'toys'"),
        *("UNKNOWN_VALUE", "11:7", "a"),
        *("unknown value of box.kind 'toys'", "did you mean toy?"),
    ),
    Case(
        HEAD + rule("a", "box.fen == 'tea'"),
        *("WRONG_TYPE", "11:7", "a"),
        *("box.fen is a whole number and is compared with a text", "compare like with like"),
    ),
    Case(
        HEAD + sets("a", "box.open", 1_000_001, 0),
        *("WRONG_OUTPUT", "12:18", "a"),
        *("pay.ppm must lie within 0 and 1000000", "outputs: pay.ppm"),
    ),
    Case(
        HEAD + sets("a", "box.open", 1, 2) + sets("b", "!box.open", 2, 2),
        *("DOUBLED_OUTPUT", "15:5", "b"),
        "the rules 'a' and 'b' both set pay.ppm with priority 2",
        "give one of them a higher priority",
    ),
    Case(
        HEAD + rule("a", "box.open") + "    examples: [{facts: {box.open: 1}, fires: true}]\n",
        *("WRONG_EXAMPLE", "15:35", "a"),
        *("box.open must be true or false, not int", "write true or false"),
    ),
    Case(
        HEAD + rule("a", "box.open").replace("    reason: NO\n", ""),
        *("NO_REASON", "8:5", "a", "the rule 'a' gives no reason"),
        "only a rule that sets outputs may go without",
    ),
    Case(
        HEAD + rule("a", " || ".join(f"box.fen == {n}" for n in range(61))),
        *("TOO_MANY_ALTERNATIVES", "8:5", "a", "the rule 'a' has 61 alternatives"),
        "at most 60: write several rules, or ask for a derived fact",
    ),
    Case(
        HEAD + rule("a", " && ".join(f"box.fen != {n}" for n in range(101))),
        *("TOO_MANY_COMPARISONS", "8:5", "a", "the rule 'a' joins 101 comparisons"),
        "at most 100: write several rules",
    ),
    Case(
        HEAD + rule("a", "box.open", reason="NAY"),
        *("UNKNOWN_REASON", "8:5", "a"),
        *("the rule 'a' gives the unknown reason NAY", "add it to reasons.yaml"),
    ),
    Case(
        WITH_PARAMS + "# params.kinds\n" + rule("a", "box.fen > params.dear"),
        *("UNUSED_PARAM", "7:21", None),
        *("no rule uses the parameter 'kinds'", "take it out"),
    ),
    Case(
        HEAD + rule("a", "box.open").replace("    cite: {source: ours, verified: false}\n", ""),
        *("UNCITED", "8:5", "a", "the rule 'a' does not say where it comes from"),
        "cite its source, or write cite: {source: ours, verified: false}",
    ),
    Case(
        HEAD
        + rule("a", "box.open").replace("ours", "the law of 2022, Art. 3").replace(", A", " A"),
        *("UNVERIFIED", "8:5", "a", "nobody has checked the rule 'a' against its source"),
        "let counsel read it beside: the law of 2022 Art. 3",
    ),
    Case(
        HEAD + rule("a", "box.open").replace("source: ours", "source: Oursourced order 12"),
        *("UNVERIFIED", "8:5", "a", "nobody has checked the rule 'a' against its source"),
        "let counsel read it beside: Oursourced order 12",
    ),
    Case(
        HEAD
        + rule("a", "box.open && box.fen > 5 && (box.name == 'x' || !box.open) && box.fen < 3"),
        *("NEVER_FIRES", "8:5", "a"),
        "the rule 'a' never fires: box.fen > 5 and box.fen < 3 cannot hold together",
        "correct its condition",
    ),
    Case(
        HEAD + rule("a", "box.fen > box.cap && box.open && !(box.cap < box.fen)"),
        *("NEVER_FIRES", "8:5", "a"),
        "the rule 'a' never fires: box.fen > box.cap and !(box.cap < box.fen) cannot hold together",
        "correct its condition",
    ),
    Case(
        HEAD + rule("a", "!box.age_known && box.age > 3"),
        *("NEVER_FIRES", "8:5", "a"),
        "the rule 'a' never fires: !box.age_known and box.age > 3 cannot hold together",
        "correct its condition",
    ),
    Case(
        HEAD + rule("a", "!(box.kind in ['tea', 'cake', 'toy'])"),
        *("NEVER_FIRES", "8:5", "a"),
        "the rule 'a' never fires: !(box.kind in ['tea', 'cake', 'toy']) cannot hold",
        "correct its condition",
    ),
    Case(
        WITH_PARAMS.replace(", kinds: [tea]", "")
        + rule("a", "box.fen > params.dear && box.fen <= params.dear"),
        *("NEVER_FIRES", "9:5", "a"),
        "the rule 'a' never fires: box.fen > params.dear (100) and box.fen <= params.dear (100) "
        "cannot hold together",
        "correct its condition",
    ),
    Case(
        WITH_PARAMS
        + rule("a", "box.fen > params.dear && box.fen < 50 && box.kind in params.kinds"),
        *("NEVER_FIRES_NOW", "9:5", "a"),
        "the rule 'a' never fires under the present parameters: "
        "box.fen > params.dear (100) and box.fen < 50 cannot hold together",
        "change the parameters, or take the rule out",
    ),
    Case(
        WITH_PARAMS.replace("dear: 100, ", "")
        + rule("a", "box.kind in params.kinds && box.kind != 'tea'"),
        *("NEVER_FIRES_NOW", "9:5", "a"),
        "the rule 'a' never fires under the present parameters: "
        "box.kind in params.kinds (['tea']) and box.kind != 'tea' cannot hold together",
        "change the parameters, or take the rule out",
    ),
    Case(
        HEAD + rule("a", "box.open && box.gifts < 1"),
        *("NEVER_FIRES", "8:5", "a", "the rule 'a' never fires: box.gifts < 1 cannot hold"),
        "correct its condition",
    ),
    Case(
        WITH_PARAMS.replace("dear: 100, kinds: [tea]", "few: 1")
        + rule("a", "box.gifts < params.few"),
        *("NEVER_FIRES_NOW", "9:5", "a"),
        "the rule 'a' never fires under the present parameters: box.gifts < params.few (1) "
        "cannot hold",
        "change the parameters, or take the rule out",
    ),
    Case(
        HEAD + rule("a", "box.gifts > 0"),
        *("ALWAYS_FIRES", "8:5", "a", "the rule 'a' always fires, so it denies everything"),
        *("correct its condition", {"box.gifts": 1}),
    ),
    Case(
        WITH_PARAMS.replace("dear: 100, kinds: [tea]", "few: 1")
        + rule("a", "box.gifts >= params.few"),
        *("ALWAYS_FIRES_NOW", "9:5", "a"),
        "the rule 'a' always fires under the present parameters, so it denies everything",
        "change the parameters, or correct its condition",
        {"box.gifts": 1},
    ),
    Case(
        HEAD + rule("a", "box.fen > 5 || box.fen <= 6"),
        *("ALWAYS_FIRES", "8:5", "a", "the rule 'a' always fires, so it denies everything"),
        *("correct its condition", {"box.fen": 0}),
    ),
    Case(
        WITH_PARAMS.replace(", kinds: [tea]", "")
        + rule("a", "box.fen > 5 || box.fen <= params.dear", "review"),
        *("ALWAYS_FIRES_NOW", "9:5", "a"),
        "the rule 'a' always fires under the present parameters, so it holds back everything",
        "change the parameters, or correct its condition",
        {"box.fen": 0},
    ),
    Case(
        HEAD + sets("a", "box.open || !box.open", 1, 0),
        *("SETS_ALWAYS", "8:5", "a", "the rule 'a' always fires"),
        "right for a default that rules of higher priority replace; if not, correct it",
        {"box.open": False},
    ),
    Case(
        HEAD + rule("a", "box.fen > 500 && box.open") + rule("b", "box.fen >= 500"),
        *("SUBSUMED", "8:5", "a"),
        "the rule 'a' fires only where 'b' (line 15) fires, and that one denies too: "
        "this one changes nothing",
        "take it out, or narrow 'b'",
        {"box.fen": 501, "box.open": True},
    ),
    Case(
        HEAD + rule("a", "box.open && box.fen > 3") + rule("b", "box.fen >= 4 && box.open"),
        *("SUBSUMED", "15:5", "b"),
        "the rule 'b' fires only where 'a' (line 8) fires, and that one denies too: "
        "this one changes nothing",
        "take it out, or narrow 'a'",
        {"box.fen": 4, "box.open": True},
    ),
    Case(
        HEAD + rule("a", "box.cap == 3", "review") + rule("b", "box.cap > 2 && box.cap < 5"),
        *("SUBSUMED", "8:5", "a"),
        "the rule 'a' fires only where 'b' (line 15) fires, and that one denies",
        "take it out, or narrow 'b'",
        {"box.cap": 3},
    ),
    Case(
        WITH_PARAMS.replace(", kinds: [tea]", "")
        + rule("a", "box.fen > 500", reason="NOT_YET")
        + rule("b", "box.fen > params.dear"),
        *("SUBSUMED", "9:5", "a"),
        "the rule 'a' fires only where 'b' (line 16) fires under the present parameters, "
        "and that one denies too: this one adds nothing but the reason NOT_YET",
        "take it out, or narrow 'b'",
        {"box.fen": 501},
    ),
    Case(
        HEAD + rule("a", "box.fen > 500", "{require: guardian_consent}") + rule("b", "box.fen > 0"),
        *("SUBSUMED", "8:5", "a"),
        "the rule 'a' fires only where 'b' (line 15) fires, and that one denies too: "
        "to meet what this one requires is not enough",
        "take it out, or narrow 'b'",
        {"box.fen": 501},
    ),
    Case(
        HEAD + sets("a", "box.open && box.fen < -3", 1, 1) + sets("b", "box.fen < 1", 2, 2),
        *("SUBSUMED", "8:5", "a"),
        "the rule 'a' fires only where 'b' (line 15) fires, "
        "and that one sets the same with a higher priority",
        "take it out, or narrow 'b'",
        {"box.fen": -4, "box.open": True},
    ),
    Case(
        HEAD + rule("a", "box.open && box.fen > 3", "allow") + rule("b", "box.fen >= 3"),
        *("OVERRULED", "8:5", "a"),
        "the rule 'a' allows only what 'b' (line 15) denies; deny beats allow",
        "take it out, or say in 'b' what it does not govern",
        {"box.fen": 4, "box.open": True},
    ),
    Case(
        WITH_PARAMS.replace(", kinds: [tea]", "")
        + rule("a", "box.fen > 300", "allow")
        + rule("b", "box.fen >= params.dear + 1"),
        *("OVERRULED_NOW", "9:5", "a"),
        "the rule 'a' allows only what 'b' (line 16) denies under the present parameters; "
        "deny beats allow",
        "change the parameters, or say in 'b' what it does not govern",
        {"box.fen": 301},
    ),
    Case(
        HEAD + rule("a", "box.open", "allow") + rule("b", "box.age < 18"),
        *(
            "CONTRADICTS",
            "8:5",
            "a",
            "the rule 'a' allows what 'b' (line 15) denies; deny beats allow",
        ),
        "say in 'b' what it does not govern",
        {"box.age": 0, "box.open": True},
    ),
    Case(
        HEAD + rule("a", "box.fen > 4", "allow") + rule("b", "box.fen > 3", "review"),
        *("CONTRADICTS", "8:5", "a"),
        "the rule 'a' allows what 'b' (line 15) holds back; review beats allow",
        "say in 'b' what it does not govern",
        {"box.fen": 5},
    ),
    Case(
        HEAD.replace("decides: box", "decides: many") + rule("a", PIGEONS),
        *("UNDECIDED", "8:5", "a", "cannot tell whether the rule 'a' ever fires", UNDECIDED_HINT),
    ),
]
FOLDER_CODES = {"UNREADABLE", "NO_PACKS", "OVERLAPPING_WINDOWS", "UNUSED_REASON", "REFUSED"}


def lint(text: str) -> list[Finding]:
    return lint_pack(text, "box.yaml", read_reasons(REASONS, "reasons.yaml"), CATALOGUES)


@pytest.mark.parametrize("case", CASES, ids=[f"{c.code}-{n}" for n, c in enumerate(CASES)])
def test_lint_pack_fault_is_one_finding_in_these_words(case: Case) -> None:
    assert lint(case.text) == [case.finding]


@pytest.mark.parametrize("case", [case for case in CASES if case.witness is not None])
def test_lint_pack_witness_fires_the_rules_and_is_a_whole_fact_set(case: Case) -> None:
    (found,) = lint(case.text)
    assert found.witness is not None
    facts = vocabulary_of(BOX).completed(found.witness)
    BOX.row(FactSet(facts))
    pack = read_pack(case.text, "box.yaml", CATALOGUES)
    assert all(holds(rule.condition, facts) for rule in pack.rules)


def test_lint_every_code_is_tested_for_its_wording() -> None:
    assert {case.code for case in CASES} | FOLDER_CODES | {"ENGINE_REFUSES"} == set(CODES)


def test_lint_pack_engine_that_refuses_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_names, "MAX_ATTRIBUTES", 1)
    (found,) = lint(HEAD + rule("a", "box.open && box.fen > 3"))
    assert (found.code, found.where) == ("ENGINE_REFUSES", "box.yaml:1:1")
    assert found.severity is Severity.ERROR
    assert (found.message, found.hint) == (
        "2 facts in one catalogue",
        "at most 1 can be asserted",
    )


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("sender.day_gifts_after > 0", "ALWAYS_FIRES"),
        ("sender.day_gifts_after > 1", None),
        ("gift.price_fen < 0", "NEVER_FIRES"),
        ("gift.price_fen <= 0", None),
        ("sender.age_years_known && sender.age_years < 0", "NEVER_FIRES"),
        ("sender.day_fen_limit >= 0", "ALWAYS_FIRES"),
    ],
)
def test_lint_pack_of_gifts_knows_what_numbers_can_be(when: str, code: str | None) -> None:
    text = HEAD.replace("decides: box", "decides: gift_send") + rule("a", when)
    found = lint_pack(text, "box.yaml", read_reasons(REASONS, "reasons.yaml"))
    assert [finding.code for finding in found] == ([] if code is None else [code])


def test_lint_pack_sound_pack_has_no_findings() -> None:
    text = WITH_PARAMS + rule("a", "box.fen > params.dear && box.kind in params.kinds")
    assert lint(text + rule("b", "box.open", "review")) == []


def test_lint_pack_all_faults_are_found_not_only_the_first() -> None:
    text = HEAD.replace("owner: test\n", "").replace("version: 1", "version: none")
    text += rule("a", "box.open", "forbid") + "    extra: 1\n" + rule("b", "box.open", reason="no")
    assert [(f.where, f.code, f.rule) for f in lint(text)] == [
        ("box.yaml:1:1", "WRONG_SHAPE", None),
        ("box.yaml:3:10", "WRONG_SHAPE", None),
        ("box.yaml:11:11", "WRONG_SHAPE", "a"),
        ("box.yaml:14:5", "WRONG_SHAPE", "a"),
        ("box.yaml:20:13", "WRONG_SHAPE", "b"),
    ]


def test_lint_pack_faulty_rules_do_not_hide_what_is_wrong_with_the_others() -> None:
    text = WITH_PARAMS + rule("a", "box.opened && box.fen > params.dear")
    text += rule("b", "box.kind in params.sorts", reason="NAY")
    text += rule("c", "box.fen > 5 && box.fen < 3", reason="NAY")
    assert [(f.code, f.rule) for f in lint(text)] == [
        ("UNUSED_PARAM", None),  # kinds; dear stands in a rule that is not understood
        ("UNKNOWN_FACT", "a"),
        ("UNKNOWN_PARAM", "b"),
        ("NEVER_FIRES", "c"),
        ("UNKNOWN_REASON", "c"),
    ]


def test_lint_pack_without_reasons_leaves_them_unchecked() -> None:
    text = HEAD + rule("a", "box.open", reason="NAY")
    assert lint_pack(text, "box.yaml", None, CATALOGUES) == []


@pytest.mark.parametrize("source", ["ours", "Ours (fraud)", "OURS; nothing else"])
def test_lint_pack_rule_of_our_own_needs_no_counsel(source: str) -> None:
    assert lint(HEAD + rule("a", "box.open").replace("ours", source)) == []


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (rule("a", "box.fen > 5"), rule("b", "box.fen > 3", "review")),  # deny is more than review
        (rule("a", "box.fen > 5"), sets("b", "box.fen > 3", 1, 0)),
        (sets("a", "box.fen > 5", 1, 2), sets("b", "box.fen > 3", 1, 1)),
        (rule("a", "box.fen > 5"), rule("b", "box.fen > 6 || box.fen < 5")),
        (sets("a", "box.fen > 5", 1, 1), rule("b", "box.fen > 3")),
    ],
)
def test_lint_pack_rule_that_matters_is_not_called_subsumed(inner: str, outer: str) -> None:
    assert lint(HEAD + inner + outer) == []


def test_lint_reasons_refused_catalogue_is_a_finding() -> None:
    doubled = REASONS.replace("NOT_YET", "NO")
    assert lint_reasons(doubled, "r.yaml") == [
        finding(
            "REFUSED",
            "r.yaml:5:11",
            "NO stands twice",
            "a code keeps its meaning: add a new one",
        )
    ]
    assert lint_reasons("[a", "r.yaml")[0].code == "NOT_YAML"
    assert lint_reasons(REASONS, "r.yaml") == []


def test_finding_as_json_has_every_key_in_order() -> None:
    found = finding("SUBSUMED", "a b:c.yaml:3:5", "m", "h", "r", {"box.fen": 1})
    assert found.as_json() == {
        "code": "SUBSUMED",
        "severity": "warning",
        "file": "a b:c.yaml",
        "line": 3,
        "column": 5,
        "rule": "r",
        "message": "m",
        "hint": "h",
        "witness": {"box.fen": 1},
    }
    assert list(finding("NO_PACKS", "x:1:1", "m", "h").as_json()) == list(found.as_json())
