"""Twenty rules and two thousand checks that nobody in this project wrote: every verdict exact."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.domain.verdicts import FactSet
from engine.policy.catalogue import FactCatalogue
from engine.policy.compiling import compile_rules
from engine.policy.entries import FactEntry, FactType
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Rule

TYPES = {bool: FactType.BOOL, int: FactType.INT, str: FactType.TEXT}


def bench_folder() -> Path:
    given, data = os.environ.get("LISHANG_POLICY_BENCH"), os.environ.get("LISHANG_DATA")
    if not given and not data:
        pytest.skip("neither LISHANG_POLICY_BENCH nor LISHANG_DATA is set")
    folder = Path(given) if given else Path(str(data)).parent / "policy_bench"
    if not (folder / "cases.jsonl").is_file():
        pytest.skip(f"the policy bench is not at {folder}")
    return folder


def test_policy_bench_every_violation_of_every_case_is_reported(
    rule: Callable[[str, str, FactCatalogue], Rule],
) -> None:
    folder = bench_folder()
    written = json.loads((folder / "rules.json").read_text(encoding="utf-8"))
    lines = (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    catalogue = FactCatalogue(
        "bench",
        [
            FactEntry(f"gift.{name}", TYPES[type(value)], "bench", name)
            for name, value in cases[0]["facts"].items()
        ],
    )
    rules = [rule(given["id"], given["when"], catalogue) for given in written]
    guarded = GuardedRules(compile_rules("bench", rules), catalogue)
    rows = [
        catalogue.row(FactSet({f"gift.{name}": value for name, value in case["facts"].items()}))
        for case in cases
    ]
    found = [sorted(rules[i].id for i in fired) for fired in guarded.fired(rows)]
    guarded.close()
    assert len(cases) >= 2_000
    assert found == [sorted(case["violations"]) for case in cases]
