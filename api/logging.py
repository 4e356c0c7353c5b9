"""Log lines as JSON on standard error: one a request, never a body or a secret."""

from __future__ import annotations

import logging
import re
import sys
import uuid
from collections.abc import Mapping
from time import perf_counter
from typing import Final

import orjson
import structlog
from flask import Flask, Response, g, has_request_context, request

from engine.domain.clock import format_time, now

HEADER: Final = "X-Request-Id"
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
    app.before_request(_begin)
    app.after_request(_end)


def request_id() -> str:
    """Return the present request's id: the caller's own, if it is usable, else a new one."""
    if not has_request_context():
        return "none"
    if "request_id" not in g:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def route_of_request() -> str:
    """Return the present request's route template; what matched no route is one and the same."""
    return request.url_rule.rule if request.url_rule is not None else "unmatched"


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


def _begin() -> None:
    g.started = perf_counter()
    request_id()


def _end(response: Response) -> Response:
    response.headers[HEADER] = request_id()
    key = g.get("api_key")
    structlog.get_logger("access").info(
        "request",
        request=request_id(),
        method=request.method,
        route=route_of_request(),
        status=response.status_code,
        ms=round((perf_counter() - g.started) * 1000, 3) if "started" in g else None,
        key=None if key is None else key.key_id,
    )
    return response


def _stamp(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    event["time"] = format_time(now())
    return event


def _json(event: Mapping[str, object], **_settings: object) -> str:
    return orjson.dumps(event, default=repr).decode()
