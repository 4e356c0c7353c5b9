"""Every evaluation of one pack side by side, and random packs and facts to compare them on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

import cel
from hypothesis import strategies as st

from engine.domain.errors import PackInvalid
from engine.domain.verdicts import (
    ConditionTrace,
    Effect,
    FactSet,
    FactValue,
    FiredRule,
    PackRef,
)
from engine.policy.catalogue import FactCatalogue, known_name
from engine.policy.compiling import alternatives, compile_rules
from engine.policy.conditions import AllOf, AnyOf, Condition, FactName, Membership, Negation
from engine.policy.entries import FactEntry, FactType
from engine.policy.evaluating import holds, traces
from engine.policy.generating import generate
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Pack, Rule
from engine.policy.reading_conditions import ParamValue, read_condition
from engine.policy.suggesting import leaves

Facts = Mapping[str, FactValue]
Fired = frozenset[int]
Evaluation = Callable[[Sequence[Facts]], list[Fired]]

CATALOGUE = FactCatalogue(
    "random",
    [
        FactEntry("t.p", FactType.BOOL, "test", "a truth"),
        FactEntry("t.q", FactType.BOOL, "test", "a truth"),
        FactEntry("t.a", FactType.INT, "test", "a number"),
        FactEntry("t.b", FactType.INT, "test", "a number"),
        FactEntry("u.c", FactType.INT, "test", "a number"),
        FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=("red", "green", "blue")),
        FactEntry("t.s", FactType.TEXT, "test", "a text"),
        FactEntry("u.s", FactType.TEXT, "test", "a text"),
    ],
)
TEXTS = ["", "a", "ab", "礼", "礼尚往来", "is_friend", "bil3ui1", "5", "true", "red"]
NUMBERS = [-(2**53), 2**53, -1, 0, 1, 2, 99, 100, 101]
PARAMS: dict[str, ParamValue] = {
    "yes": True,
    "low": -2,
    "cap": 100,
    "huge": 2**53,
    "word": "礼",
    "sizes": (0, 1, 99),
    "words": ("a", "礼尚往来"),
}

_numbers = st.sampled_from(NUMBERS) | st.integers(-3, 3)
_texts = st.sampled_from(TEXTS)
_orders = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_equals = st.sampled_from(["==", "!="])
_bools = st.sampled_from(["t.p", "t.q"])
_ints = st.sampled_from(["t.a", "t.b", "u.c"])
_strings = st.sampled_from(["t.s", "u.s"])
_colours = st.sampled_from(["red", "green", "blue"])
_sums = st.builds(
    "{} {} {}".format,
    st.sampled_from(["params.low", "params.cap", "7", "(params.cap - 101)"]),
    st.sampled_from(["+", "-", "*", "/", "%"]),
    st.sampled_from(["params.low", "params.cap", "3", "(-3)", "7 * 2"]),
)


def _quoted(values: list[str]) -> str:
    return "[" + ", ".join(f"'{value}'" for value in values) + "]"


atoms = st.one_of(
    _bools,
    st.builds(
        "{} {} {}".format,
        _bools,
        _equals,
        st.sampled_from(["true", "false", "params.yes"]) | _bools,
    ),
    st.builds("{} {} {}".format, _ints, _orders, _numbers.map(str) | _ints),
    st.builds("{1} {2} {0}".format, _ints, _numbers.map(str), _orders),
    st.builds("{} {} {}".format, _ints, _orders, _sums),
    st.builds("{} {} params.huge".format, _ints, _orders),
    st.builds("{} in {}".format, _ints, st.lists(_numbers, min_size=1, max_size=4).map(str)),
    st.builds("{} in params.sizes".format, _ints),
    st.builds("t.kind {} '{}'".format, _equals, _colours),
    st.builds("t.kind in {}".format, st.lists(_colours, min_size=1, max_size=3).map(_quoted)),
    st.builds("{} {} '{}'".format, _strings, _equals, _texts),
    st.builds("{} {} params.word".format, _strings, _equals),
    st.builds("t.s {} u.s".format, _equals),
    st.builds("{} in {}".format, _strings, st.lists(_texts, min_size=1, max_size=3).map(_quoted)),
    st.builds("{} in params.words".format, _strings),
)
"""Comparisons as an author writes them, over CATALOGUE and PARAMS."""

conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
        st.builds("{} && {} || {}".format, inner, inner, inner),
    ),
    max_leaves=7,
)
packs = st.lists(conditions, min_size=1, max_size=8)
"""The conditions of a pack's rules."""


