"""Rule packs: read from YAML, checked against their catalogue, fixed by a hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import orjson

from engine.domain.clock import to_micros
from engine.domain.errors import PackInvalid
from engine.domain.verdicts import Effect, FactValue, FiredRule, PackRef
from engine.policy.catalogue import FactCatalogue, known_name
from engine.policy.conditions import Condition, facts_read, params_read
from engine.policy.pack_shape import (
    ExampleShape,
    PackShape,
    RequireShape,
    RuleShape,
    SetShape,
)
from engine.policy.reading_conditions import ParamValue, read_condition
from engine.policy.yaml_shape import read_shape
from engine.policy.yaml_text import Path, YamlText, read_yaml

MOST_FAULTS = 100
"""Faults of one pack that are told."""


@dataclass(frozen=True, slots=True)
class Example:
    """Facts that a rule reads, and whether it fires on them."""

    facts: Mapping[str, FactValue]
    fires: bool
    written_at: str = ""
    """`file:line:column`."""


@dataclass(frozen=True, slots=True)
class Cite:
    """Where a rule comes from, and whether counsel has checked it."""

    source: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be compiled; `written_at` is its `file:line:column`."""

    id: str
    description: str
    condition: Condition
    outcome: FiredRule
    """What a verdict says when the condition holds."""
    cite: Cite | None
    examples: tuple[Example, ...]
    written_at: str


@dataclass(frozen=True, slots=True)
class Pack:
    """The rules of one decision; times in microseconds, `effective_until` not included."""

    ref: PackRef
    decides: str
    owner: str
    jurisdiction: str
    effective_from: int
    effective_until: int | None
    params: Mapping[str, ParamValue]
    rules: tuple[Rule, ...]
    file: str
    text: str
    """As it was written."""

    @property
    def unused_params(self) -> tuple[str, ...]:
        """The parameters that no rule's condition names, in their order."""
        used = frozenset[str]().union(*(params_read(rule.condition) for rule in self.rules))
        return tuple(name for name in self.params if name not in used)

    def holds_at(self, at: int) -> bool:
        """Whether the pack is in effect at the instant `at` (microseconds)."""
        return self.effective_from <= at and (
            self.effective_until is None or at < self.effective_until
        )


def read_pack(
    text: str, file: str, catalogues: Mapping[str, FactCatalogue], published: bool = False
) -> Pack:
    """Read a pack from YAML, or raise the first fault; see `examine_pack`.

    Raises
    ------
    PackInvalid
        If anything about it is not understood; the message begins with `file:line:column`.
    """
    pack, faults = examine_document(read_yaml(text, file), catalogues, published)
    if faults:
        raise faults[0]
    return pack


def examine_pack(
    text: str, file: str, catalogues: Mapping[str, FactCatalogue]
) -> tuple[Pack, list[PackInvalid]]:
    """Read a pack from YAML as far as it can be read.

    Parameters
    ----------
    text
        The YAML document.
    file
        Its name, for error messages.
    catalogues
        The decisions that exist, with their facts.

    Returns
    -------
    tuple[Pack, list[PackInvalid]]
        The pack without the rules that are not understood, and what is wrong with each of these;
        after `MOST_FAULTS` and one more, the other rules are not read.

    Raises
    ------
    PackInvalid
        If the file as a whole is not understood. Every message begins with `file:line:column`.
    """
    return examine_document(read_yaml(text, file), catalogues)


def examine_document(
    document: YamlText, catalogues: Mapping[str, FactCatalogue], published: bool = False
) -> tuple[Pack, list[PackInvalid]]:
    """Read a pack from its YAML document as far as it can be read; see `examine_pack`.

    The examples of a pack that is `published` were judged then, by the catalogue of then, and
    decide nothing: they are taken as they are.
    """
    shape = read_shape(document, PackShape)
    catalogue = catalogues.get(shape.decides)
    if catalogue is None:
        raise PackInvalid(
            f"{document.where(('decides',))}: no decision is called {shape.decides!r}",
            f"known: {', '.join(catalogues)}",
            "UNKNOWN_DECISION",
        )
    params: dict[str, ParamValue] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in shape.params.items()
    }
    faults = _doubled_ids(shape, document)
    begins, ends = _window(shape, document)
    rules = []
    for index, rule in enumerate(shape.rules):
        if len(faults) > MOST_FAULTS:
            break
        try:
            rules.append(_rule(rule, index, document, catalogue, params, published))
        except PackInvalid as fault:
            # Without what led to it: its frames would keep the syntax trees.
            faults.append(PackInvalid(fault.message, fault.hint, fault.fault))
    pack = Pack(
        ref=PackRef(shape.pack, shape.version, canonical_hash(shape)),
        decides=shape.decides,
        owner=shape.owner,
        jurisdiction=shape.jurisdiction,
        effective_from=begins,
        effective_until=ends,
        params=params,
        rules=tuple(rules),
        file=document.file,
        text=document.text,
    )
    return pack, [*faults, *_doubled_outputs(pack)]


