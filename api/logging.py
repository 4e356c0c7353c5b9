"""Log lines as JSON on standard error: one a request, never a body or a secret."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from random import getrandbits
from time import perf_counter
from typing import Final

import orjson
import structlog
from flask import Flask, Request, Response, has_request_context
from flask.globals import app_ctx, request_ctx

from api.layers import Memory, layers_of
from engine.domain.clock import format_time, now

HEADER: Final = "X-Request-Id"
UNMATCHED: Final = "unmatched"
"""The route of what matched none."""
_ENVIRON: Final = "HTTP_X_REQUEST_ID"
_LINE: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")


def configure(level: str) -> None:
    """Send this process's log lines of at least `level` to standard error as JSON."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamp,
            structlog.processors.JSONRenderer(serializer=_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )


def install(app: Flask) -> None:
    """Give each request of `app` an id and, when it is answered, a line in the log."""
    wanted = structlog.get_logger("access").bind().is_enabled_for(logging.INFO)
    file = sys.stderr

    def end(request: Request, kept: Memory, response: Response) -> None:
        ours = _id_of(request, kept)
        response.headers.add(HEADER, ours)
        if not wanted:
            return
        key, started = kept.get("api_key"), kept.get("started")
        line = {
            "request": ours,
            "method": request.method,
            "route": route_of(request),
            "status": response.status_code,
            "ms": None if started is None else round((perf_counter() - started) * 1000, 3),
            "key": None if key is None else key.key_id,
            "event": "request",
            "level": "info",
            "time": datetime.now(UTC),
        }
        # The form of every line; structlog would take as long again as the rest of this layer.
        file.write(orjson.dumps(line, option=_LINE).decode())

    layers_of(app).add(_begin, end)


def request_id() -> str:
    """Return the present request's id: the caller's own, if it is usable, else a new one."""
    if not has_request_context():
        return "none"
    return _id_of(request_ctx.request, app_ctx.g)


def route_of(request: Request) -> str:
    """Return a request's route template; what matched no route is one and the same."""
    rule = request.url_rule
    return UNMATCHED if rule is None else rule.rule


class JsonLines(logging.Formatter):
    """Writes the server's own lines in the same form as ours."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one JSON line."""
        line = {
            "level": record.levelname.lower(),
            "time": format_time(int(record.created * 1_000_000)),
            "event": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info is not None and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return orjson.dumps(line).decode()


def _begin(request: Request, kept: Memory) -> None:
    kept.started = perf_counter()
    _id_of(request, kept)


def _id_of(request: Request, kept: Memory) -> str:
    known = kept.get("request_id")
    if known is None:
        given = request.environ.get(_ENVIRON, "")
        # Told apart is all they must be; what must not be guessed is made elsewhere.
        ours = given if _ACCEPTABLE.fullmatch(given) else f"{getrandbits(128):032x}"
        kept.request_id = known = ours
    return str(known)


def _stamp(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event["time"] = format_time(now())
    return event


def _json(event: Mapping[str, object], **_settings: object) -> str:
    return orjson.dumps(event, default=repr).decode()
