"""The JSON Schema of packs: what an editor checks and completes while a rule is being written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import TypeAlias

from pydantic import JsonValue

from engine.domain.errors import PolicyError
from engine.domain.verdicts import LONGEST_TEXT
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.entries import FactType
from engine.policy.pack_shape import PackShape

Schema: TypeAlias = dict[str, JsonValue]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def pack_schema(catalogues: Mapping[str, FactCatalogue] = CATALOGUES) -> Schema:
    """Return the JSON Schema (draft 2020-12) of a pack's YAML.

    It is made from `PackShape`, with the decisions, facts and outputs of `catalogues` by name. It
    says what may be written; whether it makes sense is for `lishang rules lint`.
    """
    schema = _readable(PackShape.model_json_schema(by_alias=True))
    known = catalogues.values()
    pack, defined = _part(schema, "properties"), _part(schema, "$defs")
    pack["decides"] = {"description": _said(_part(pack, "decides")), "enum": [*catalogues]}
    _part(pack, "params")["additionalProperties"] = False
    facts = _part(defined, "ExampleShape", "properties", "facts")
    outputs = _part(defined, "SetShape", "properties", "set")
    for place, values in ((facts, _facts(known)), (outputs, _outputs(known))):
        place["properties"] = dict(values)
        place["additionalProperties"] = False
    return {"$schema": _DIALECT, **schema, "title": "A pack of rules"}


def schema_text() -> str:
    """Return the schema as it is printed and kept in docs/pack.schema.json."""
    return json.dumps(pack_schema(), indent=2, ensure_ascii=False) + "\n"


def _facts(catalogues: Iterable[FactCatalogue]) -> Iterator[tuple[str, JsonValue]]:
    said: dict[str, list[Schema]] = {}
    for catalogue in catalogues:
        for entry in catalogue.entries:
            one = _value(entry.type, entry.values, entry.least, entry.greatest)
            said.setdefault(entry.name, []).append({"description": entry.description, **one})
    return _united(said)


def _outputs(catalogues: Iterable[FactCatalogue]) -> Iterator[tuple[str, JsonValue]]:
    said: dict[str, list[Schema]] = {}
    for catalogue in catalogues:
        for output in catalogue.outputs.values():
            one = _value(output.type, output.values, output.least, output.greatest)
            said.setdefault(output.name, []).append({"description": output.description, **one})
    return _united(said)


def _united(said: Mapping[str, list[Schema]]) -> Iterator[tuple[str, JsonValue]]:
    """Yield each name with what it may be; where decisions differ, with what any of them says."""
    for name, ways in said.items():
        different = [way for place, way in enumerate(ways) if way not in ways[:place]]
        united: Schema = {"anyOf": [*different]}
        yield name, different[0] if len(different) == 1 else united


def _value(kind: FactType, values: tuple[str, ...], least: int, greatest: int) -> Schema:
    match kind:
        case FactType.BOOL:
            return {"type": "boolean"}
        case FactType.INT:
            return {"type": "integer", "minimum": least, "maximum": greatest}
        case FactType.TEXT if values:
            return {"enum": [*values]}
        case FactType.TEXT:
            return {"type": "string", "maxLength": LONGEST_TEXT}


def _readable(schema: Schema) -> Schema:
    """Drop the titles that only repeat names, and the line breaks of our own source."""
    plain = deepcopy(schema)
    _clean(plain)
    return plain


def _clean(part: JsonValue, names: bool = False) -> None:
    """Clean a schema in place; `names` says that the keys of `part` are names, not keywords."""
    if isinstance(part, list):
        for item in part:
            _clean(item)
    elif isinstance(part, dict):
        if not names:
            part.pop("title", None)
            if isinstance(part.get("description"), str):
                part["description"] = " ".join(_said(part).split())
        for key, value in part.items():
            _clean(value, not names and key in {"properties", "patternProperties", "$defs"})


def _part(schema: Schema, *path: str) -> Schema:
    found = schema
    for key in path:
        below = found[key]
        if not isinstance(below, dict):
            raise PolicyError(f"{key} of a pack's schema is no object")
        found = below
    return found


def _said(schema: Schema) -> str:
    return str(schema.get("description", ""))
