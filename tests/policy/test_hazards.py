"""What durable_rules does when used naively, shown in a child process, and that we cannot."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable

import pytest

from engine.domain.errors import FactsInvalid, PackInvalid, PolicyError
from engine.domain.verdicts import FactSet
from engine.policy.attribute_names import check_attributes
from engine.policy.catalogue import FactCatalogue, FactEntry, FactType
from engine.policy.guarded import GuardedRules

Guard = Callable[..., GuardedRules]

FACTS = {"t.p": True, "t.q": False, "t.a": 7, "t.b": 2, "t.kind": "red", "t.s": "x", "t.u": "y"}

NAIVE = """
import json
import durable_rules_engine as durable

def ruleset(term):
    return durable.create_ruleset("naive", json.dumps({"deny": {"all": [{"m": term}]}}))

def check(handle, fact, number=1):
    outcome, session = durable.assert_fact(handle, json.dumps({"id": number, "sid": 0, **fact}))
    started = durable.start_action_for_state(handle, session)
    return "denied" if started else "passed"
"""


def naive(script: str) -> subprocess.CompletedProcess[str]:
    """Run durable_rules without any guard, where it may crash."""
    return subprocess.run(
        [sys.executable, "-c", NAIVE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_locked_session_naive_use_passes_what_it_denied() -> None:
    shown = naive("""
        handle = ruleset({"friends": False})
        print(check(handle, {"friends": False}, 1), check(handle, {"friends": False}, 2))
    """)
    assert shown.stdout.split() == ["denied", "passed"]


def test_wrong_session_naive_use_ends_the_process() -> None:
    shown = naive("""
        handle = ruleset({"friends": False})
        durable.assert_fact(handle, json.dumps({"id": 1, "sid": 0, "friends": True}))
        durable.complete_and_start_action(handle, 999)
    """)
    assert shown.returncode == -signal.SIGSEGV


def test_missing_attribute_naive_use_passes_and_guard_refuses(small: FactCatalogue) -> None:
    shown = naive("""
        handle = ruleset({"friends": False})
        print(check(handle, {"price": 5}))
    """)
    assert shown.stdout.split() == ["passed"]
    facts = {name: value for name, value in FACTS.items() if name != "t.p"}
    with pytest.raises(FactsInvalid, match=r"'t\.p' is missing"):
        small.row(FactSet(facts))


def test_colliding_key_naive_use_bypasses_a_deny_and_guard_refuses(small: FactCatalogue) -> None:
    shown = naive("""
        handle = ruleset({"is_friend": False})
        print(check(handle, {"is_friend": False}, 1))
        handle = ruleset({"is_friend": False})
        print(check(handle, {"is_friend": False, "bil3ui1": True}, 2))
        handle = ruleset({"is_friend": False})
        print(check(handle, {"bil3ui1": True, "is_friend": False}, 2))
    """)
    assert shown.stdout.split()[0] == "denied"
    assert "passed" in shown.stdout.split()[1:]
    with pytest.raises(FactsInvalid, match="not in the catalogue"):
        small.row(FactSet({**FACTS, "bil3ui1": True}))
    with pytest.raises(PolicyError, match="one attribute"):
        check_attributes(["is_friend", "bil3ui1"])


def test_division_by_zero_naive_use_ends_the_process_and_reader_refuses(
    small: FactCatalogue, guard: Guard
) -> None:
    shown = naive("""
        term = {"$gt": {"a": {"$div": {"$l": {"$m": "b"}, "$r": {"$m": "c"}}}}}
        handle = ruleset(term)
        check(handle, {"a": 1, "b": 1, "c": 0})
    """)
    assert shown.returncode == -signal.SIGFPE
    with pytest.raises(PackInvalid, match="arithmetic on the fact"):
        guard(small, "t.a > t.b / t.a")


def test_mixed_types_naive_use_misjudges_and_guard_refuses(small: FactCatalogue) -> None:
    shown = naive("""
        handle = ruleset({"$gt": {"price": 100}})
        print(check(handle, {"price": "5"}))
    """)
    assert shown.stdout.split() == ["denied"]
    with pytest.raises(FactsInvalid, match="must be a whole number"):
        small.row(FactSet({**FACTS, "t.a": "5"}))


def test_sixty_five_matches_naive_use_fails(small: FactCatalogue, guard: Guard) -> None:
    shown = naive("""
        rules = {f"r{n}": {"all": [{"m": {"$gt": {"a": n}}}]} for n in range(65)}
        handle = durable.create_ruleset("naive", json.dumps(rules))
        check(handle, {"a": 100})
    """)
    assert "303" in shown.stderr
    rules = guard(small, *(f"t.a < {n + 100}" for n in range(65)))
    assert rules.fired([small.row(FactSet(FACTS))]) == [frozenset(range(65))]


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
        ("礼", "礼", True),
        ("礼" * 256, "礼" * 256, True),
        ("礼" * 256, "礼" * 255 + "尚", False),
        ("\U0001f381", "\\ud83c\\udf81", False),
    ],
)
def test_texts_are_compared_whole(
    small: FactCatalogue, left: str, right: str, equal: bool, guard: Guard
) -> None:
    rules = guard(small, "t.s == t.u", "t.s != t.u", f"t.s == '{'礼' * 256}'")
    (fired,) = rules.fired([small.row(FactSet({**FACTS, "t.s": left, "t.u": right}))])
    assert fired - {2} == {0 if equal else 1}
    assert (2 in fired) is (left == "礼" * 256)


def test_engine_state_fact_never_matches(small: FactCatalogue, guard: Guard) -> None:
    rules = guard(small, "t.a != 7", "t.p != true", "t.s != 'x'")
    assert rules.fired([small.row(FactSet(FACTS))] * 3) == [frozenset()] * 3


def test_catalogue_type_of_unused_facts_is_still_checked(small: FactCatalogue) -> None:
    catalogue = FactCatalogue(
        "c", [FactEntry("t.a", FactType.INT, "", ""), FactEntry("t.n", FactType.INT, "", "")]
    )
    with pytest.raises(FactsInvalid, match=r"'t\.n'"):
        catalogue.row(FactSet({"t.a": 1, "t.n": float("nan")}))
