"""The JSON Schema of packs takes what we ship and refuses what the reader refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from engine.policy.decisions import CATALOGUES
from engine.policy.pack_schema import pack_schema, schema_text
from engine.policy.reasons import REASONS_FILE
from engine.policy.yaml_text import read_yaml

ROOT = Path(__file__).resolve().parents[2]
PACKS = sorted(p for p in (ROOT / "rules").glob("*.yaml") if p.name != REASONS_FILE)
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


def _faults(schema: Mapping[str, object], value: object, root: Mapping, at: str) -> Iterator[str]:
    """Judge `value` by the keywords that the schema uses; one not known here fails the test."""
    for keyword, said in schema.items():
        match keyword:
            case "description" | "default" | "title" | "$schema" | "$defs":
                pass
            case "$ref":
                yield from _faults(root["$defs"][said.rpartition("/")[2]], value, root, at)
            case "anyOf":
                if all(any(_faults(one, value, root, at)) for one in said):
                    yield f"{at}: none of anyOf"
            case "enum":
                if not any(value == one and type(value) is type(one) for one in said):
                    yield f"{at}: not in enum"
            case "const":
                if value != said:
                    yield f"{at}: not {said}"
            case "type":
                fits = value is None if said == "null" else type(value) is TYPES[said]
                if not fits:
                    yield f"{at}: no {said}"
            case "minimum" | "maximum":
                if type(value) is int and (value < said if keyword == "minimum" else value > said):
                    yield f"{at}: {keyword}"
            case "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties":
                if isinstance(value, (str, list, dict)):
                    short = keyword.startswith("min")
                    if len(value) < said if short else len(value) > said:
                        yield f"{at}: {keyword}"
            case "pattern":
                if isinstance(value, str) and not re.search(said, value):
                    yield f"{at}: {keyword}"
            case "required":
                missing = [name for name in said if isinstance(value, dict) and name not in value]
                yield from (f"{at}: {name} is missing" for name in missing)
            case "items":
                for place, item in enumerate(value if isinstance(value, list) else ()):
                    yield from _faults(said, item, root, f"{at}/{place}")
            case "properties" | "patternProperties" | "additionalProperties":
                pass  # together, below
            case _:
                pytest.fail(f"the schema uses {keyword}, which this test does not know")
    if isinstance(value, dict):
        for name, below in value.items():
            found = [schema["properties"][name]] if name in schema.get("properties", {}) else []
            patterns = schema.get("patternProperties", {})
            found += [one for pattern, one in patterns.items() if re.search(pattern, name)]
            if not found and schema.get("additionalProperties") is False:
                yield f"{at}: {name} is not asked for"
            for one in found:
                yield from _faults(one, below, root, f"{at}/{name}")


def _judge(document: object) -> list[str]:
    schema = pack_schema()
    faults = list(_faults(schema, document, schema, ""))
    if find_spec("jsonschema"):  # no requirement of ours: where it is there, it must agree
        validator = import_module("jsonschema").Draft202012Validator(schema)
        assert bool(faults) != validator.is_valid(document)
    return faults


@pytest.fixture(scope="module")
def shipped() -> dict:
    path = ROOT / "rules" / "gift_send.yaml"
    document = read_yaml(path.read_text(encoding="utf-8"), path.name).value
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.name)
def test_every_shipped_pack_fits_the_schema(path: Path) -> None:
    assert _judge(read_yaml(path.read_text(encoding="utf-8"), path.name).value) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda pack: pack.update(decides="gift_sned"), "/decides: not in enum"),
        (lambda pack: pack.pop("owner"), ": owner is missing"),
        (lambda pack: pack.update(verison=3), ": verison is not asked for"),
        (lambda pack: pack.update(version=0), "/version: minimum"),
        (lambda pack: pack.update(jurisdiction="china"), "/jurisdiction: pattern"),
        (lambda pack: pack["params"].update(Cap=1), "/params: Cap is not asked for"),
        (lambda pack: pack["rules"][0].update(then="forbid"), "/rules/0/then: none of anyOf"),
        (lambda pack: pack["rules"][0].update(priority=True), "/rules/0/priority: no integer"),
        (
            lambda pack: pack["rules"][0].update(
                examples=[{"facts": {"gift.colour": "red"}, "fires": True}]
            ),
            "/rules/0/examples/0/facts: gift.colour is not asked for",
        ),
        (
            lambda pack: pack["rules"][0].update(then={"set": {"settle.platform_ppm": 1_000_001}}),
            "/rules/0/then: none of anyOf",
        ),
    ],
)
def test_fault_that_an_editor_should_mark_is_one(
    shipped: dict, change: Callable[[dict], object], fault: str
) -> None:
    pack = deepcopy(shipped)
    change(pack)
    assert fault in _judge(pack)


def test_every_decision_fact_and_output_is_completed_and_explained() -> None:
    schema = pack_schema()
    defined = schema["$defs"]
    assert schema["properties"]["decides"]["enum"] == list(CATALOGUES)
    facts = defined["ExampleShape"]["properties"]["facts"]["properties"]
    outputs = defined["SetShape"]["properties"]["set"]["properties"]
    assert set(facts) == {name for c in CATALOGUES.values() for name in c.names}
    assert set(outputs) == {name for c in CATALOGUES.values() for name in c.outputs}
    for shape in (schema, *defined.values()):
        for name, said in shape["properties"].items():
            assert said.get("description"), name


def test_kept_schema_is_the_present_one() -> None:
    kept = (ROOT / "docs" / "pack.schema.json").read_text(encoding="utf-8")
    assert kept == schema_text(), "write it again: lishang rules schema > docs/pack.schema.json"
    assert json.loads(kept)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
