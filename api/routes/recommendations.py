"""The recommendation route: what to give to whom."""

from __future__ import annotations

from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.openapi import Resource
from api.schemas.reasons import model_of, told
from api.schemas.recommendations import GiftIdea, GiftIdeas, WishBody
from api.wiring import services
from engine.ledger.keys import Scope

api = Resource(
    "recommendations",
    __name__,
    url_prefix="/v1/recommendations",
    abp_tags=[Tag(name="Recommendations")],
)


@api.post("/gifts", responses={200: GiftIdeas})
@requires(Scope.RECOMMEND_READ)
def gifts(body: WishBody) -> GiftIdeas:
    """Suggest gifts that the rules would let through now, each with a reason."""
    found = services().recommending.suggest(body.wish(), body.limit, services().clock())
    reasons = told(services().policy, [idea.reason for idea in found.ideas], body.language)
    by_code = {reason.code: reason for reason in reasons}
    ideas = [
        GiftIdea(
            item=idea.item.item,
            name=idea.item.name,
            price_fen=idea.item.price_fen,
            score=idea.score,
            reason=by_code[idea.reason],
        )
        for idea in found.ideas
    ]
    # Apart: beside a note a discreet refusal would be left out as if the note explained it.
    notes = [
        reason
        for codes in (found.refusals, found.notes)
        for reason in told(services().policy, codes, body.language)
    ]
    model = model_of(found.model)
    return GiftIdeas(gifts=ideas, personalised=found.personalised, notes=notes, model=model)
