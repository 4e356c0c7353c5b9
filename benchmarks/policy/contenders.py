"""What is measured: each engine in the fastest way that its documentation and trials gave.

All begin with facts as a check has them, Python values by name, and end with the answer as the
engine gives it. What an engine needs in between is on the clock: for ours validation and JSON, for
zen and Cedar JSON text, which both read faster than they read a dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import cedarpy
import orjson
import rule_engine
import zen

from benchmarks.policy.bench import DECISION, EVER, Bench, engine_of, pack_of
from benchmarks.policy.zen_table import JsonObject, one_column_table, table, table_graph
from engine.domain.verdicts import FactValue
from engine.policy.generating import generate

OURS, TABLE = "lishang", "zen_table"


@dataclass(frozen=True, slots=True)
class Contender:
    """One engine with its rules loaded.

    `run` decides on every check of the bench and returns the engine's own answers; `violations`
    reads one of them. `close` frees what it holds.
    """

    name: str
    run: Callable[[], Sequence[object]]
    violations: Callable[[object], Iterable[str]]
    close: Callable[[], object] = lambda: None

    def is_exact(self, bench: Bench) -> bool:
        """Whether every violation of every check is reported, and nothing else."""
        found = [frozenset(self.violations(answer)) for answer in self.run()]
        return found == list(bench.violations)


def contenders(bench: Bench) -> list[Contender]:
    """Return every engine with the rules of `bench`."""
    return [
        *_ours(bench),
        _generated(bench),
        *_zen_tables(bench),
        _zen_expressions(bench),
        _zen_expression_each(bench),
        *_cedar(bench),
        _rule_engine(bench),
    ]


def _ours(bench: Bench) -> list[Contender]:
    """One call for each check, as a check does it, and one call for all of them."""
    catalogue = bench.catalogue()
    engine = engine_of(pack_of(bench.rules, catalogue), catalogue)
    given, decide = bench.fact_sets(), engine.decide_many

    def each() -> Sequence[object]:
        return [decide(DECISION, [facts], EVER)[0] for facts in given]

    def violations(verdict: object) -> list[str]:
        return [rule.rule for rule in verdict.fired]  # type: ignore[attr-defined]  # a Verdict

    return [
        Contender(OURS, each, violations, engine.close),
        Contender(f"{OURS}_batch", lambda: decide(DECISION, given, EVER), violations),
    ]


def _generated(bench: Bench) -> Contender:
    """Our own rules as one generated Python function, facts unchecked: the limit for Python."""
    fired = generate(pack_of(bench.rules, bench.catalogue())).fired
    given = [facts.values for facts in bench.fact_sets()]
    ids = [rule.id for rule in bench.rules]
    return Contender(
        "generated_python",
        lambda: [fired(values) for values in given],
        lambda answer: [ids[index] for index in answer],  # type: ignore[attr-defined]
    )


def _zen_tables(bench: Bench) -> list[Contender]:
    """The decision table: a column for each fact, and one column of whole expressions.

    The former also with its JSON written before the clock starts. Through a static loader, since a
    decision made with `create_decision` costs 200 µs and more a call in zen-engine 2.1.
    """
    texts = [_json_text(facts) for facts in bench.facts]

    def contender(name: str, graph: JsonObject, *, written: bool = False) -> Contender:
        engine = zen.ZenEngine({"loader": {"type": "static", "content": {"bench": graph}}})

        def run() -> Sequence[object]:
            if written:
                return [engine.evaluate("bench", text) for text in texts]
            return [engine.evaluate("bench", _json_text(facts)) for facts in bench.facts]

        def violations(answer: object) -> list[str]:
            return [row["rule"] for row in answer["result"]]  # type: ignore[index]

        return Contender(name, run, violations)

    return [
        contender(TABLE, table_graph(table(bench))),
        contender(f"{TABLE}_from_json", table_graph(table(bench)), written=True),
        contender("zen_table_one_column", table_graph(one_column_table(bench))),
    ]


def _zen_expressions(bench: Bench) -> Contender:
    """One compiled expression: the list of all conditions."""
    listed = ", ".join(_words(rule.when) for rule in bench.rules)
    evaluate = zen.compile_expression(f"[{listed}]").evaluate
    ids = [rule.id for rule in bench.rules]
    return Contender(
        "zen_expressions",
        lambda: [evaluate(_json_text(facts)) for facts in bench.facts],
        lambda answer: [i for i, holds in zip(ids, answer, strict=True) if holds],  # type: ignore[call-overload]
    )


def _zen_expression_each(bench: Bench) -> Contender:
    """A compiled expression for each rule."""
    compiled = [(rule.id, zen.compile_expression(_words(rule.when))) for rule in bench.rules]

    def run() -> Sequence[object]:
        texts = map(_json_text, bench.facts)
        return [[rule for rule, one in compiled if one.evaluate(text)] for text in texts]

    return Contender(
        "zen_expression_each",
        run,
        lambda answer: answer,  # type: ignore[return-value, arg-type]
    )


def _cedar(bench: Bench) -> list[Contender]:
    """A forbid policy for each rule, parsed once; one call for each check and one for all."""
    written = ["permit(principal, action, resource);"]
    for rule in bench.rules:
        when = rule.when.replace("gift.", "context.")
        written.append(f'@id("{rule.id}") forbid(principal, action, resource) when {{ {when} }};')
    policies = cedarpy.PolicySet.from_str("\n".join(written))
    entities = cedarpy.Entities.from_json_str("[]")
    who = {"principal": 'Person::"a"', "action": 'Action::"send"', "resource": 'Gift::"g"'}

    def each() -> Sequence[object]:
        return [
            cedarpy.is_authorized({**who, "context": _json_text(facts)}, policies, entities)
            for facts in bench.facts
        ]

    def batch() -> Sequence[object]:
        asked = [{**who, "context": _json_text(facts)} for facts in bench.facts]
        answers: Sequence[object] = cedarpy.is_authorized_batch(asked, policies, entities)
        return answers

    def violations(answer: object) -> list[str]:
        diagnostics = answer.diagnostics  # type: ignore[attr-defined]
        return list(diagnostics.id_annotations_by_reason.values())

    return [
        Contender("cedarpy", each, violations),
        Contender("cedarpy_batch", batch, violations),
    ]


def _rule_engine(bench: Bench) -> Contender:
    """A compiled rule for each rule; facts are dicts."""
    compiled = [(rule.id, rule_engine.Rule(_words(rule.when)).matches) for rule in bench.rules]
    given = [dict(facts) for facts in bench.facts]
    return Contender(
        "rule_engine",
        lambda: [[rule for rule, matches in compiled if matches(facts)] for facts in given],
        lambda answer: answer,  # type: ignore[return-value, arg-type]
    )


def _words(when: str) -> str:
    """Return a condition in the dialect that zen and rule-engine share."""
    return when.replace("gift.", "").replace("&&", "and").replace("||", "or")


def _json_text(facts: Mapping[str, FactValue]) -> str:
    return orjson.dumps(facts).decode()
