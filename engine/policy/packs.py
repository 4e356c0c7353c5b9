"""Rule packs: read from YAML, checked against their catalogue, fixed by a hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from engine.domain.clock import to_micros
from engine.domain.errors import PackInvalid
from engine.domain.verdicts import Effect, FactValue, FiredRule, PackRef
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import Condition, facts_read
from engine.policy.pack_shape import ExampleShape, PackShape, RequireShape, RuleShape
from engine.policy.reading_conditions import ParamValue, read_condition
from engine.policy.yaml_text import Path, YamlText, read_yaml

Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Example:
    """Facts that a rule reads, and whether it fires on them."""

    facts: Mapping[str, FactValue]
    fires: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be compiled; `written_at` is its `file:line:column`."""

    id: str
    description: str
    condition: Condition
    outcome: FiredRule
    """What a verdict says when the condition holds."""
    source: str
    verified: bool
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

    def holds_at(self, at: int) -> bool:
        """Whether the pack is in effect at the instant `at` (microseconds)."""
        return self.effective_from <= at and (
            self.effective_until is None or at < self.effective_until
        )


def read_pack(text: str, file: str, catalogues: Mapping[str, FactCatalogue]) -> Pack:
    """Read a pack from YAML.

    Parameters
    ----------
    text
        The YAML document.
    file
        Its name, for error messages.
    catalogues
        The decisions that exist, with their facts.

    Raises
    ------
    PackInvalid
        If anything about it is not understood; the message begins with `file:line:column`.
    """
    document = read_yaml(text, file)
    shape = read_shape(document, PackShape)
    catalogue = catalogues.get(shape.decides)
    if catalogue is None:
        raise PackInvalid(
            f"{document.where(('decides',))}: no decision is called {shape.decides!r}",
            f"known: {', '.join(catalogues)}",
        )
    params: dict[str, ParamValue] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in shape.params.items()
    }
    _check_ids(shape, document)
    begins, ends = _window(shape, document)
    return Pack(
        ref=PackRef(shape.pack, shape.version, canonical_hash(shape)),
        decides=shape.decides,
        owner=shape.owner,
        jurisdiction=shape.jurisdiction,
        effective_from=begins,
        effective_until=ends,
        params=params,
        rules=tuple(
            _rule(rule, index, document, catalogue, params)
            for index, rule in enumerate(shape.rules)
        ),
        file=file,
    )


def canonical_hash(shape: PackShape) -> str:
    """Return the SHA-256 of what a pack says, whatever its layout and comments."""
    said = shape.model_dump(mode="json", by_alias=True)
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


def read_shape(document: YamlText, shape: type[Shape]) -> Shape:
    """Return the document as `shape`.

    Raises
    ------
    PackInvalid
        For the first value that does not fit, with its place in the file.
    """
    try:
        return shape.model_validate(document.value)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        path = document.written(faults[0]["loc"])
        where = document.where(path, key=faults[0]["type"] == "extra_forbidden")
        missing = faults[0]["type"] == "missing"
        # A value that fits none of several shapes has one fault for each.
        alike = [fault for fault in faults if document.written(fault["loc"]) == path]
        said = ".".join(map(str, (*path, faults[0]["loc"][-1]) if missing else path))
        fault = "; or ".join(dict.fromkeys(f["msg"] for f in alike[: 1 if missing else None]))
        raise PackInvalid(
            f"{where}: {said or 'the file'}: {fault}",
            "the keys and their types are listed in docs/policy_sources.md",
        ) from error


def _rule(
    shape: RuleShape,
    index: int,
    document: YamlText,
    catalogue: FactCatalogue,
    params: Mapping[str, ParamValue],
) -> Rule:
    path: Path = ("rules", index)
    condition = read_condition(shape.when, catalogue, params, _locator(document, (*path, "when")))
    for place, example in enumerate(shape.examples):
        _check_example(example, condition, catalogue, document, (*path, "examples", place))
    requires = shape.then.require if isinstance(shape.then, RequireShape) else None
    effect = Effect.DENY if isinstance(shape.then, RequireShape) else Effect(shape.then)
    return Rule(
        id=shape.id,
        description=shape.description,
        condition=condition,
        outcome=FiredRule(shape.id, effect, shape.reason, requires),
        source=shape.cite.source,
        verified=shape.cite.verified,
        examples=tuple(Example(dict(e.facts), e.fires) for e in shape.examples),
        written_at=document.where(path),
    )


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
        )
    for name, value in example.facts.items():
        fault = catalogue[name].fault(value)
        if fault is not None:
            raise PackInvalid(f"{document.where((*path, 'facts', name))}: {name} {fault}")


def _check_ids(shape: PackShape, document: YamlText) -> None:
    seen: set[str] = set()
    for index, rule in enumerate(shape.rules):
        if rule.id in seen:
            raise PackInvalid(
                f"{document.where(('rules', index, 'id'))}: two rules are called {rule.id!r}",
                "give each rule an id of its own",
            )
        seen.add(rule.id)


def _window(shape: PackShape, document: YamlText) -> tuple[int, int | None]:
    begins = _instant(shape.effective.from_, document, ("effective", "from"))
    if shape.effective.until is None:
        return begins, None
    ends = _instant(shape.effective.until, document, ("effective", "until"))
    if ends <= begins:
        raise PackInvalid(
            f"{document.where(('effective', 'until'))}: the pack ends before it begins",
            "until must be later than from",
        )
    return begins, ends


def _instant(text: str, document: YamlText, path: Path) -> int:
    hint = "write an instant with its offset, such as 2026-01-01T00:00:00+08:00"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise PackInvalid(f"{document.where(path)}: {text!r} is no instant", hint) from error
    if moment.tzinfo is None:
        raise PackInvalid(f"{document.where(path)}: {text!r} has no offset", hint)
    return to_micros(moment)
