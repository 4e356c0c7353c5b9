"""Whole decisions written down beside the packs: given these facts, expect this verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from engine.domain.errors import PackInvalid
from engine.domain.verdicts import Effect, FactSet, FactValue
from engine.policy.catalogue import FactCatalogue, known_name
from engine.policy.decisions import CATALOGUES
from engine.policy.entries import FactEntry
from engine.policy.folder import CASES_FOLDER, text_of
from engine.policy.pack_shape import Code, Name, Sentence, Text, Whole
from engine.policy.packs import read_instant
from engine.policy.yaml_shape import read_shape
from engine.policy.yaml_text import Path as Keys
from engine.policy.yaml_text import YamlText, read_yaml

Given = StrictBool | Whole | Text | None


@dataclass(frozen=True, slots=True)
class Case:
    """One decision on complete facts and what it must come to.

    `reasons` and `outputs` are None where the case leaves them open; `at` is the instant
    (microseconds) whose packs the case is about, None for every pack of the decision.
    """

    name: str
    decides: str
    at: int | None
    facts: FactSet
    effect: Effect
    fired: frozenset[str]
    reasons: frozenset[str] | None
    outputs: Mapping[str, FactValue] | None
    written_at: str
    """`file:line:column`."""


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class CaseShape(_Shape):
    """One case: what differs from the base, and what is expected."""

    name: Sentence
    facts: dict[str, Given] = {}
    effect: Annotated[Effect, Field(strict=False)]
    fired: list[Name]
    reasons: list[Code] | None = None
    outputs: dict[str, StrictBool | Whole | Text] | None = None


class CasesShape(_Shape):
    """A file of cases."""

    decides: Name
    at: str | None = None
    base: dict[str, Given]
    cases: Annotated[list[CaseShape], Field(min_length=1, max_length=10_000)]


def cases_in(folder: Path, catalogues: Mapping[str, FactCatalogue] = CATALOGUES) -> list[Case]:
    """Read every `cases/*.yaml` of `folder`, in the order of their names; none is no error.

    Raises
    ------
    PackInvalid
        If a file is not understood; the message begins with `file:line:column`.
    PolicyError
        If a file cannot be read.
    """
    return [
        case
        for path in sorted((folder / CASES_FOLDER).glob("*.yaml"))
        for case in read_cases(text_of(path), f"{CASES_FOLDER}/{path.name}", catalogues)
    ]


def read_cases(text: str, file: str, catalogues: Mapping[str, FactCatalogue]) -> list[Case]:
    """Read a file of cases.

    Parameters
    ----------
    text
        A YAML document: `decides`, `base` (every supplied fact of the decision, null for one that
        nobody knows) and `cases`, each with its changes to the base and what is expected.
    file
        Its name, for error messages.
    catalogues
        The decisions that exist, with their facts.

    Returns
    -------
    list[Case]
        In the order of the file.

    Raises
    ------
    PackInvalid
        If it is not understood, names a fact, value or output that does not exist, leaves a fact
        out of the base or has two cases of one name. The message begins with `file:line:column`.
    """
    document = read_yaml(text, file)
    shape = read_shape(document, CasesShape)
    catalogue = catalogues.get(shape.decides)
    if catalogue is None:
        raise PackInvalid(
            f"{document.where(('decides',))}: no decision is called {shape.decides!r}",
            f"known: {', '.join(catalogues)}",
        )
    supplied = {entry.name: entry for entry in catalogue.supplied}
    _check_facts(shape.base, supplied, document, ("base",))
    missing = [name for name in supplied if name not in shape.base]
    if missing:
        raise PackInvalid(
            f"{document.where(('base',))}: the base leaves out {', '.join(missing)}",
            f"give every supplied fact of {shape.decides}, null for what nobody knows",
        )
    at = None if shape.at is None else read_instant(shape.at, document, ("at",))
    cases: dict[str, Case] = {}
    for index, case in enumerate(shape.cases):
        path: Keys = ("cases", index)
        if case.name in cases:
            raise PackInvalid(
                f"{document.where((*path, 'name'))}: two cases are called {case.name!r}",
                "name each after what it shows",
            )
        cases[case.name] = _case(case, shape, at, catalogue, document, path)
    return list(cases.values())


def _case(
    shape: CaseShape,
    file: CasesShape,
    at: int | None,
    catalogue: FactCatalogue,
    document: YamlText,
    path: Keys,
) -> Case:
    supplied = {entry.name: entry for entry in catalogue.supplied}
    _check_facts(shape.facts, supplied, document, (*path, "facts"))
    for name, value in (shape.outputs or {}).items():
        fault = catalogue.output_fault(name, value)
        if fault is not None:
            raise PackInvalid(
                f"{document.where((*path, 'outputs', name), key=True)}: {name} {fault}",
                f"outputs: {', '.join(catalogue.outputs) or f'{catalogue.decision} has none'}",
            )
    for place, rule in enumerate(shape.fired):
        if rule in shape.fired[:place]:
            raise PackInvalid(
                f"{document.where((*path, 'fired', place))}: {rule!r} stands twice",
                "a rule fires once or not at all",
            )
    return Case(
        name=shape.name,
        decides=file.decides,
        at=at,
        facts=catalogue.fact_set({**file.base, **shape.facts}),
        effect=shape.effect,
        fired=frozenset(shape.fired),
        reasons=None if shape.reasons is None else frozenset(shape.reasons),
        outputs=shape.outputs,
        written_at=document.where(path),
    )


def _check_facts(
    given: Mapping[str, Given],
    supplied: Mapping[str, FactEntry],
    document: YamlText,
    path: Keys,
) -> None:
    for name, value in given.items():
        entry = supplied.get(name)
        if entry is None:
            where = document.where((*path, name), key=True)
            raise PackInvalid(f"{where}: unknown fact {name!r}", _unknown_hint(name, supplied))
        where = document.where((*path, name))
        if value is None and not entry.may_be_unknown:
            raise PackInvalid(f"{where}: {name} must always be known", f"give {entry.type.said}")
        fault = None if value is None else entry.fault(value)
        if fault is not None:
            raise PackInvalid(f"{where}: {name} {fault}", entry.description)


def _unknown_hint(name: str, supplied: Mapping[str, FactEntry]) -> str:
    known = next((n for n in supplied if known_name(n) == name), None)
    if known is not None:
        return f"it follows from {known}: write {known}: null where nobody knows it"
    near = get_close_matches(name, supplied, n=1)
    return f"did you mean {near[0]}?" if near else "lishang rules facts lists them"
