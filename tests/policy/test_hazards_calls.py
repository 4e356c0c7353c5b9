"""Hazards of calling durable_rules: sessions, locks, ids and the order of calls.

Each is shown twice: what naive use does (in a child process, where it may crash) and that ours is
safe. The names are those of docs/durable_rules.md; test_hazards_listed.py holds that none is left
out.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable

import durable_rules_engine as durable
import pytest

from engine.domain.errors import FactsInvalid, PolicyError
from engine.domain.verdicts import FactSet
from engine.policy import guarded as guarded_module
from engine.policy.catalogue import FactCatalogue, Row
from engine.policy.guarded import GuardedRules

Guard = Callable[..., GuardedRules]
Run = Callable[..., subprocess.CompletedProcess[str]]
MakeRow = Callable[..., Row]

RECORDED = (
    "create_ruleset",
    "assert_fact",
    "start_action_for_state",
    "complete_and_start_action",
    "retract_fact",
    "delete_state",
    "delete_ruleset",
    "abandon_action",
    "start_action",
)


def test_sessions_naive_use_has_no_room_for_the_1025th_person(naive: Run) -> None:
    shown = naive("""
        handle = ruleset({"friends": False})
        for person in range(1_024):
            assert ask(handle, {"friends": False}, session=person) == ["deny"]
        try:
            ask(handle, {"friends": False}, session=1_024)
        except MemoryError:
            print("full")
    """)
    assert shown.stdout.split() == ["full"], shown.stderr


def test_sessions_ours_one_serves_everybody(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    rules = guard(small, "t.s == 'person 1024'")
    rows = [small_row({"t.s": f"person {n}"}) for n in range(3_000)]
    found = rules.fired(rows)
    assert [n for n, fired in enumerate(found) if fired] == [1_024]


LOCK = """
    import time
    handle = ruleset({"friends": False})
    begun = time.monotonic()
    durable.assert_fact(handle, '{"id": 0, "sid": 0, "friends": false}')
    durable.start_action_for_state(handle, 1)  # and its answer is never completed
    number = 1
    while not ask(handle, {"friends": False}, number) and number <= ASKED:
        number += 1
        time.sleep(PAUSE)
    said(number, time.monotonic() - begun)
