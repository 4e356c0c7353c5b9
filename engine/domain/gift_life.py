"""The life of a gift: which move leads from which state to which, and what the sender may see."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from engine.domain.clock import HOUR
from engine.domain.errors import MoveRefused
from engine.domain.gifts import Gift, GiftState, Origin

ACCEPT_WITHIN = 24 * HOUR
"""How long a sent gift waits to be answered."""


class Move(StrEnum):
    """What can be done with a gift once it is recorded."""

    APPROVE = "approve"
    REJECT = "reject"
    ACCEPT = "accept"
    DECLINE = "decline"
    EXPIRE = "expire"
    SWAP = "swap"
    REDEEM = "redeem"
    REFUND = "refund"


TRANSITIONS: Mapping[tuple[GiftState, Move], GiftState] = {
    (GiftState.HELD, Move.APPROVE): GiftState.SENT,
    (GiftState.HELD, Move.REJECT): GiftState.CANCELLED,
    (GiftState.SENT, Move.ACCEPT): GiftState.ACCEPTED,
    (GiftState.SENT, Move.DECLINE): GiftState.DECLINED,
    (GiftState.SENT, Move.EXPIRE): GiftState.EXPIRED,
    (GiftState.SENT, Move.SWAP): GiftState.SENT,
    # What a decline changes for the sender happens when the gift would have expired.
    (GiftState.DECLINED, Move.EXPIRE): GiftState.DECLINED,
    (GiftState.ACCEPTED, Move.REDEEM): GiftState.REDEEMED,
    (GiftState.ACCEPTED, Move.REFUND): GiftState.REFUNDED,
}
"""Every lawful move; anything else is a conflict. `docs/gift_life.md` says the same in words."""

_ANSWERS = frozenset({Move.ACCEPT, Move.DECLINE, Move.SWAP})


def moved(gift: Gift, move: Move, at: int) -> GiftState:
    """Return the state that `move` leads to at the instant `at` (microseconds).

    Raises
    ------
    MoveRefused
        If a gift in its state cannot be moved so, its 24 hours are over (for an answer) or not
        over yet (for an expiry), its voucher has ended (for a redemption), its decline has
        had its consequences already, or it was imported.
    """
    after = TRANSITIONS.get((gift.state, move))
    if (
        after is None
        or gift.origin is Origin.IMPORTED
        or (move in _ANSWERS and is_over(gift, at))
        or (move is Move.EXPIRE and (gift.due_at is None or not is_over(gift, at)))
        or (move is Move.REDEEM and has_ended(gift, at))
    ):
        raise MoveRefused(
            f"a gift that is {_seen(gift, move, at)} cannot be moved: {move}",
            "see docs/gift_life.md",
        )
    return after


def _seen(gift: Gift, move: Move, at: int) -> str:
    """Name the state for whoever tries `move`: a sender must not learn of a decline by trying."""
    if gift.origin is Origin.IMPORTED:
        return "imported"
    if move not in _ANSWERS:
        return state_for_sender(gift, at)
    return state_for_recipient(gift, at)


def has_ended(gift: Gift, at: int) -> bool:
    """Whether an accepted gift can no longer be redeemed at `at` (microseconds)."""
    return gift.state is GiftState.ACCEPTED and gift.due_at is not None and at >= gift.due_at


def is_over(gift: Gift, at: int) -> bool:
    """Whether the 24 hours of a sent gift are over at `at` (microseconds)."""
    return at >= gift.occurred_at + ACCEPT_WITHIN


def state_for_sender(gift: Gift, at: int) -> GiftState:
    """Return the state that the sender may see at `at` (microseconds).

    A declined gift and one that nobody answered look the same: sent, and expired after 24 hours.
    """
    if gift.state not in {GiftState.SENT, GiftState.DECLINED}:
        return gift.state
    # Once its money went back it stays expired, whatever a clock says that was set back. What was
    # imported was never due here: it goes by its time alone, whatever became of it.
    ours = gift.origin is Origin.LIVE
    settled = ours and gift.state is GiftState.DECLINED and gift.due_at is None
    return GiftState.EXPIRED if settled or is_over(gift, at) else GiftState.SENT


def state_for_recipient(gift: Gift, at: int) -> GiftState:
    """Return the state that the recipient may see at `at` (microseconds)."""
    over = gift.state is GiftState.SENT and is_over(gift, at)
    return GiftState.EXPIRED if over else gift.state
