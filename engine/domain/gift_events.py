"""What callers are told of a gift's life, in the order in which it happened to that gift."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GiftEventKind(StrEnum):
    """What happened. There is none for a decline: its sender may only see an expiry."""

    HELD = "gift.held"
    SENT = "gift.sent"
    ACCEPTED = "gift.accepted"
    EXPIRED = "gift.expired"
    SWAPPED = "gift.swapped"
    REDEEMED = "gift.redeemed"
    REFUNDED = "gift.refunded"
    REVIEWED = "gift.review_decided"


class PaymentAction(StrEnum):
    """What the caller has to do with the payment it authorised."""

    CAPTURE = "capture"
    RELEASE = "release"
    """Give an authorisation back that was never captured."""
    REFUND = "refund"
    """Pay back what was captured."""


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """An order to the caller's payment system: repeating it for one gift changes nothing."""

    payment_ref: str
    action: PaymentAction
    fen: int


@dataclass(frozen=True, slots=True)
class GiftEvent:
    """One thing that happened to a gift, as the caller who sends for people may know it."""

    gift: str
    number: int
    """1, 2, 3… within the gift."""
    kind: GiftEventKind
    occurred_at: int
    sender: str
    recipient: str
    item: str
    state: str
    """As the sender may see it."""
    payment: PaymentNotice | None = None


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event at its place in the feed."""

    position: int
    """Later events stand at higher positions; there may be gaps."""
    event: GiftEvent
