"""Bodies and answers of the recommendation route."""

from __future__ import annotations

from pydantic import Field

from api.schemas.base import Answer, Body, Fen, Id, Occasion
from api.schemas.reasons import Language, Model, Reason
from engine.domain.gifts import Relation, Scene
from engine.recommending import Wish


class WishBody(Body):
    """For whom a gift is sought."""

    sender: Id
    recipient: Id
    occasion: Occasion = "none"
    budget_fen: Fen | None = Field(None, description="The highest price, in fen")
    scene: Scene = Scene.CHAT
    relation: Relation = Relation.FRIEND
    limit: int = Field(10, ge=1, le=50)
    language: Language = "en"

    def wish(self) -> Wish:
        """Return what is sought."""
        return Wish(
            self.sender, self.recipient, self.occasion, self.budget_fen, self.scene, self.relation
        )


class GiftIdea(Answer):
    """One idea and the reason for it."""

    item: str
    name: str
    price_fen: int
    score: float = Field(description="Orders the ideas of one answer; no more than that")
    reason: Reason


class GiftIdeas(Answer):
    """Gift ideas, best first."""

    gifts: list[GiftIdea]
    personalised: bool
    notes: list[Reason] = Field(description="What was held back and why")
    model: Model | None
