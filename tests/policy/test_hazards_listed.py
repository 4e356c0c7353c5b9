"""No hazard of durable_rules goes unshown: each listed one has its naive test and its safe test."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parent
DOCS = TESTS.parents[1] / "docs" / "durable_rules.md"


def listed() -> list[str]:
    """Return the names in the first column of the table of hazards."""
    rows = re.findall(r"^\| `([a-z_]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    return rows


def shown() -> dict[str, set[str]]:
    """Return what the tests show of each hazard: `naive`, `ours` or both."""
    found: dict[str, set[str]] = defaultdict(set)
    for file in TESTS.glob("test_hazards_*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                hazard = re.fullmatch(r"test_(.+?)_(naive_use|ours)_.+", node.name)
                if hazard:
                    found[hazard[1]].add(hazard[2])
    return found


def test_hazards_listed_each_have_a_naive_test_and_a_safe_one() -> None:
    rows = listed()
    assert len(rows) >= 29
    found = shown()
    assert {name: found[name] for name in rows} == {name: {"naive_use", "ours"} for name in rows}


def test_hazards_shown_are_all_listed() -> None:
    assert set(shown()) <= set(listed())
