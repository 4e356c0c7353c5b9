"""Bodies and answers of the gifting routes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from api.schemas.base import Answer, Body, Id, Occasion, Parameters
from api.schemas.explanations import Explanation
from api.schemas.reasons import Language, Model, Reason
from engine.domain.gifts import GiftRequest, Moderation, Relation, Scene


class GiftBody(Body):
    """A gift somebody wants to send."""

    sender: Id
    recipient: Id
    item: Id = Field(description="The sku", examples=["coffee-01"])
    relation: Relation = Relation.FRIEND
    scene: Scene = Field(Scene.CHAT, description="Where in the product it is sent from")
    language: Language = Field("en", description="Of the reasons' texts")
    moderation: Moderation | None = Field(
        None,
        description="What became of looking at the sender's own picture or text on the gift;"
        " null where nobody looked or there is none",
    )

    def request(self) -> GiftRequest:
        """Return the gift that is asked for."""
        return GiftRequest(
            self.sender, self.recipient, self.item, self.relation, self.scene, self.moderation
        )


class CheckBody(GiftBody):
    """A gift to check."""

    explain: bool = Field(False, description="Add the rules' comparisons; asks for policy:read")


class CheckBatchBody(Body):
    """Gifts to check, each by itself."""

    gifts: list[GiftBody] = Field(min_length=1, max_length=1_000)


class SendBody(GiftBody):
    """A gift to send."""

    occasion: Occasion = "none"
    payment_ref: Id = Field(
        description="The payment you authorised for the price; each pays for one gift"
    )


class SendHeader(Parameters):
    """The caller's key for this request; scoped to the bearer key."""

    idempotency_key: Id = Field(alias="Idempotency-Key")


class GiftVerdict(Answer):
    """Whether the gift may be sent, and why not."""

    decision_id: str
    verdict: Literal["allow", "review", "deny"]
    reasons: list[Reason]
    model: Model | None = Field(description="The tie model whose class the rules could read")
    gift: str | None = Field(None, description="The id of the gift that was made")
    explanation: Explanation | None = None


class CheckError(Answer):
    """Why there is no verdict on a gift."""

    code: Literal["NOT_FOUND"]
    detail: str
    hint: str


class CheckedGift(Answer):
    """Either a verdict or an error."""

    verdict: GiftVerdict | None = None
    error: CheckError | None = Field(None, description="The item is not in the catalogue")


class CheckBatchAnswer(Answer):
    """What was found of each gift, in the order of the request."""

    results: list[CheckedGift]


class GiftPath(Parameters):
    """Which gift."""

    gift: Id


class GiftQuery(Parameters):
    """For whose eyes."""

    viewer: Literal["sender", "recipient"] = "sender"
