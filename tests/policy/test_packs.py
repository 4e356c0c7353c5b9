"""Packs: faults are found at their line and column, and the hash fixes what a pack says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.domain.errors import PackInvalid, PolicyError
from engine.domain.verdicts import Effect
from engine.policy.admission import stored_pack
from engine.policy.catalogue import FactCatalogue
from engine.policy.engine import PolicyEngine
from engine.policy.entries import FactEntry, FactType
from engine.policy.pack_shape import PackShape, RuleShape
from engine.policy.packs import Cite, Pack, canonical_hash, read_pack
from engine.policy.yaml_shape import read_shape
from engine.policy.yaml_text import read_yaml

PACK = """\
pack: small
decides: small
version: 3
owner: test
jurisdiction: CN
effective: {from: 2026-01-01T00:00:00+08:00}
params:
  cap: 10
rules:
  - id: first
    description: The first.
    when: t.a > params.cap
    then: deny
    reason: TOO_MUCH
    cite: {source: ours, verified: false}
  - id: second
    description: The second.
    when: >-
      t.p
      && t.kind == 'red'
    then: {require: guardian_consent}
    reason: TOO_RED
    cite: {source: ours, verified: true}
    examples:
      - {facts: {t.p: true, t.kind: red}, fires: true}
"""


def read(text: str, small: FactCatalogue) -> Pack:
    return read_pack(text, "small.yaml", {"small": small})


def test_read_pack_whole_pack_is_understood(small: FactCatalogue) -> None:
    pack = read(PACK, small)
    assert (pack.ref.pack, pack.ref.version, pack.decides) == ("small", 3, "small")
    assert pack.effective_from == 1_767_196_800_000_000  # 2025-12-31T16:00:00Z
    assert pack.effective_until is None
    first, second = pack.rules
    assert (first.outcome.effect, first.outcome.requires) == (Effect.DENY, None)
    assert (second.outcome.effect, second.outcome.requires) == (Effect.DENY, "guardian_consent")
    assert (first.cite, second.cite) == (Cite("ours", False), Cite("ours", True))
    assert second.written_at == "small.yaml:16:5"
    assert second.examples[0].facts == {"t.p": True, "t.kind": "red"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("t.kind == 'red'", "t.kind == 'rad'", "20:10: unknown value of t.kind 'rad'"),
        ("t.kind == 'red'", "t.kin == 'red'", "20:10: unknown fact 't.kin'"),
        ("&& t.kind == 'red'", "&& t.kind = 'red'", "20:17: the condition is no CEL expression"),
        ("when: t.a > params.cap", "when: t.a > params.top", "12:17: unknown parameter 'top'"),
        ("when: t.a > params.cap", "when: 't.a > params.top'", "12:18: unknown parameter 'top'"),
        ("when: t.a > params.cap", "when: |\n      t.p ||\n      t.x", "14:7: unknown fact 't.x'"),
        ("when: t.a > params.cap", "when: 5", "12:11: rules.0.when: Input should be a valid str"),
        ("then: deny", "then: forbid", "13:11: rules.0.then"),
        ("then: deny", "then: allow\n    them: deny", "14:5: rules.0.them: Extra inputs"),
        (
            "guardian_consent",
            "mothers_consent",
            "21:11: rules.1.then: Input should be 'deny', 'review' or 'allow'; or Input should",
        ),
        ("    reason: TOO_MUCH\n", "", "10:5: the rule 'first' gives no reason"),
        ("reason: TOO_MUCH", "reason: too much", "14:13: rules.0.reason: String should match"),
        ("verified: false", "verified: 'no'", "15:36: rules.0.cite.verified: Input should be"),
        ("verified: false", "verified: no", "15:36: rules.0.cite.verified: Input should be"),
        ("version: 3", "version: true", "3:10: version: Input should be a valid integer"),
        ("version: 3", "version: 3\nversion: 4", "4:1: the key 'version' stands twice"),
        ("cap: 10", "cap: 1.5", "8:8: params.cap"),
        ("cap: 10", "cap: 9007199254740993", "8:8: params.cap"),
        ("cap: 10", "cap: &x 10\n  top: *x", "9:8: an alias"),
        ("cap: 10", "cap: !!python/name:os.system x", "8:8: the tag"),
        ("id: second", "id: first", "16:9: two rules are called 'first'"),
        ("decides: small", "decides: great", "2:10: no decision is called 'great'"),
        ("2026-01-01T00:00:00+08:00", "2026-01-01", "6:19: '2026-01-01' has no offset"),
        ("2026-01-01T00:00:00+08:00", "soon", "6:19: 'soon' is no instant"),
        ("owner: test", "owner: [test", "5:13: "),
        ("t.p: true,", "", "25:9: the example must give exactly the facts the rule reads"),
        ("t.p: true,", "t.p: 1,", "25:23: t.p must be true or false, not int"),
        ("owner: test", "owner: " + "[" * 30, "4:27: nested deeper than 20"),
    ],
)
def test_read_pack_fault_is_named_with_its_place(
    small: FactCatalogue, old: str, new: str, message: str
) -> None:
    assert old in PACK
    with pytest.raises(PackInvalid) as caught:
        read(PACK.replace(old, new, 1), small)
    assert caught.value.message.startswith(f"small.yaml:{message}")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "42\n", "a: 1\n---\nb: 2\n", "\x00"])
def test_read_pack_other_document_is_refused(small: FactCatalogue, text: str) -> None:
    with pytest.raises(PackInvalid, match=r"small\.yaml:\d+:\d+: "):
        read(text, small)


def test_hash_layout_and_comments_do_not_matter(small: FactCatalogue) -> None:
    relaid = "# a comment\n" + PACK.replace(
        "{source: ours, verified: true}", "\n      verified: true\n      source: ours"
    )
    assert read(relaid, small).ref == read(PACK, small).ref


@pytest.mark.parametrize(
    ("old", "new"),
    [("cap: 10", "cap: 11"), ("TOO_RED", "TOO_GREEN"), ("t.a >", "t.a >="), ("test", "tests")],
)
def test_hash_every_change_of_what_is_said_matters(
    small: FactCatalogue, old: str, new: str
) -> None:
    assert read(PACK.replace(old, new, 1), small).ref.hash != read(PACK, small).ref.hash


def test_from_folder_without_packs_or_reasons_is_refused(
    tmp_path: Path, rules_folder: Path
) -> None:
    with pytest.raises(PolicyError, match=r"reasons\.yaml"):
        PolicyEngine.from_folder(tmp_path)
    reasons = (rules_folder / "reasons.yaml").read_text(encoding="utf-8")
    (tmp_path / "reasons.yaml").write_text(reasons, encoding="utf-8")
    with pytest.raises(PolicyError, match="no rule packs"):
        PolicyEngine.from_folder(tmp_path)


def test_from_folder_unknown_reason_is_refused_at_its_rule(
    tmp_path: Path, rules_folder: Path
) -> None:
    for name in ("reasons.yaml", "gift_send.yaml"):
        text = (rules_folder / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("reason: GIFT_TO_SELF", "reason: GIFT_TO_ME"))
    lines = text.splitlines()
    line = lines.index("  - id: not_to_oneself") + 1
    with pytest.raises(PackInvalid, match=rf"gift_send\.yaml:{line}:5: .*reason GIFT_TO_ME"):
        PolicyEngine.from_folder(tmp_path)


def test_hash_of_a_shipped_pack_says_nothing_of_what_packs_learn_later() -> None:
    class Later(RuleShape):
        note: str | None = None

    class LaterPack(PackShape):
        rules: list[Later]

    text = Path("rules/offer_show.yaml").read_text(encoding="utf-8")
    document = read_yaml(text, "offer_show.yaml")
    now = canonical_hash(read_shape(document, PackShape))
    assert canonical_hash(read_shape(document, LaterPack)) == now


def test_stored_pack_with_an_example_that_facts_of_today_forbid_is_read() -> None:
    entries = [FactEntry("t.fen", FactType.INT, "test", "an amount")]
    text = """pack: p
