"""Hazards of what a fact holds: missing and mistyped values, numbers, texts, names and JSON."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable

import pytest

from engine.domain.errors import FactsInvalid, PackInvalid, PolicyError
from engine.domain.verdicts import FactSet
from engine.policy.attribute_names import check_attributes
from engine.policy.catalogue import FactCatalogue, Row
from engine.policy.entries import FactEntry, FactType
from engine.policy.guarded import GuardedRules

Guard = Callable[..., GuardedRules]
Run = Callable[..., subprocess.CompletedProcess[str]]
MakeRow = Callable[..., Row]


def said(shown: subprocess.CompletedProcess[str]) -> list[object]:
    return [json.loads(line) for line in shown.stdout.splitlines()]


def test_missing_naive_use_passes_a_deny_rule(naive: Run) -> None:
    shown = naive("""
        for term in ({"$lt": {"age": 18}}, {"friends": False}, {"$neq": {"friends": True}}):
            said(ask(ruleset(term), {"age": None, "friends": None}), ask(ruleset(term), {"x": 1}))
    """)
    assert said(shown) == [[[], []]] * 3


def test_missing_ours_refuses_the_facts(small: FactCatalogue, small_row: MakeRow) -> None:
    plain = dict(zip(small.names, small_row(), strict=True))
    for name in small.names:
        with pytest.raises(FactsInvalid, match=f"'{name}' is missing"):
            small.row(FactSet({key: value for key, value in plain.items() if key != name}))
        with pytest.raises(FactsInvalid, match=f"'{name}' must be"):
            small_row({name: None})


def test_stale_naive_use_takes_the_comparison_before_for_a_missing_attribute(naive: Run) -> None:
    shown = naive("""
        term = {"$and": [{"$lt": {"c": {"$m": "d"}}}, {"$gt": {"a": {"$m": "b"}}}]}
        handle, fact = ruleset(term), {"a": 1, "c": 1, "d": 2}
        said(ask(handle, fact), ask(handle, {**fact, "b": 5}, 2))
    """)
    assert said(shown) == [[["deny"], []]]  # a > b held where there was no b


def test_stale_ours_compares_two_facts_that_are_both_there(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    rules = guard(small, "t.p != t.q && t.a > t.b", "t.s == t.u && t.b > t.a")
    rows = [
        small_row({"t.p": p, "t.s": s, "t.a": a})
        for p in (True, False)
        for s in "xy"
        for a in (1, 3)
    ]
    assert rules.fired(rows) == [
        {i for i, yes in enumerate((p and a > 2, s == "y" and a < 2)) if yes}
        for p in (True, False)
        for s in "xy"
        for a in (1, 3)
    ]
    plain = dict(zip(small.names, small_row(), strict=True))
    del plain["t.b"]
    with pytest.raises(FactsInvalid, match=r"'t\.b' is missing"):
        small.row(FactSet(plain))


def test_types_naive_use_misjudges(naive: Run) -> None:
    shown = naive("""
        said(ask(ruleset({"$gt": {"price": 100}}), {"price": "5"}))
        said(ask(ruleset({"price": 1}), {"price": True}))
    """)
    assert said(shown) == [[["deny"]], [["deny"]]]


@pytest.mark.parametrize("value", ["5", True, 5.0, ["a"], {"a": 1}, None, b"5"])
def test_types_ours_refuses_all_but_whole_numbers(small_row: MakeRow, value: object) -> None:
    with pytest.raises(FactsInvalid, match="must be a whole number"):
        small_row({"t.a": value})


def test_numbers_naive_use_fails_saturates_and_reads_nan_as_null(naive: Run) -> None:
    shown = naive("""
        def number(text, term):
            try:
                return ask(ruleset({"a": term} if term else {"$gt": {"a": 5}}),
                           '{"id": 1, "sid": 0, "a": %s}' % text)
            except durable.error as error:
                return int(str(error)[-3:])
        said(number("1e5", 0), number("1e-7", 0), number("NaN", 0))
        said(number("99999999999999999999", 2**63 - 1))
    """)
    assert said(shown) == [[204, 204, []], [["deny"]]]


def test_numbers_ours_are_whole_and_exact_to_their_bounds(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    for value in (1e5, 1e-7, float("nan"), 2**53 + 1, -(2**53) - 1, 10**20):
        with pytest.raises(FactsInvalid):
            small_row({"t.a": value})
    with pytest.raises(PackInvalid, match="no value a fact can have"):
        guard(small, "t.a > 9007199254740993")
    rules = guard(small, "t.a > t.b", f"t.a == {2**53}", f"t.a == -{2**53}")
    edges = [(2**53, 2**53 - 1), (2**53 - 1, 2**53), (-(2**53), 1 - 2**53)]
    rows = [small_row({"t.a": a, "t.b": b}) for a, b in edges]
    assert rules.fired(rows) == [{0, 1}, set(), {2}]


def test_long_texts_naive_use_wraps_their_length(naive: Run) -> None:
    shown = naive("""
        said(ask(ruleset({"a": "aaa"}), {"a": "a" * 65_539}))
        said(ask(ruleset({"a": {"$m": "b"}}), {"a": "a" * 65_539, "b": "aaa"}))
    """)
    assert said(shown) == [[["deny"]]] * 2


def test_long_texts_ours_refuses(small: FactCatalogue, guard: Guard, small_row: MakeRow) -> None:
    for text in ("a" * 257, "a" * 65_539):
        with pytest.raises(FactsInvalid, match="at most 256"):
            small_row({"t.s": text})
    with pytest.raises(PackInvalid, match="no value a fact can have"):
        guard(small, f"t.s == '{'a' * 257}'")


def test_text_order_naive_use_is_wrong(naive: Run) -> None:
    shown = naive("""
        def before(left, right):
            return ask(ruleset({"$lt": {"a": {"$m": "b"}}}), {"a": left, "b": right})
        said(before("gift", "gift card"), before("gift card", "gift"))
    """)
    assert said(shown) == [[[], ["deny"]]]  # what begins with "gift" comes before it


def test_text_order_ours_cannot_be_asked(small: FactCatalogue, guard: Guard) -> None:
    for text in ("t.s < 'b'", "'b' >= t.s", "t.s > t.u", "t.kind <= 'red'"):
        with pytest.raises(PackInvalid, match="has no order"):
            guard(small, text)


def test_escapes_naive_use_never_meets_the_same_text(naive: Run) -> None:
    shown = naive("""
        written = json.dumps({"deny": {"all": [{"m": {"a": "酒"}}]}}, ensure_ascii=False)
        handle = durable.create_ruleset("naive", written)
        said(ask(handle, '{"id": 1, "sid": 0, "a": "酒"}'), ask(handle, {"a": "酒"}, 2))
    """)
    assert said(shown) == [[["deny"], []]]


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("is_friend", "bil3ui1", False),  # one hash, two texts
        ("", "", True),
        ("a", "ab", False),
        ("ab", "a", False),
        ('"\\', '"\\', True),
        ("\x00\x1f\n", "\x00\x1f\n", True),
        ("\x00", "", False),
        ("酒", "酒", True),
        ("礼" * 256, "礼" * 256, True),
        ("礼" * 256, "礼" * 255 + "尚", False),
        ("\U0001f381", "\\ud83c\\udf81", False),
    ],
)
def test_escapes_ours_compares_texts_whole(
    small: FactCatalogue, left: str, right: str, equal: bool, guard: Guard, small_row: MakeRow
) -> None:
    rules = guard(small, "t.s == t.u", "t.s != t.u", f"t.s == '{'礼' * 256}'", "t.s == '酒'")
    (fired,) = rules.fired([small_row({"t.s": left, "t.u": right})])
    assert fired & {0, 1} == {0 if equal else 1}
    assert (2 in fired, 3 in fired) == (left == "礼" * 256, left == "酒")


def test_attribute_hash_naive_use_bypasses_a_deny(naive: Run) -> None:
    shown = naive("""
        said(ask(ruleset({"is_friend": False}), {"is_friend": False}))
        said(ask(ruleset({"is_friend": False}), {"is_friend": False, "bil3ui1": True}))
        said(ask(ruleset({"is_friend": False}), {"bil3ui1": True, "is_friend": False}))
    """)
    alone, *beside = said(shown)
    assert alone == [["deny"]]
    assert [[]] in beside


def test_attribute_hash_ours_refuses_strange_and_colliding_names(
    small: FactCatalogue, small_row: MakeRow
) -> None:
    plain = dict(zip(small.names, small_row(), strict=True))
    with pytest.raises(FactsInvalid, match="not in the catalogue"):
        small.row(FactSet({**plain, "bil3ui1": True}))
    with pytest.raises(PolicyError, match="one attribute"):
        check_attributes(["is_friend", "bil3ui1"])
    with pytest.raises(PolicyError, match="one attribute"):
        FactCatalogue(
            "c",
            [FactEntry(n, FactType.INT, "test", "x") for n in ("t.mbyuhep", "t.qpzymxk")],
        )


@pytest.mark.parametrize(
    "value",
    [
        "'[' * 100_000 + ']' * 100_000",
        "'{\"x\":' * 100_000 + '1' + '}' * 100_000",
        "'{\"' + 'k' * 9_000_000 + '\": {\"x\": 1}}'",
    ],
    ids=["lists", "objects", "a key of 9 MB"],
)
def test_hostile_json_naive_use_ends_the_process(naive: Run, value: str) -> None:
    shown = naive(f"""
        handle = ruleset({{"a": 1}})
        print("made", flush=True)
        ask(handle, '{{"id": 1, "sid": 0, "b": ' + {value} + '}}')
    """)
    assert (shown.stdout.split(), shown.returncode) == (["made"], -signal.SIGSEGV)


def test_hostile_json_ours_is_text_or_refused(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    nested: object = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(FactsInvalid, match="must be a text, not list"):
        small_row({"t.s": nested})
    plain = dict(zip(small.names, small_row(), strict=True))
    with pytest.raises(FactsInvalid, match="not in the catalogue"):
        small.row(FactSet({**plain, "k" * 9_000_000: 1}))
    rules = guard(small, "t.a == 0", "t.s == t.u", "!t.p")
    for text in ('","a0":0,"', '"}', "\\", '\\"', "{" * 256, "[" * 256, '"kind":"sentinel"'):
        assert rules.fired([small_row({"t.s": text})]) == [set()]
        assert rules.fired([small_row({"t.s": text, "t.u": text})]) == [{1}]
    while isinstance(nested, list) and nested:  # freeing it at once would recurse
        nested = nested[0]


def test_types_ours_are_checked_even_where_no_rule_reads_the_fact() -> None:
    names = ("t.a", "t.n")
    catalogue = FactCatalogue("c", [FactEntry(n, FactType.INT, "test", "x") for n in names])
    with pytest.raises(FactsInvalid, match=r"'t\.n'"):
        catalogue.row(FactSet({"t.a": 1, "t.n": float("nan")}))
