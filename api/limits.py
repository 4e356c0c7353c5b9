"""How large a request's body may be, route by route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from flask import Flask, Request
from flask.globals import app_ctx, request_ctx
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from api.layers import Memory, layers_of

DEFAULT_BODY: Final = 64 * 1024
"""Bytes that a route takes unless it says otherwise."""
BATCH_BODY: Final = 2 * 1024 * 1024
"""Bytes for routes that take batches."""
EVALUATE_BODY: Final = 4 * 1024 * 1024
"""Bytes for 1,000 sets of facts with room for long texts."""
PACK_BODY: Final = 256 * 1024
"""Bytes for routes that take a pack's text."""
_MARK: Final = "__lishang_body_limit__"

P = ParamSpec("P")
R = TypeVar("R")


def body_limit(size: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view take bodies of up to `size` bytes."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        setattr(view, _MARK, size)
        return view

    return mark


def limit_of(view: object) -> int:
    """Return the largest body that `view` takes, in bytes."""
    return int(getattr(view, _MARK, DEFAULT_BODY))


def install(app: Flask) -> None:
    """Hold every request of `app` to its route's limit, whatever length it declares.

    A declared length is refused at once; a body without one (chunked) is refused by `limited_body`
    as soon as it passes the limit.
    """

    def hold(request: Request, kept: Memory) -> None:
        limit = limit_of(app.view_functions.get(request.endpoint or ""))
        kept.body_limit = limit
        # One byte more, because the reader ends at its maximum without a word: a longer body
        # would otherwise pass for its own beginning.
        request.max_content_length = limit + 1
        declared = kept.declared_length = request.content_length
        if declared is not None and declared > limit:
            raise _too_large(limit)

    layers_of(app).add(hold)


def limited_body() -> bytes:
    """Return the present request's body.

    Raises
    ------
    RequestEntityTooLarge
        If it is longer than its route takes; no more than the limit was read then.
    BadRequest
        If less came than was declared.
    """
    request, kept = request_ctx.request, app_ctx.g
    declared: int | None = kept.declared_length
    if declared is None:
        data: bytes = request.get_data()
        if len(data) > kept.body_limit:
            raise _too_large(kept.body_limit)
        return data
    # A length that is known needs none of the streams that Werkzeug would put around this one.
    stream = request.environ["wsgi.input"]
    data = stream.read(declared)
    while len(data) < declared:
        part = stream.read(declared - len(data))
        if not part:
            raise BadRequest("the body ended before the length it declares")
        data += part
    return data


def _too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"the body of this route is limited to {limit} bytes")
