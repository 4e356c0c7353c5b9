"""The least a check could be: reads the same body, answers as much: one bare Flask route.

The body is parsed and validated by the same strict pydantic model, the answer written by the same
model; there is no key, no ledger, no rule and no log: a yardstick for the checks of the real one.
"""

from __future__ import annotations

import os
import sys

from flask import Flask, Response, request

from api.schemas.gifts import CheckBody, GiftVerdict
from api.serving import serve
from api.settings import Settings
from engine.domain.clock import now
from engine.domain.ids import new_id

PATH = "/v1/gifts/check"


def create(_settings: Settings) -> Flask:
    """Return the application as the server's workers make it."""
    app = Flask("bare_check", static_folder=None)

    def check() -> Response:
        CheckBody.model_validate_json(request.get_data())
        answer = GiftVerdict(
            decision_id=new_id("dec", now()), verdict="allow", reasons=[], model=None, gift=None
        )
        return Response(answer.model_dump_json(), content_type="application/json")

    def healthz() -> Response:
        return Response(b"{}", content_type="application/json")

    app.add_url_rule(PATH, view_func=check, methods=["POST"])
    app.add_url_rule("/healthz", view_func=healthz)
    return app


def main() -> None:
    """Serve until told to end."""
    settings = Settings.from_env(os.environ)
    serve(
        settings,
        int(sys.argv[1]),
        application="benchmarks.ledger.bare_check:create",
        announce=lambda address: print(address, flush=True),
    )


if __name__ == "__main__":
    main()
