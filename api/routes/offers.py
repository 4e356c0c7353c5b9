"""The offer route: which offers suit whom, and what showing one is worth."""

from __future__ import annotations

from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.limits import BATCH_BODY, body_limit
from api.metrics import current_metrics
from api.openapi import Resource
from api.schemas.offers import OfferScores, OfferScoresBody, ScoredOffer
from api.schemas.reasons import model_of, told
from api.wiring import services
from engine.ledger.keys import Scope
from engine.targeting import DECISION

api = Resource("offers", __name__, url_prefix="/v1/offers", abp_tags=[Tag(name="Offers")])


@api.post("/scores", responses={200: OfferScores})
@requires(Scope.OFFERS_SCORE)
@body_limit(BATCH_BODY)
def scores(body: OfferScoresBody) -> OfferScores:
    """Score people × offers; who has not agreed to offers gets no score and `NO_CONSENT`."""
    found = services().targeting.score(body.people, body.offers, services().clock())
    for score in found.scores:
        effect = "allow" if score.eligible else "deny"
        current_metrics().decided(DECISION, effect, () if score.eligible else score.reasons)
    scored = [
        ScoredOffer(
            person=score.person,
            offer=score.offer,
            eligible=score.eligible,
            p_redeem=score.p_redeem,
            expected_value_fen=score.expected_fen,
            reasons=told(services().policy, score.reasons, body.language),
        )
        for score in found.scores
    ]
    return OfferScores(scores=scored, model=model_of(found.model))
