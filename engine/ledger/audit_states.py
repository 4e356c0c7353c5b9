"""The proof of the rows: a gift's state, its columns, the decision it rests on and its review."""

from __future__ import annotations

from engine.domain.clock import DAY
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.gifts import GiftState
from engine.domain.money import Terms
from engine.ledger.audit_reading import KeptGift

_LAWFUL = frozenset(state.value for state in GiftState)
_UNANSWERED = frozenset({"held", "cancelled", "sent"})
_ACCEPTED = frozenset({"accepted", "redeemed", "refunded"})


def fault_in_row(gift: KeptGift, terms: Terms | None) -> str | None:
    """Say what is wrong with a gift's columns; None where they fit its state."""
    if gift.state not in _LAWFUL:
        return f"is {gift.state!r}, which is no state"
    if terms is None:
        return "has no terms that can be read"
    if gift.price_fen < 0:
        return f"costs {gift.price_fen} fen"
    if gift.payment_ref is None or not gift.sender_day or not gift.recipient_day:
        return "lacks its payment or the days it counts in"
    if gift.events < 1:
        return "says that nobody was told of it"
    return _fault_in_times(gift, terms) or _fault_in_decision(gift)


def _fault_in_times(gift: KeptGift, terms: Terms) -> str | None:
    if (gift.outcome_at is None) != (gift.state in _UNANSWERED):
        return f"is {gift.state} and left `sent` at {gift.outcome_at}"
    if gift.outcome_at is not None and gift.outcome_at < gift.occurred_at:
        return f"left `sent` at {gift.outcome_at}, before it was sent at {gift.occurred_at}"
    if gift.state == "expired" and gift.outcome_at != gift.occurred_at + ACCEPT_WITHIN:
        return f"expired at {gift.outcome_at}, not 24 hours after {gift.occurred_at}"
    if gift.due_at != _due(gift, terms):
        return f"is {gift.state} and due at {gift.due_at} instead of {_due(gift, terms)}"
    if gift.address is not None and gift.state not in _ACCEPTED:
        return f"is {gift.state} and has an address"
    return None


def _due(gift: KeptGift, terms: Terms) -> int | None:
    """Return when something must happen to the gift by itself."""
    if gift.state == "sent" or (gift.state == "declined" and gift.due_at is not None):
        return gift.occurred_at + ACCEPT_WITHIN
    ends = gift.state == "accepted" and terms.is_voucher and terms.voucher_days
    return (gift.outcome_at or 0) + terms.voucher_days * DAY if ends else None


def _fault_in_decision(gift: KeptGift) -> str | None:
    if gift.decision != "gift_send":
        return f"rests on {gift.decision_id}, which is no recorded decision on a gift"
    if gift.reviewed is None:
        if gift.state == "cancelled":
            return "is cancelled and nobody reviewed it"
    elif (gift.reviewed == "cancelled") != (gift.state == "cancelled") or gift.state == "held":
        return f"is {gift.state}, but its review says {gift.reviewed}"
    # What the rules hold back is sent only where a reviewer saw that very decision.
    held_back = gift.state in {"held", "cancelled"}
    seen = gift.reviewed == "sent" and gift.review_decision_id == gift.decision_id
    lawful = {"review"} if held_back else {"allow", "review"} if seen else {"allow"}
    if gift.effect not in lawful:
        return f"is {gift.state}, but decision {gift.decision_id} says {gift.effect}"
    return None
