"""The least a JSON service is: reads a body, writes it back: `python -m benchmarks.bare_server 2`.

A yardstick for benchmarks over HTTP: the same web framework and server, nothing of ours.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import orjson
from flask import Flask, Response, request

from api.serving import serve
from api.settings import Settings


def create(_settings: Settings) -> Flask:
    """Return the application as the server's workers make it."""

    def echo() -> Response:
        body = orjson.dumps(orjson.loads(request.get_data()))
        return Response(body, content_type="application/json")

    return answering("/echo", echo)


def answering(path: str, view: Callable[[], Response]) -> Flask:
    """Return an application of one route that is posted to, and one to see that it is there."""
    app = Flask("bare", static_folder=None)

    def healthz() -> Response:
        return Response(b"{}", content_type="application/json")

    app.add_url_rule(path, view_func=view, methods=["POST"])
    app.add_url_rule("/healthz", view_func=healthz)
    return app


def main(application: str = "benchmarks.bare_server:create") -> None:
    """Serve `application` (`module:function`) until told to end."""
    settings = Settings.from_env(os.environ)
    serve(
        settings,
        int(sys.argv[1]),
        application=application,
        announce=lambda address: print(address, flush=True),
    )


if __name__ == "__main__":
    main()
