"""The bench's rules as decision tables of zen-engine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.policy.bench import Bench, pack_of
from engine.domain.verdicts import FactValue
from engine.policy.compiling import Alternative, alternatives
from engine.policy.conditions import Comparison, FactName, Operator
from engine.policy.packs import Rule

JsonObject = dict[str, object]

_RULE = "rule"


def table(bench: Bench) -> JsonObject:
    """Return the table as it is meant: a column for each fact, a row for each alternative."""
    rows: list[JsonObject] = []
    columns: dict[str, None] = {}
    for rule in pack_of(bench.rules, bench.catalogue()).rules:
        for cells in _rows(rule):
            columns.update(dict.fromkeys(cells))
            rows.append({"_id": f"{len(rows)}", **cells, _RULE: f"'{rule.id}'"})
    empty = dict.fromkeys(columns, "")
    return {
        "hitPolicy": "collect",
        "inputs": [{"id": name, "name": name, "field": name} for name in columns],
        "outputs": [{"id": _RULE, "name": _RULE, "field": _RULE}],
        "rules": [{**empty, **row} for row in rows],
    }


def one_column_table(bench: Bench) -> JsonObject:
    """Return a table with a single column in which whole conditions stand.

    Hardly a table any more, but the fastest form of one.
    """
    return {
        "hitPolicy": "collect",
        "inputs": [{"id": "when", "name": "when"}],
        "outputs": [{"id": _RULE, "name": _RULE, "field": _RULE}],
        "rules": [
            {
                "_id": rule.id,
                "when": rule.when.replace("gift.", "").replace("&&", "and").replace("||", "or"),
                _RULE: f"'{rule.id}'",
            }
            for rule in bench.rules
        ],
    }


def table_graph(content: JsonObject) -> JsonObject:
    """Return a decision that asks one table."""
    place = {"x": 0, "y": 0}
    return {
        "contentType": "application/vnd.gorules.decision",
        "nodes": [
            {"id": "in", "type": "inputNode", "name": "in", "position": place, "content": {}},
            {
                "id": "table",
                "type": "decisionTableNode",
                "name": "table",
                "position": place,
                "content": content,
            },
            {"id": "out", "type": "outputNode", "name": "out", "position": place},
        ],
        "edges": [
            {"id": "a", "sourceId": "in", "targetId": "table", "type": "edge"},
            {"id": "b", "sourceId": "table", "targetId": "out", "type": "edge"},
        ],
    }


def _rows(rule: Rule) -> Iterator[dict[str, str]]:
    """Yield the cells of each row of a rule; equalities of one fact share a row."""
    equal: dict[str, list[FactValue | FactName]] = defaultdict(list)
    for alternative in alternatives(rule):
        first = alternative[0]
        if len(alternative) == 1 and first.operator is Operator.EQUAL:
            equal[first.fact].append(first.other)
        else:
            yield _cells(alternative)
    for fact, others in equal.items():
        yield {_name(fact): ", ".join(map(_value, others))}


def _cells(alternative: Alternative) -> dict[str, str]:
    tests: dict[str, list[Comparison]] = defaultdict(list)
    for comparison in alternative:
        tests[_name(comparison.fact)].append(comparison)
    return {
        name: _test(found[0])
        if len(found) == 1
        else " and ".join(f"$ {c.operator} {_value(c.other)}" for c in found)
        for name, found in tests.items()
    }


def _test(comparison: Comparison) -> str:
    value = _value(comparison.other)
    return value if comparison.operator is Operator.EQUAL else f"{comparison.operator} {value}"


def _value(value: FactValue | FactName) -> str:
    if isinstance(value, FactName):
        return _name(value.name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}'" if isinstance(value, str) else str(value)


def _name(fact: str) -> str:
    return fact.partition(".")[2]