def canonical_hash(shape: PackShape) -> str:
    """Return the SHA-256 of what a pack says, whatever its layout and comments.

    What it leaves unsaid does not count, so that a key that packs learn later changes no hash.
    """
    said = shape.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _rule(
    shape: RuleShape,
    index: int,
    document: YamlText,
    catalogue: FactCatalogue,
    params: Mapping[str, ParamValue],
    published: bool,
) -> Rule:
    path: Path = ("rules", index)
    condition = read_condition(shape.when, catalogue, params, _locator(document, (*path, "when")))
    for place, example in enumerate(() if published else shape.examples):
        _check_example(example, condition, catalogue, document, (*path, "examples", place))
    outcome = _outcome(shape, catalogue, document, path)
    return Rule(
        id=shape.id,
        description=shape.description,
        condition=condition,
        outcome=outcome,
        cite=Cite(shape.cite.source, shape.cite.verified) if shape.cite else None,
        examples=tuple(
            Example(dict(e.facts), e.fires, document.where((*path, "examples", place)))
            for place, e in enumerate(shape.examples)
        ),
        written_at=document.where(path),
    )


def _outcome(
    shape: RuleShape, catalogue: FactCatalogue, document: YamlText, path: Path
) -> FiredRule:
    if isinstance(shape.then, SetShape):
        for name, value in shape.then.set.items():
            fault = catalogue.output_fault(name, value)
            if fault is not None:
                known = ", ".join(catalogue.outputs) or f"{catalogue.decision} has none"
                raise PackInvalid(
                    f"{document.where((*path, 'then', 'set', name), key=True)}: {name} {fault}",
                    f"outputs: {known}",
                    "WRONG_OUTPUT",
                )
        sets = tuple(sorted(shape.then.set.items()))
        return FiredRule(shape.id, Effect.ALLOW, shape.reason, None, sets, shape.priority)
    if shape.reason is None:
        raise PackInvalid(
            f"{document.where(path)}: the rule {shape.id!r} gives no reason",
            "only a rule that sets outputs may go without",
            "NO_REASON",
        )
    if isinstance(shape.then, RequireShape):
        return FiredRule(shape.id, Effect.DENY, shape.reason, shape.then.require)
    return FiredRule(shape.id, Effect(shape.then), shape.reason)


def _locator(document: YamlText, path: Path) -> Callable[[int], str]:
    return lambda offset: document.within(path, offset)


def _check_example(
    example: ExampleShape,
    condition: Condition,
    catalogue: FactCatalogue,
    document: YamlText,
    path: Path,
) -> None:
    read = facts_read(condition)
    if set(example.facts) != read:
        raise PackInvalid(
            f"{document.where(path)}: the example must give exactly the facts the rule reads",
            ", ".join(sorted(read)),
            "WRONG_EXAMPLE",
        )
    for name, value in example.facts.items():
        fault = catalogue[name].fault(value)
        if fault is not None:
            where = document.where((*path, "facts", name))
            hint = f"write {catalogue[name].asked}"
            raise PackInvalid(f"{where}: {name} {fault}", hint, "WRONG_EXAMPLE")
    for name in example.facts:
        entry = catalogue[name]
        known = example.facts.get(known_name(name), True)
        if not known and example.facts[name] != entry.when_unknown:
            raise PackInvalid(
                f"{document.where((*path, 'facts', name))}: {name} is unknown, so it must be "
                f"{entry.when_unknown!r}",
                f"or say {known_name(name)}: true",
                "WRONG_EXAMPLE",
            )


def _doubled_ids(shape: PackShape, document: YamlText) -> list[PackInvalid]:
    seen: set[str] = set()
    faults = []
    for index, rule in enumerate(shape.rules):
        if rule.id in seen:
            where = document.where(("rules", index, "id"))
            faults.append(
                PackInvalid(
                    f"{where}: two rules are called {rule.id!r}",
                    "give each rule an id of its own",
                    "DOUBLED_RULE",
                )
            )
        seen.add(rule.id)
    return faults


def _doubled_outputs(pack: Pack) -> list[PackInvalid]:
    """Find rules that set one output with equal priority: what they set would depend on order."""
    first: dict[tuple[str, int], Rule] = {}
    faults = []
    for rule in pack.rules:
        for name, _ in rule.outcome.sets:
            other = first.setdefault((name, rule.outcome.priority), rule)
            if other is not rule:
                faults.append(
                    PackInvalid(
                        f"{rule.written_at}: the rules {other.id!r} and {rule.id!r} both set "
                        f"{name} with priority {rule.outcome.priority}",
                        "give one of them a higher priority",
                        "DOUBLED_OUTPUT",
                    )
                )
    return faults


def _window(shape: PackShape, document: YamlText) -> tuple[int, int | None]:
    begins = read_instant(shape.effective.from_, document, ("effective", "from"))
    if shape.effective.until is None:
        return begins, None
    ends = read_instant(shape.effective.until, document, ("effective", "until"))
    if ends <= begins:
        raise PackInvalid(
            f"{document.where(('effective', 'until'))}: the pack ends before it begins",
            "until must be later than from",
            "WRONG_WINDOW",
        )
    return begins, ends


def read_instant(text: str, document: YamlText, path: Path) -> int:
    """Return in microseconds the instant that is written at `path`.

    Raises
    ------
    PackInvalid
        If it is none or has no offset, with its place in the file.
    """
    hint = "write an instant with its offset, such as 2026-01-01T00:00:00+08:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PackInvalid(
            f"{document.where(path)}: {text!r} is no instant", hint, "WRONG_WINDOW"
        ) from error
    if moment.tzinfo is None:
        raise PackInvalid(f"{document.where(path)}: {text!r} has no offset", hint, "WRONG_WINDOW")
    return to_micros(moment)
