"""Every error as problem details (RFC 9457): the one map from the error tree to HTTP."""

from __future__ import annotations

import traceback
from typing import Final

import orjson
import structlog
from flask import Flask, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from api.logging import request_id
from api.metrics import current_metrics
from engine.domain.errors import (
    Conflict,
    FileRefused,
    InvalidInput,
    LedgerUnavailable,
    LishangError,
    ModelError,
    NotAuthenticated,
    NotPermitted,
    PolicyError,
    UnknownReference,
)

CONTENT_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 2
"""When to come back after a 503."""
_MOST_FIELDS = 20
_LONGEST_FIELD = 128
_LONGEST_MESSAGE = 256

_STATUS: Final[dict[type[LishangError], int]] = {
    InvalidInput: 422,
    FileRefused: 422,
    UnknownReference: 404,
    Conflict: 409,
    NotAuthenticated: 401,
    NotPermitted: 403,
    # Fail closed: without its rules or its ledger the service allows nothing.
    PolicyError: 503,
    LedgerUnavailable: 503,
    ModelError: 503,
}
"""An error's status is that of its nearest ancestor here; 500 if it has none."""

_HTTP: Final[dict[int, tuple[str, str]]] = {
    400: ("MALFORMED_REQUEST", "send one JSON document in UTF-8"),
    404: ("ROUTE_UNKNOWN", "see /openapi.json for the routes"),
    405: ("METHOD_NOT_ALLOWED", "see the Allow header"),
    413: ("BODY_TOO_LARGE", "send less at once; a batch may be split"),
    415: ("UNSUPPORTED_MEDIA_TYPE", "send Content-Type: application/json, not compressed"),
}
"""Code and hint of what the web server itself refuses."""

_UNAVAILABLE: Final = {
    PolicyError: "The rules cannot decide at present, so nothing is allowed.",
    LedgerUnavailable: "The ledger cannot be used at present, so nothing was changed.",
    ModelError: "The model cannot answer at present.",
}
"""What a caller is told of a 503; the reason itself is for the log."""


class FieldProblem(BaseModel):
    """What is wrong with one field of the input."""

    model_config = ConfigDict(frozen=True)
    field: str = Field(description="Where, as a JSON pointer", examples=["/gifts/0/item"])
    message: str = Field(description="What is expected there")


class Problem(BaseModel):
    """Problem details as of RFC 9457."""

    model_config = ConfigDict(frozen=True)
    type: str = Field(description="urn:lishang:problem: and the code")
    title: str = Field(description="The code as words")
    status: int
    detail: str = Field(description="What went wrong this time")
    code: str = Field(description="Stable; decide on this", examples=["INVALID_INPUT"])
    hint: str = Field(description="What to do about it")
    instance: str = Field(description="urn:lishang:request: and the id that the log carries")
    errors: list[FieldProblem] | None = Field(None, description="The fields that were refused")


class InvalidFields(InvalidInput):
    """Some fields of the input are missing, mistyped or unknown.

    Parameters
    ----------
    fields
        Which, and what is expected there.
    """

    def __init__(self, fields: list[FieldProblem]) -> None:
        places = "field is" if len(fields) == 1 else "fields are"
        super().__init__(f"{len(fields)} {places} not as expected", "correct the listed fields")
        self.fields = fields


def fields_of(errors: list[ErrorDetails]) -> list[FieldProblem]:
    """Return pydantic's findings without the values they were found in."""
    return [
        FieldProblem(field=pointer(error["loc"]), message=error["msg"][:_LONGEST_MESSAGE])
        for error in errors[:_MOST_FIELDS]
    ]


def problem_of(error: LishangError) -> Response:
    """Return the answer to a failure of our own."""
    if isinstance(error, PolicyError):
        current_metrics().anomaly(error.code)
    status = next((_STATUS[t] for t in type(error).__mro__ if t in _STATUS), 500)
    detail, hint = error.message, error.hint
    if status >= 500:
        # The message may name hosts, files or rules: it goes to the log only.
        structlog.get_logger("problem").error(
            "refused", code=error.code, message=error.message, request=request_id()
        )
        told = (_UNAVAILABLE[t] for t in type(error).__mro__ if t in _UNAVAILABLE)
        detail = next(told, "Something went wrong here.")
        hint = f"try again in {RETRY_SECONDS} s; see /readyz" if status == 503 else ""
    extra = {"errors": error.fields} if isinstance(error, InvalidFields) else {}
    response = problem(status, error.code, detail, hint, **extra)
    if status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="lishang"'
    return response


def problem(status: int, code: str, detail: str, hint: str, **extra: object) -> Response:
    """Return problem details with any `extra` members of plain values or models."""
    body = {
        "type": f"urn:lishang:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
        "instance": f"urn:lishang:request:{request_id()}",
    }
    response = Response(
        orjson.dumps(body | extra, default=_plain), status=status, content_type=CONTENT_TYPE
    )
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def install(app: Flask) -> None:
    """Let every failure of `app` be answered with problem details."""
    app.register_error_handler(LishangError, problem_of)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_unexpected)


def _of_http(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error  # a redirect is no failure
    code, hint = _HTTP.get(status, ("HTTP_ERROR" if status < 500 else "INTERNAL", ""))
    response = problem(status, code, error.description or error.name, hint)
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _of_unexpected(error: Exception) -> Response:
    # Neither message nor locals: they may carry what the caller sent.
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    structlog.get_logger("problem").error(
        "unexpected",
        error=type(error).__name__,
        request=request_id(),
        frames=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    )
    return problem(
        500,
        LishangError.code,
        "Something went wrong here.",
        "report the request id in `instance`",
    )


def pointer(location: tuple[int | str, ...]) -> str:
    """Return the JSON pointer to a place in the input."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location)
    pointer = "".join(f"/{step}" for step in steps)
    # A field's name comes from the caller: a very long one is not sent back whole.
    return pointer if len(pointer) <= _LONGEST_FIELD else pointer[:_LONGEST_FIELD] + "…"


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")