class Panel:
    """All evaluations of one pack; each returns which rules fire on each set of facts.

    Parameters
    ----------
    pack
        The pack.
    written
        The condition of each rule, as it was written.
    catalogue
        The facts of its decision.
    """

    def __init__(self, pack: Pack, written: Sequence[str], catalogue: FactCatalogue) -> None:
        self._pack, self._written, self._catalogue = pack, written, catalogue
        self._guarded = GuardedRules(compile_rules("panel", pack.rules), catalogue)
        self._generated = generate(pack)
        self._program = cel.compile(f"[{', '.join(f'({text})' for text in written)}]")
        params = {n: list(v) if isinstance(v, tuple) else v for n, v in pack.params.items()}
        self._context = cel.Context({"params": params})
        self.evaluations: dict[str, Evaluation] = {
            "durable_rules": self.by_durable_rules,
            "the generated function": self.by_generated_function,
            "the traced comparisons": self.by_traces,
            "the Rust implementation of CEL": self.by_rust,
        }

    def differences(self, asked: Sequence[Facts]) -> list[str]:
        """Say where an evaluation differs from `holds`."""
        expected = self.by_evaluator(asked)
        said = []
        for name, evaluation in self.evaluations.items():
            for facts, fired, right in zip(asked, evaluation(asked), expected, strict=True):
                if fired != right:
                    rules = [self._written[index] for index in sorted(fired ^ right)]
                    said.append(f"{name} and holds differ on {rules} given {facts}")
        return said

    def by_evaluator(self, asked: Sequence[Facts]) -> list[Fired]:
        rules = list(enumerate(rule.condition for rule in self._pack.rules))
        return [frozenset(n for n, rule in rules if holds(rule, facts)) for facts in asked]

    def by_durable_rules(self, asked: Sequence[Facts]) -> list[Fired]:
        return self._guarded.fired([self._catalogue.row(FactSet(facts)) for facts in asked])

    def by_generated_function(self, asked: Sequence[Facts]) -> list[Fired]:
        return [self._generated.fired(facts) for facts in asked]

    def by_traces(self, asked: Sequence[Facts]) -> list[Fired]:
        rules = list(enumerate(rule.condition for rule in self._pack.rules))
        return [
            frozenset(n for n, rule in rules if retold(rule, iter(traces(rule, facts))))
            for facts in asked
        ]

    def by_rust(self, asked: Sequence[Facts]) -> list[Fired]:
        found = []
        for facts in asked:
            self._context.update(nested(facts))
            results = self._program.execute(self._context)
            if {*map(type, results)} != {bool}:
                raise TypeError(f"not all are truths: {results}")
            found.append(frozenset(n for n, result in enumerate(results) if result))
        return found

    def close(self) -> None:
        self._guarded.close()


def retold(condition: Condition, told: Iterator[ConditionTrace], *, negated: bool = False) -> bool:
    """Return what traced comparisons, taken in reading order, make of a condition.

    A trace already says what stands under a negation as its opposite.
    """
    match condition:
        case Negation(part):
            return retold(part, told, negated=not negated)
        case AllOf(parts) | AnyOf(parts):
            results = [retold(part, told, negated=negated) for part in parts]
            return all(results) if isinstance(condition, AllOf) is not negated else any(results)
    return next(told).holds


def nested(facts: Facts) -> dict[str, dict[str, FactValue]]:
    """Return facts as CEL reads dotted names."""
    tree: dict[str, dict[str, FactValue]] = {}
    for name, value in facts.items():
        subject, _, fact = name.partition(".")
        tree.setdefault(subject, {})[fact] = value
    return tree


def random_pack(written: Sequence[str]) -> tuple[Pack, list[str]]:
    """Return a pack of the conditions that durable_rules can take, and these conditions."""
    rules, kept = [], []
    for text in written:
        rule = Rule(
            id=f"r{len(rules)}",
            description=text,
            condition=read_condition(text, CATALOGUE, PARAMS, str),
            outcome=FiredRule(f"r{len(rules)}", Effect.DENY, "NO"),
            cite=None,
            examples=(),
            written_at="f.yaml:1:1",
        )
        try:
            alternatives(rule)
        except PackInvalid:
            continue
        rules.append(rule)
        kept.append(text)
    pack = Pack(
        ref=PackRef("random", 1, "0" * 64),
        decides="random",
        owner="test",
        jurisdiction="CN",
        effective_from=0,
        effective_until=None,
        params=PARAMS,
        rules=tuple(rules),
        file="f.yaml",
        text="",
    )
    return pack, kept


def random_facts(
    pack: Pack, catalogue: FactCatalogue, number: int, random: Random
) -> list[dict[str, FactValue]]:
    """Draw complete facts, most of them at the constants of the pack's rules and beside them."""
    pools = _pools(pack, catalogue, random)
    drawn = {name: random.choices(pool, k=number) for name, pool in pools.items()}
    asked = [dict(zip(drawn, values, strict=True)) for values in zip(*drawn.values(), strict=True)]
    unknowable = [(e.name, known_name(e.name), e.when_unknown) for e in catalogue.supplied]
    for name, known, stand_in in unknowable:
        if stand_in is not None:
            for facts in asked:
                if not facts[known]:
                    facts[name] = stand_in
    return asked


def _pools(pack: Pack, catalogue: FactCatalogue, random: Random) -> dict[str, list[FactValue]]:
    constants: dict[str, set[FactValue]] = {name: set() for name in catalogue.names}
    linked: set[str] = set()
    for leaf in (leaf for rule in pack.rules for leaf in leaves(rule.condition)):
        if isinstance(leaf, Membership):
            constants[leaf.fact].update(leaf.values)
        elif isinstance(leaf.other, FactName):
            linked |= {leaf.fact, leaf.other.name}
        else:
            constants[leaf.fact].add(leaf.other)
    shared = {value for name in linked for value in constants[name]}
    pools: dict[str, list[FactValue]] = {}
    for name in catalogue.names:
        entry = catalogue[name]
        near = constants[name] | shared if name in linked else constants[name]
        match entry.type:
            case FactType.BOOL:
                pools[name] = [True, False]
            case FactType.INT:
                numbers = sorted(v for v in near if type(v) is int) or [0]
                beside = {n + step for n in numbers for step in (-1, 0, 1)}
                anywhere = [*beside, random.randint(-5, 5), random.choice(NUMBERS)]
                within = [n for n in anywhere if entry.fault(n) is None]
                pools[name] = within or [entry.neutral]
            case FactType.TEXT:
                named = sorted(v for v in near if isinstance(v, str))
                wild = [_wild_text(random) for _ in range(3)]
                pools[name] = list(entry.values) or [*named, random.choice(TEXTS), *wild]
    return pools


def _wild_text(random: Random) -> str:
    """Return a short text of any characters that UTF-8 can write."""
    greatest = random.choice([0x7F, 0xFF, 0x9FFF, 0x10FFFF])
    codes = (random.randint(0, greatest) for _ in range(random.randint(0, 8)))
    return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)
