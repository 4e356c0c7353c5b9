"""What is done around every view, handed the request and its memory once.

Flask's own hooks take nothing, so each of them looks up `request` and `g` for itself: a microsecond
or two each time, thirty times a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from flask import Flask, Request, Response
from flask.ctx import _AppCtxGlobals
from flask.globals import app_ctx, request_ctx

Memory: TypeAlias = _AppCtxGlobals
"""What Flask calls `g`."""
Before: TypeAlias = Callable[[Request, Memory], None]
"""Is called before the view; what it raises is the answer."""
After: TypeAlias = Callable[[Request, Memory, Response], None]
"""Is called with the answer, whatever it is."""

_EXTENSION: Final = "lishang.layers"


class Layers:
    """The layers of one application, the outermost first."""

    def __init__(self) -> None:
        self._before: list[Before] = []
        self._after: list[After] = []

    def add(self, before: Before | None = None, after: After | None = None) -> None:
        """Add a layer inside those that are there."""
        if before is not None:
            self._before.append(before)
        if after is not None:
            self._after.insert(0, after)

    def begin(self) -> None:
        """Run what comes before the view, from the outermost to the innermost."""
        request, memory = request_ctx.request, app_ctx.g
        for before in self._before:
            before(request, memory)

    def end(self, response: Response) -> Response:
        """Run what comes after it, from the innermost to the outermost."""
        request, memory = request_ctx.request, app_ctx.g
        for after in self._after:
            after(request, memory, response)
        return response


def layers_of(app: Flask) -> Layers:
    """Return the layers of `app`."""
    found = app.extensions.get(_EXTENSION)
    if not isinstance(found, Layers):
        found = app.extensions[_EXTENSION] = Layers()
        app.before_request(found.begin)
        app.after_request(found.end)
    return found
