"""The gifting flow's routes: may it be sent, send it, how is it."""

from __future__ import annotations

import hashlib

from flask import g
from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.metrics import current_metrics
from api.openapi import Resource
from api.schemas.explanations import Explanation, explanation_of
from api.schemas.gifts import (
    CheckBody,
    GiftBody,
    GiftPath,
    GiftQuery,
    GiftVerdict,
    GiftView,
    SendBody,
    SendHeader,
)
from api.schemas.reasons import model_of, told
from api.wiring import services
from engine.domain.clock import format_time
from engine.domain.errors import NotPermitted, UnknownReference
from engine.domain.gifts import UNSENT, state_for_sender
from engine.domain.verdicts import Effect
from engine.gift_policy import DECISION
from engine.gifting import GiftAnswer
from engine.ledger.idempotency import RequestKey
from engine.ledger.keys import Scope

api = Resource("gifts", __name__, url_prefix="/v1/gifts", abp_tags=[Tag(name="Gifts")])

_STATUS = {Effect.ALLOW: 201, Effect.REVIEW: 202, Effect.DENY: 200}


@api.post("/check", responses={200: GiftVerdict})
@requires(Scope.GIFTS_CHECK)
def check(body: CheckBody) -> GiftVerdict:
    """Tell whether a gift would be allowed; nothing is sent.

    A denial is an answer, not an error.
    """
    if body.explain and not g.api_key.permits(Scope.POLICY_READ):
        raise NotPermitted("an explanation asks for policy:read", "leave `explain` out")
    at = services().clock()
    checked = services().gifting.check(body.request(), at, body.explain)
    explanation = explanation_of(checked.answer.pack, checked.traces) if body.explain else None
    return _verdict(body, checked.answer, explanation)


@api.post("", responses={200: GiftVerdict, 201: GiftVerdict, 202: GiftVerdict})
@requires(Scope.GIFTS_SEND)
def send(header: SendHeader, body: SendBody) -> tuple[GiftVerdict, int]:
    """Send a gift: 201 sent, 202 held for review, 200 denied and no gift made.

    A retry with the same key and body gets the first
    answer again, the same key with another body gets 409.
    """
    key = RequestKey(g.api_key.key_id, header.idempotency_key, _hash(body))
    answer = services().gifting.send(body.request(), body.occasion, key, services().clock())
    return _verdict(body, answer, None), _STATUS[answer.effect]


@api.get("/<gift>", responses={200: GiftView})
@requires(Scope.GIFTS_READ)
def show(path: GiftPath, query: GiftQuery) -> GiftView:
    """Show a gift as one of its two sides may see it."""
    gift = services().gifting.find(path.gift)
    if gift is None or (query.viewer == "recipient" and gift.state in UNSENT):
        raise UnknownReference("no such gift", "the id is in the answer to sending")
    for_sender = query.viewer == "sender"
    return GiftView(
        gift=gift.gift,
        sender=gift.sender,
        recipient=gift.recipient,
        item=gift.item,
        relation=gift.relation,
        scene=gift.scene,
        state=state_for_sender(gift, services().clock()) if for_sender else gift.state,
        sent_at=format_time(gift.occurred_at),
        price_fen=gift.price_fen if for_sender else None,
    )


def _hash(body: SendBody) -> str:
    # A body that does not speak of moderation is the same request that it was before it could.
    unsaid = {"moderation"} if body.moderation is None else None
    return hashlib.sha256(body.model_dump_json(exclude=unsaid).encode()).hexdigest()


def _verdict(body: GiftBody, answer: GiftAnswer, explanation: Explanation | None) -> GiftVerdict:
    current_metrics().decided(DECISION, answer.effect.value, answer.reasons)
    return GiftVerdict(
        decision_id=answer.decision_id,
        verdict=answer.effect.value,
        reasons=told(services().policy, answer.reasons, body.language),
        model=model_of(answer.model),
        gift=answer.gift,
        explanation=explanation,
    )