decides: d
version: 1
owner: tests
jurisdiction: CN
effective: {from: 2026-01-01T00:00:00+08:00}
rules:
  - id: free
    description: Nothing for nothing.
    when: t.fen <= 0
    then: deny
    reason: NO
    cite: {source: ours, verified: false}
    examples:
      - {facts: {t.fen: -1}, fires: true}
      - {facts: {t.fen: 1}, fires: false}
"""
    before = {"d": FactCatalogue("d", entries)}
    now = {"d": FactCatalogue("d", [replace(entries[0], least=0)])}
    ref = read_pack(text, "p.yaml", before).ref
    with pytest.raises(PackInvalid, match=r"at least 0 \(write a whole number from 0"):
        read_pack(text, "p.yaml", now)
    assert stored_pack(ref, text, now).ref == ref


def test_example_that_knows_what_it_says_is_unknown_is_refused() -> None:
    entry = FactEntry("t.age", FactType.INT, "test", "an age", when_unknown=0)
    text = """pack: p
decides: d
version: 1
owner: tests
jurisdiction: CN
effective: {from: 2026-01-01T00:00:00+08:00}
rules:
  - id: young
    description: The young.
    when: t.age_known && t.age < 8
    then: deny
    reason: NO
    cite: {source: ours, verified: false}
    examples:
      - {facts: {t.age: 5, t.age_known: false}, fires: false}
"""
    with pytest.raises(PackInvalid, match=r"t\.age is unknown, so it must be 0"):
        read_pack(text, "p.yaml", {"d": FactCatalogue("d", [entry])})
