"""A gift as each of its sides may see it."""

from __future__ import annotations

from pydantic import Field

from api.schemas.base import Answer
from engine.domain.clock import format_time
from engine.domain.gift_life import ACCEPT_WITHIN, state_for_recipient, state_for_sender
from engine.domain.gifts import UNSENT, Gift, GiftState, Relation, Scene


class GiftView(Answer):
    """A gift as one side may see it."""

    gift: str
    sender: str
    recipient: str
    item: str
    relation: Relation
    scene: Scene
    state: GiftState
    sent_at: str | None = Field(description="Null until a held gift is approved")
    answer_by: str | None = Field(description="Until when it can be answered; null once it is not")
    redeem_by: str | None = Field(description="Of an accepted voucher; null if it has no end")
    price_fen: int | None = Field(description="Hidden from the recipient")
    address: str | None = Field(description="Hidden from the sender")


def for_sender(gift: Gift, at: int) -> GiftView:
    """Return what the sender may see at `at` (microseconds)."""
    return _view(gift, state_for_sender(gift, at), gift.price_fen, None)


def for_recipient(gift: Gift, at: int) -> GiftView:
    """Return what the recipient may see at `at` (microseconds)."""
    return _view(gift, state_for_recipient(gift, at), None, gift.address)


def for_redeemer(gift: Gift, at: int) -> GiftView:
    """Return what whoever hands the gift over may see at `at` (microseconds)."""
    return _view(gift, state_for_sender(gift, at), None, None)


def _view(gift: Gift, state: GiftState, price_fen: int | None, address: str | None) -> GiftView:
    # Everything here follows from the state that this side sees: a decline leaves no other trace.
    waits = state is GiftState.SENT
    redeem_by = gift.due_at if state is GiftState.ACCEPTED else None
    return GiftView(
        gift=gift.gift,
        sender=gift.sender,
        recipient=gift.recipient,
        item=gift.item,
        relation=gift.relation,
        scene=gift.scene,
        state=state,
        sent_at=None if state in UNSENT else format_time(gift.occurred_at),
        answer_by=format_time(gift.occurred_at + ACCEPT_WITHIN) if waits else None,
        redeem_by=None if redeem_by is None else format_time(redeem_by),
        price_fen=price_fen,
        address=address,
    )