"""


def test_lock_naive_use_passes_what_it_denies(naive: Run) -> None:
    shown = naive(LOCK.replace("ASKED", "50").replace("PAUSE", "0"))
    number, _ = json.loads(shown.stdout)
    assert number == 51  # fifty checks that a rule denies were passed


@pytest.mark.slow
def test_lock_naive_use_passes_what_it_denies_for_half_a_minute_and_more(naive: Run) -> None:
    shown = naive(LOCK.replace("ASKED", "200").replace("PAUSE", "1"), 240)
    _, seconds = json.loads(shown.stdout)
    assert seconds > 30


def test_lock_ours_denies_and_goes_on_with_a_new_engine(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    rules = guard(small, "t.a > 5")
    (locked,) = rules._idle[0]
    accepted, session = durable.assert_fact(locked._handle, '{"id":"9","sid":"0","kind":"fact"}')
    assert accepted == 0
    assert durable.start_action_for_state(locked._handle, session)
    with pytest.raises(PolicyError, match="answered nothing"):
        rules.fired([small_row()])
    assert rules.retired == 1
    assert rules.fired([small_row()]) == [frozenset({0})]


@pytest.mark.parametrize(
    "calls",
    [
        "durable.start_action_for_state(handle, 1)",
        "ask(handle, {'a': 2}); durable.complete_and_start_action(handle, 999)",
        "assert_one(1); start(); durable.delete_state(handle, '0');"
        " durable.complete_and_start_action(handle, 1)",
        "assert_one(1); start(); durable.abandon_action(handle, 1);"
        " durable.retract_fact(handle, '{\"id\": 1, \"sid\": 0}'); ask(handle, {'a': 1}, 2)",
    ],
    ids=["start first", "a bad offset", "complete what is deleted", "abandon and retract"],
)
def test_order_naive_use_ends_the_process(naive: Run, calls: str) -> None:
    shown = naive(f"""
        handle = ruleset({{"a": 1}})
        def assert_one(number):
            durable.assert_fact(handle, json.dumps({{"id": number, "sid": 0, "a": 1}}))
        def start():
            durable.start_action_for_state(handle, 1)
        {calls}
    """)
    assert shown.returncode == -signal.SIGSEGV, shown.stderr


def test_order_ours_is_one_whatever_fires(
    small: FactCatalogue, guard: Guard, small_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def recording(name: str) -> Callable[..., object]:
        call = getattr(durable, name)

        def record(*given: object) -> object:
            calls.append(name)
            return call(*given)

        return record

    for name in RECORDED:
        monkeypatch.setattr(guarded_module.durable, name, recording(name))
    rules = guard(small, "t.a > 5", "t.a > 6", "!t.p")
    rules.fired([small_row({"t.a": n % 9, "t.p": n % 2 == 0}) for n in range(40)])
    rules.close()
    check = r"assert_fact start_action_for_state( complete_and_start_action)+ retract_fact "
    order = rf"create_ruleset ({check})+delete_state delete_ruleset"
    assert re.fullmatch(order, " ".join(calls))
    assert calls.count("assert_fact") == 41  # the sentinel and forty checks


@pytest.mark.parametrize(
    "calls",
    [
        "ask(handle, {'z': 2}); durable.delete_state(handle, '0')",
        "[ask(handle, {'a3': 0}, session=n) for n in range(20)]\n"
        "durable.delete_state(handle, '3')\n"
        "[durable.start_action(handle) for n in range(25)]",
    ],
    ids=["before anything fired", "and start_action later"],
)
def test_delete_state_naive_use_ends_the_process(naive: Run, calls: str) -> None:
    made = 'handle = rules(**{f"r{n}": {"$gt": {f"a{n}": n}} for n in range(20)})\n'
    shown = naive(made + calls, perturb=True)
    assert shown.returncode in (-signal.SIGSEGV, -signal.SIGABRT), shown.stderr


def test_delete_state_ours_is_safe_for_an_engine_that_never_decided(ours: Run) -> None:
    shown = ours(
        """
        create = guarded(*(f"t.a > {n}" for n in range(20)))
        for _ in range(20):
            create().close()
        print("alive")
        """,
        perturb=True,
    )
    assert (shown.returncode, shown.stdout.split()) == (0, ["alive"]), shown.stderr


def test_delete_ruleset_naive_use_leaks(naive: Run) -> None:
    shown = naive("""
        def use():
            handle = rules(**{f"r{n}": {"$gt": {f"a{n}": n}} for n in range(20)})
            ask(handle, {"a1": 5})
            durable.delete_ruleset(handle)
        for _ in range(20):
            use()
        before = memory()
        for _ in range(100):
            use()
        said((memory() - before) / 100)
    """)
    (kib,) = json.loads(shown.stdout)
    assert kib > 100


def test_delete_ruleset_ours_frees_the_engine(ours: Run) -> None:
    shown = ours("""
        create = guarded(*(f"t.a > {n}" for n in range(20)))
        asked = [row(10), row(30)]
        def swap(times):
            for _ in range(times):
                made = create()
                assert made.fired(asked) == [frozenset(range(10)), frozenset(range(20))]
                made.close()
            return memory()
        before = swap(50)
        print((swap(400) - before) / 400)
    """)
    assert float(shown.stdout) <= 4, shown.stderr  # KiB


def test_own_id_naive_use_takes_a_second_fact_as_seen(naive: Run) -> None:
    shown = naive("""
        handle = ruleset({"friends": False})
        said(ask(handle, {"friends": False}, "7"), ask(handle, {"friends": False}, "7"))
        elsewhere, _ = durable.assert_fact(handle, '{"id": "8", "sid": "1", "friends": false}')
        said(durable.start_action_for_state(handle, 1))
    """)
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert lines == [[["deny"], []], [None]]  # the sid sent the last one to another session


def test_own_id_ours_refuses_the_keys_and_an_observed_fact(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    plain = dict(zip(small.names, small_row(), strict=True))
    for key in ("id", "sid", "$s", "kind"):
        with pytest.raises(FactsInvalid, match="is not in the catalogue"):
            small.row(FactSet({**plain, key: "7"}))
    rules = guard(small, "t.a > 5")
    (used,) = rules._idle[0]
    durable.assert_fact(used._handle, '{"id":"1","sid":"0","kind":"fact"}')  # never retracted
    with pytest.raises(PolicyError, match="did not accept"):
        rules.fired([small_row()])
    assert rules.retired == 1


def test_post_naive_use_reports_the_first_rule_only(naive: Run) -> None:
    shown = naive("""
        handle = rules(**{f"r{n}": {"$gt": {"a": n}} for n in range(3)})
        durable.assert_fact = durable.assert_event
        said(ask(handle, {"a": 9}))
    """)
    assert json.loads(shown.stdout) == [["r0"]]


def test_post_ours_reports_every_rule(
    small: FactCatalogue, guard: Guard, small_row: MakeRow
) -> None:
    rules = guard(small, *(f"t.a > {n}" for n in range(3)))
    assert rules.fired([small_row({"t.a": 9})]) == [frozenset(range(3))]
