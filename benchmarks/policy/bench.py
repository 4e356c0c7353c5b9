"""The bench: rules in CEL, checks with their facts, and every rule that each must violate."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from engine.domain.errors import InvalidInput
from engine.domain.verdicts import FactSet, FactValue
from engine.policy.catalogue import FactCatalogue
from engine.policy.engine import PolicyEngine
from engine.policy.entries import FactEntry, FactType
from engine.policy.packs import Pack, read_pack
from engine.policy.reasons import ReasonCatalogue, read_reasons

DECISION = "bench"
EVER = 1_800_000_000_000_000
"""An instant, in microseconds, at which the bench's pack is in effect."""

_SUBJECT = "gift."
_TYPES: Mapping[type, FactType] = {bool: FactType.BOOL, int: FactType.INT, str: FactType.TEXT}
_NUMBER = re.compile(r"\b\d+\b")


@dataclass(frozen=True, slots=True)
class BenchRule:
    """A rule that denies where its condition, in CEL over `gift.…`, holds."""

    id: str
    when: str


@dataclass(frozen=True, slots=True)
class Bench:
    """The rules, and by check its flat facts and the ids of all rules it violates."""

    rules: tuple[BenchRule, ...]
    facts: tuple[Mapping[str, FactValue], ...]
    violations: tuple[frozenset[str], ...]

    @property
    def types(self) -> dict[str, FactType]:
        """The type of every fact by its name."""
        return {name: _TYPES[type(value)] for name, value in self.facts[0].items()}

    def catalogue(self) -> FactCatalogue:
        """Return the facts as a catalogue of ours; texts may be any."""
        entries = [FactEntry(_SUBJECT + name, t, "bench", name) for name, t in self.types.items()]
        return FactCatalogue(DECISION, entries)

    def fact_sets(self) -> list[FactSet]:
        """Return the facts of every check as our jobs make them."""
        complete = self.catalogue().fact_set
        return [complete({_SUBJECT + name: v for name, v in given.items()}) for given in self.facts]


def read_bench(folder: Path, checks: int | None = None) -> Bench:
    """Read `rules.json` and `cases.jsonl` of `folder`, the first `checks` of them.

    Raises
    ------
    InvalidInput
        If a file is missing.
    """
    try:
        rules = json.loads((folder / "rules.json").read_text(encoding="utf-8"))
        lines = (folder / "cases.jsonl").read_text(encoding="utf-8").splitlines()[:checks]
    except OSError as error:
        raise InvalidInput(f"no bench at {folder}: {error}", "name its folder") from error
    cases = [json.loads(line) for line in lines]
    return Bench(
        rules=tuple(BenchRule(rule["id"], rule["when"]) for rule in rules),
        facts=tuple(case["facts"] for case in cases),
        violations=tuple(frozenset(case["violations"]) for case in cases),
    )


def more_rules(rules: Sequence[BenchRule], count: int, number: str) -> list[BenchRule]:
    """Return `count` rules: those of the bench, then the same with other thresholds.

    A rule without a number is joined with a threshold of the fact `number`, so that no two rules
    have one condition.
    """
    found = []
    for index in range(count):
        rule, step = rules[index % len(rules)], index // len(rules)
        when = rule.when
        if step and _NUMBER.search(when):
            parts = _NUMBER.split(when)
            moved = [str(int(found) + step) for found in _NUMBER.findall(when)]
            when = "".join(map("".join, zip(parts, [*moved, ""], strict=True)))
        elif step:
            when = f"({when}) && {_SUBJECT}{number} >= {step}"
        found.append(BenchRule(f"{rule.id}_{step}" if step else rule.id, when))
    return found


def pack_of(rules: Sequence[BenchRule], catalogue: FactCatalogue, version: int = 1) -> Pack:
    """Return the rules as a pack, read from YAML like any other."""
    said = {
        "pack": DECISION,
        "decides": DECISION,
        "version": version,
        "owner": "benchmarks",
        "jurisdiction": "CN",
        "effective": {"from": "2020-01-01T00:00:00+00:00"},
        "rules": [
            {
                "id": rule.id,
                "description": rule.id,
                "when": rule.when,
                "then": "deny",
                "reason": "VIOLATED",
                "cite": {"source": "the bench", "verified": False},
            }
            for rule in rules
        ],
    }
    return read_pack(yaml.safe_dump(said, sort_keys=False), "bench.yaml", {DECISION: catalogue})


def reasons() -> ReasonCatalogue:
    """Return the one reason that all of the bench's rules give."""
    wording = {"text": "A rule is violated.", "next_step": "Change the gift."}
    said = {"reasons": [{"code": "VIOLATED", "en": wording, "zh": dict(wording)}]}
    return read_reasons(yaml.safe_dump(said), "reasons.yaml")


def engine_of(pack: Pack, catalogue: FactCatalogue) -> PolicyEngine:
    """Return our engine with this pack in effect."""
    return PolicyEngine([pack], reasons(), {DECISION: catalogue})
