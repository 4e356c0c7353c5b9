"""The least a check could be: reads the same body, answers as much: one bare Flask route.

The body is parsed and validated by the same strict pydantic model, the answer written by the same
model; there is no key, no ledger, no rule and no log: a yardstick for the checks of the real one.
"""

from __future__ import annotations

from flask import Flask, Response, request

from api.schemas.gifts import CheckBody, GiftVerdict
from api.settings import Settings
from benchmarks.bare_server import answering, main
from engine.domain.clock import now
from engine.domain.ids import new_id

PATH = "/v1/gifts/check"


def create(_settings: Settings) -> Flask:
    """Return the application as the server's workers make it."""

    def check() -> Response:
        CheckBody.model_validate_json(request.get_data())
        answer = GiftVerdict(
            decision_id=new_id("dec", now()), verdict="allow", reasons=[], model=None, gift=None
        )
        return Response(answer.model_dump_json(), content_type="application/json")

    return answering(PATH, check)


if __name__ == "__main__":
    main("benchmarks.ledger.bare_check:create")
