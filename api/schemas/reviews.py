"""Bodies and answers of the routes about held gifts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.schemas.base import Answer, Body, Parameters
from api.schemas.explanations import Explanation, explanation_of
from engine.domain.clock import format_time
from engine.domain.gifts import GiftState, Relation, Scene
from engine.reviewing import Explained, Reviewed, Waiting

Place = Annotated[
    str, StringConstraints(max_length=160, pattern=r"^[0-9]{1,16}:[^\x00-\x1f\x7f-\x9f]+$")
]
"""Where a page of held gifts ends: when the last was asked for, and its id."""


class ReviewsQuery(Parameters):
    """Which held gifts."""

    after: Place | None = Field(None, description="`next` of the page before")
    limit: int = Field(20, ge=1, le=100)

    @property
    def place(self) -> tuple[int, str] | None:
        """Where the page before ends."""
        if self.after is None:
            return None
        at, _, gift = self.after.partition(":")
        return int(at), gift


class HeldGift(Answer):
    """A gift that waits for a review."""

    gift: str
    sender: str
    recipient: str
    item: str
    relation: Relation
    scene: Scene
    price_fen: int
    asked_at: str
    reasons: list[str] = Field(description="The rules' own reason codes")
    explanation: Explanation | None = Field(
        description="Why the rules hold it; null if that decision is kept no more"
    )

    @classmethod
    def of(cls, waiting: Waiting) -> HeldGift:
        """Return a held gift as the list shows it."""
        gift = waiting.gift
        return cls(
            gift=gift.gift,
            sender=gift.sender,
            recipient=gift.recipient,
            item=gift.item,
            relation=gift.relation,
            scene=gift.scene,
            price_fen=gift.price_fen,
            asked_at=format_time(gift.occurred_at),
            reasons=_reasons(waiting.why),
            explanation=_explanation(waiting.why),
        )


class Reviews(Answer):
    """A page of held gifts, those that wait longest first."""

    reviews: list[HeldGift]
    next: str | None = Field(description="For the next page; null on the last")

    @classmethod
    def of(cls, waiting: list[Waiting], limit: int) -> Reviews:
        """Return a page that was asked to hold up to `limit`."""
        last = waiting[-1].gift if len(waiting) == limit else None
        return cls(
            reviews=[HeldGift.of(one) for one in waiting],
            next=None if last is None else f"{last.occurred_at}:{last.gift}",
        )


class ReviewBody(Body):
    """What the reviewer decides."""

    approve: bool = Field(description="Send it, if the rules allow it still; or cancel it")


class ReviewAnswer(Answer):
    """What became of a held gift."""

    gift: str
    state: Literal[GiftState.SENT, GiftState.CANCELLED]
    verdict: Literal["allow", "review", "deny"] | None = Field(
        description="Of the rules' second look, for which an approval asks; deny cancels"
    )
    reasons: list[str] = Field(description="The rules' own reason codes")
    explanation: Explanation | None

    @classmethod
    def of(cls, reviewed: Reviewed) -> ReviewAnswer:
        """Return what a reviewer is told."""
        state, again = reviewed.gift.state, reviewed.again
        return cls(
            gift=reviewed.gift.gift,
            state=GiftState.SENT if state is GiftState.SENT else GiftState.CANCELLED,
            verdict=None if again is None else again.record.verdict.effect.value,
            reasons=_reasons(again),
            explanation=_explanation(again),
        )


def _reasons(explained: Explained | None) -> list[str]:
    return [] if explained is None else list(explained.record.verdict.reasons)


def _explanation(explained: Explained | None) -> Explanation | None:
    if explained is None:
        return None
    return explanation_of(explained.record.verdict.pack, explained.traces)
