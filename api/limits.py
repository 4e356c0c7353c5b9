"""How large a request's body may be, route by route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from flask import Flask, g, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

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

    def hold() -> None:
        g.body_limit = limit_of(app.view_functions.get(request.endpoint or ""))
        # One byte more, because the reader ends at its maximum without a word: a longer body
        # would otherwise pass for its own beginning.
        request.max_content_length = g.body_limit + 1
        if request.content_length is not None and request.content_length > g.body_limit:
            raise _too_large()

    app.before_request(hold)


def limited_body() -> bytes:
    """Return the present request's body.

    Raises
    ------
    RequestEntityTooLarge
        If it is longer than its route takes; no more than the limit was read then.
    BadRequest
        If less came than was declared.
    """
    data = request.get_data()
    if len(data) > g.body_limit:
        raise _too_large()
    if request.content_length is not None and len(data) != request.content_length:
        raise BadRequest("the body ended before the length it declares")
    return data


def _too_large() -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"the body of this route is limited to {g.body_limit} bytes")
