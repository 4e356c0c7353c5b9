"""Hazards of threads around durable_rules: one ruleset for several, one for each, and its Host."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections.abc import Callable

import durable_rules_engine as durable
import pytest

from engine.policy import guarded as guarded_module
from engine.policy.catalogue import FactCatalogue, Row
from engine.policy.guarded import GuardedRules

Guard = Callable[..., GuardedRules]
Run = Callable[..., subprocess.CompletedProcess[str]]
MakeRow = Callable[..., Row]


def test_threads_naive_use_of_one_ruleset_gives_wrong_answers(naive: Run) -> None:
    shown = naive("""
        import threading, time
        sys.setswitchinterval(1e-6)
        handle = ruleset({"$gt": {"a": 5}})
        ask(handle, {"a": 9})
        durable.retract_fact(handle, '{"id": 1, "sid": 0}')
        wrong = []
        until = time.monotonic() + 40
        def work():
            number = 0
            while not wrong and time.monotonic() < until:
                number += 1
                try:
                    found = ask(handle, {"a": number % 11})
                    durable.retract_fact(handle, '{"id": 1, "sid": 0}')
                except durable.error:
                    wrong.append("an error")
                    return
                if bool(found) != (number % 11 > 5):
                    wrong.append("a verdict")
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(len(wrong))
    """)
    crashed = shown.returncode in (-signal.SIGSEGV, -signal.SIGABRT)
    assert crashed or int(shown.stdout) > 0, shown.stderr


def test_threads_that_first_use_a_catalogue_together_are_both_answered(ours: Run) -> None:
    # msgspec describes a type to itself at its first use; unguarded, this ends the process.
    shown = ours("""
        import sys, threading
        sys.setswitchinterval(1e-6)
        entries = [FactEntry(f"t.a{n}", FactType.INT, "test", "a number") for n in range(40)]
        facts = FactSet({entry.name: 1 for entry in entries})
        for _ in range(60):
            catalogue = FactCatalogue("d", entries)
            begun = threading.Barrier(4)
            def use():
                begun.wait()
                assert catalogue.row(facts) == (1,) * 40
            threads = [threading.Thread(target=use) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        print("sound")
    """)
    assert (shown.returncode, shown.stdout) == (0, "sound\n"), shown.stderr


def test_threads_ours_take_an_engine_each(
    small: FactCatalogue, guard: Guard, small_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules, row = guard(small, "t.a > 5"), small_row()
    assert_fact = durable.assert_fact
    meeting = threading.Barrier(2, timeout=60)
    handles: list[int] = []

    def meet(handle: int, fact: str) -> object:
        handles.append(handle)
        if "sentinel" not in fact:
            meeting.wait()  # both threads are inside a check now
        return assert_fact(handle, fact)

    monkeypatch.setattr(guarded_module.durable, "assert_fact", meet)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(rules.fired([row]))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[frozenset({0})]] * 2
    assert len(set(handles)) == 2


def test_thread_local_naive_use_leaks_for_each_thread_that_ends(naive: Run) -> None:
    shown = naive("""
        import threading
        local = threading.local()
        def work():
            local.handle = rules(**{f"r{n}": {"$gt": {f"a{n}": n}} for n in range(20)})
            ask(local.handle, {"a1": 5})
        def end(count):
            for _ in range(count):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
            return memory()
        before = end(20)
        said((end(100) - before) / 100)
    """)
    (kib,) = json.loads(shown.stdout)
    assert kib > 100


def test_thread_local_ours_hands_the_engine_on(ours: Run) -> None:
    shown = ours("""
        import threading
        made = guarded(*(f"t.a > {n}" for n in range(20)))()
        asked = [row(10)]
        def end(count):
            for _ in range(count):
                thread = threading.Thread(target=made.fired, args=(asked,))
                thread.start()
                thread.join()
            return memory()
        before = end(20)
        print((end(100) - before) / 100, len(made._idle))
    """)
    kib, engines = shown.stdout.split()
    assert float(kib) < 20
    assert engines == "1"


def test_host_naive_use_adds_threads_swallows_errors_and_cannot_reload(naive: Run) -> None:
    shown = naive("""
        import os, threading
        from durable.engine import Host, MessageNotHandledException
        before = threading.active_count()
        def act(context):
            raise ValueError("the action failed")
        def written():
            return {"gifts": {"deny": {"all": [{"m": {"a": 1}}], "run": act}}}
        host = Host(written())
        said("threads", threading.active_count() - before)
        try:
            host.assert_fact("gifts", {"a": 2})
        except MessageNotHandledException:
            said("nothing matched: an exception")
        host.assert_fact("gifts", {"a": 1})
        said("the action failed: nobody was told")
        try:
            host.set_rulesets(written())
        except Exception as error:
            said(str(error))
        os._exit(0)
    """)
    assert [json.loads(line) for line in shown.stdout.splitlines()] == [
        ["threads", 2],
        ["nothing matched: an exception"],
        ["the action failed: nobody was told"],
        ["Ruleset with name gifts already registered"],
    ]


def test_host_ours_is_never_loaded(ours: Run) -> None:
    shown = ours("""
        import sys, threading
        import engine.policy.engine
        create = guarded("t.a > 5")
        first, second = create(), create()
        print(first.fired([row(1), row(9)]) == [frozenset(), frozenset({0})], "durable" in
              sys.modules, threading.active_count())
    """)
    assert shown.stdout.split() == ["True", "False", "1"], shown.stderr
