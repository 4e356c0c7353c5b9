"""The routes about held gifts: which wait and why, and what a reviewer decides."""

from __future__ import annotations

from flask import g
from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.metrics import current_metrics
from api.openapi import Resource
from api.retrying import key_of
from api.schemas.gift_moves import MoveHeader
from api.schemas.gifts import GiftPath
from api.schemas.reviews import ReviewAnswer, ReviewBody, Reviews, ReviewsQuery
from api.wiring import services
from engine.gift_policy import DECISION
from engine.ledger.keys import Scope

api = Resource("reviews", __name__, url_prefix="/v1/reviews", abp_tags=[Tag(name="Reviews")])


@api.get("", responses={200: Reviews})
@requires(Scope.GIFTS_REVIEW)
def waiting(query: ReviewsQuery) -> Reviews:
    """List held gifts, those that wait longest first, with the rules' comparisons."""
    return Reviews.of(services().reviewing.waiting(query.place, query.limit), query.limit)


@api.post("/<gift>", responses={200: ReviewAnswer})
@requires(Scope.GIFTS_REVIEW)
def decide(path: GiftPath, header: MoveHeader, body: ReviewBody) -> ReviewAnswer:
    """Send a held gift or cancel it.

    The rules decide once more before it is sent; what they deny by now is cancelled.
    """
    key, clock = key_of(header, body), services().clock
    reviewed = services().reviewing.decide(path.gift, body.approve, g.api_key, key, clock(), clock)
    if reviewed.again is not None:
        verdict = reviewed.again.record.verdict
        current_metrics().decided(DECISION, verdict.effect.value, verdict.reasons)
    return ReviewAnswer.of(reviewed)
