"""The gifting flow's routes: may it be sent, send it, how is it."""

from __future__ import annotations

import hashlib
from collections import Counter

from flask import g
from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.limits import BATCH_BODY, body_limit
from api.metrics import current_metrics
from api.openapi import Resource
from api.schemas.explanations import Explanation, explanation_of
from api.schemas.gift_views import GiftView, for_recipient, for_sender
from api.schemas.gifts import (
    CheckBatchAnswer,
    CheckBatchBody,
    CheckBody,
    CheckedGift,
    CheckError,
    GiftBody,
    GiftPath,
    GiftQuery,
    GiftVerdict,
    SendBody,
    SendHeader,
)
from api.schemas.reasons import model_of, told
from api.wiring import services
from engine.domain.errors import NotPermitted, UnknownReference
from engine.domain.gifts import UNSENT
from engine.domain.verdicts import Effect
from engine.gift_policy import DECISION
from engine.gifting import Checked, GiftAnswer
from engine.ledger.idempotency import RequestKey
from engine.ledger.keys import Scope
from engine.policy.engine import PolicyEngine

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
    found = services()
    checked = found.gifting.check(body.request(), found.clock(), body.explain)
    explanation = explanation_of(checked.answer.pack, checked.traces) if body.explain else None
    current_metrics().decided(DECISION, checked.answer.effect.value, checked.answer.reasons)
    return _verdict(found.policy, body, checked.answer, explanation)


@api.post("/check:batch", responses={200: CheckBatchAnswer})
@requires(Scope.GIFTS_CHECK)
@body_limit(BATCH_BODY)
def check_batch(body: CheckBatchBody) -> CheckBatchAnswer:
    """Tell of up to 1,000 gifts whether each would be allowed; nothing is sent.

    Each is answered as if it were checked alone, in order. A gift whose item is unknown gets an
    error in its place and costs the others nothing; anything else that is wrong refuses the batch.
    """
    found = services().gifting.check_many(
        [gift.request() for gift in body.gifts], services().clock()
    )
    return CheckBatchAnswer(results=_results(body.gifts, found))


@api.post("", responses={200: GiftVerdict, 201: GiftVerdict, 202: GiftVerdict})
@requires(Scope.GIFTS_SEND)
def send(header: SendHeader, body: SendBody) -> tuple[GiftVerdict, int]:
    """Send a gift: 201 sent, 202 held for review, 200 denied and no gift made.

    A retry with the same key and body gets the first
    answer again, the same key with another body gets 409.
    """
    key = RequestKey(g.api_key.key_id, header.idempotency_key, _hash(body))
    found = services()
    at, clock = found.clock(), found.clock
    answer = found.gifting.send(body.request(), body.occasion, body.payment_ref, key, at, clock)
    current_metrics().decided(DECISION, answer.effect.value, answer.reasons)
    return _verdict(found.policy, body, answer, None), _STATUS[answer.effect]


@api.get("/<gift>", responses={200: GiftView})
@requires(Scope.GIFTS_READ)
def show(path: GiftPath, query: GiftQuery) -> GiftView:
    """Show a gift as one of its two sides may see it."""
    gift = services().gifting.find(path.gift)
    if gift is None or (query.viewer == "recipient" and gift.state in UNSENT):
        raise UnknownReference("no such gift", "the id is in the answer to sending")
    at = services().clock()
    return for_sender(gift, at) if query.viewer == "sender" else for_recipient(gift, at)


def _hash(body: SendBody) -> str:
    # A body that does not speak of moderation is the same request that it was before it could.
    unsaid = {"moderation"} if body.moderation is None else None
    return hashlib.sha256(body.model_dump_json(exclude=unsaid).encode()).hexdigest()


def _results(gifts: list[GiftBody], found: list[Checked | UnknownReference]) -> list[CheckedGift]:
    policy, results = services().policy, []
    decided: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for gift, checked in zip(gifts, found, strict=True):
        if isinstance(checked, UnknownReference):
            error = CheckError(code="NOT_FOUND", detail=checked.message, hint=checked.hint)
            results.append(CheckedGift(verdict=None, error=error))
        else:
            answer = checked.answer
            decided[answer.effect.value, answer.reasons] += 1
            results.append(CheckedGift(verdict=_verdict(policy, gift, answer, None), error=None))
    for (effect, reasons), times in decided.items():
        current_metrics().decided(DECISION, effect, reasons, times)
    return results


def _verdict(
    policy: PolicyEngine, body: GiftBody, answer: GiftAnswer, explanation: Explanation | None
) -> GiftVerdict:
    return GiftVerdict(
        decision_id=answer.decision_id,
        verdict=answer.effect.value,
        reasons=told(policy, answer.reasons, body.language),
        model=model_of(answer.model),
        gift=answer.gift,
        explanation=explanation,
    )
