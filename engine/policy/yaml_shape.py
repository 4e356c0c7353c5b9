"""YAML text to pydantic shapes, with the place of every value that does not fit."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.domain.errors import PackInvalid
from engine.policy.yaml_text import Path, YamlText

Shape = TypeVar("Shape", bound=BaseModel)

_OUT_OF_RANGE = {"less_than_equal", "greater_than_equal", "string_too_long", "too_long"}
"""What pydantic says of numbers, texts and lists that are of the right type but too great."""


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
        raise _shape_faults(document, error)[0] from error


def shape_faults(document: YamlText, shape: type[BaseModel]) -> list[PackInvalid]:
    """Return every value of the document that does not fit `shape`, with its place in the file."""
    try:
        shape.model_validate(document.value)
    except ValidationError as error:
        return _shape_faults(document, error)
    return []


def _shape_faults(document: YamlText, error: ValidationError) -> list[PackInvalid]:
    # A value that fits none of several shapes has one fault for each; a missing key is one by
    # itself, unless all keys of one of these shapes are missing.
    alike: dict[Path, list[ErrorDetails]] = {}
    for fault in error.errors(include_url=False):
        path = document.written(fault["loc"])
        if fault["type"] == "missing" and alike.get(path, [fault])[0]["type"] == "missing":
            path = (*path, fault["loc"][-1])
        alike.setdefault(path, []).append(fault)
    found = []
    for path, faults in alike.items():
        kinds = {fault["type"] for fault in faults}
        where = document.where(path, key=faults[0]["type"] == "extra_forbidden")
        said = ".".join(map(str, path))
        what = "; or ".join(dict.fromkeys(fault["msg"] for fault in faults))
        found.append(
            PackInvalid(
                f"{where}: {said or 'the file'}: {what}",
                "the keys and their types are listed in docs/rules.md",
                "OUT_OF_RANGE" if kinds & _OUT_OF_RANGE else "WRONG_SHAPE",
            )
        )
    return found
