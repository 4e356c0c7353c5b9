"""Strict reading of what comes in: a body, a path or a query becomes a model or a clear refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeVar

import orjson
from flask import request
from flask.globals import request_ctx
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from api.limits import limited_body
from api.problems import FieldProblem, InvalidFields, fields_of

JSON: Final = "application/json"

M = TypeVar("M", bound=BaseModel)


class _RepeatedName(ValueError):
    """An object names a member twice."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedName
    return members


_UNIQUE: Final = json.JSONDecoder(object_pairs_hook=_unique)


def read_body(model: type[M]) -> M:
    """Return the request's JSON body as a `model`.

    Raises
    ------
    UnsupportedMediaType
        If it is not declared as plain application/json.
    BadRequest
        If it is not JSON in UTF-8, nests deeper than 200 levels or names a member twice.
    RequestEntityTooLarge
        If it is longer than the route's limit.
    InvalidFields
        If it is JSON but not the model.
    """
    sent = request_ctx.request
    declared = sent.environ.get("CONTENT_TYPE")
    kind = declared if declared == JSON else sent.mimetype  # taking it apart costs
    encoding = sent.environ.get("HTTP_CONTENT_ENCODING", "identity").lower()
    if kind != JSON or encoding != "identity":
        raise UnsupportedMediaType("this route reads application/json only")
    data = limited_body()
    document = plain_document(data)
    bulk = getattr(model, "bulk", None)
    items = document.get(bulk) if isinstance(document, dict) else None
    if isinstance(document, dict) and isinstance(items, list):
        # Parsed once is enough for what is not validated here.
        envelope = orjson.dumps({**document, bulk: [None] * len(items)})
        return _validated(model, envelope).model_copy(update={str(bulk): items})
    found = _validated(model, data)
    if document is None:
        _refuse_repeated_names(data)
    return found


def read_path(model: type[M], values: Mapping[str, object]) -> M:
    """Return the route's parameters as a `model`.

    Raises
    ------
    InvalidFields
        If one is not as the model says.
    """
    return _read_strings(model, {name: str(value) for name, value in values.items()})


def read_query(model: type[M]) -> M:
    """Return the query parameters as a `model`.

    Raises
    ------
    InvalidFields
        If one is unknown, repeated or not as the model says.
    """
    repeated = [name for name, values in request.args.lists() if len(values) > 1]
    if repeated:
        raise InvalidFields(
            [FieldProblem(field=f"/{name[:128]}", message="Give it once") for name in repeated[:20]]
        )
    return _read_strings(model, request.args.to_dict())


def read_header(model: type[M]) -> M:
    """Return the headers that `model` names (by alias, such as `Idempotency-Key`) as a `model`.

    Raises
    ------
    InvalidFields
        If one is missing or not as the model says.
    """
    names = [field.alias or name for name, field in model.model_fields.items()]
    sent = {name: request.headers[name] for name in names if name in request.headers}
    return _read_strings(model, sent)


def plain_document(data: bytes) -> object:
    """Return the JSON document in `data`; None where it takes a closer look.

    What is returned surely names no member of an object twice: every member has one colon, and
    without escapes every text stands in it exactly as in `data`, so that colons would be missing
    if and only if a repeated member had been dropped.
    """
    if b"\\" in data:
        return None
    try:
        document: object = orjson.loads(data)
        written = orjson.dumps(document)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return document if written.count(b":") == data.count(b":") else None


def _validated(model: type[M], data: bytes) -> M:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        malformed = next((e["msg"] for e in errors if e["type"] == "json_invalid"), None)
        if malformed is not None:
            raise BadRequest(malformed) from None
        raise InvalidFields(fields_of(errors)) from None


def _read_strings(model: type[M], values: Mapping[str, str]) -> M:
    try:
        return model.model_validate_strings(values)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False, include_context=False)
        raise InvalidFields(fields_of(errors)) from None


def _refuse_repeated_names(data: bytes) -> None:
    # The model's reader keeps the last of two equal names where another program may keep the
    # first: a body that two programs understand differently must not pass. The document is known
    # to be well formed and at most 200 levels deep here.
    try:
        _UNIQUE.decode(data.decode())
    except _RepeatedName:
        raise BadRequest("an object names a member twice") from None
    except (ValueError, RecursionError):
        raise BadRequest("cannot read the body as JSON") from None
