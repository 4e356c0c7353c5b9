"""The proof of the rows: a gift's state, its columns, the decision it rests on and its review."""

from __future__ import annotations

from engine.domain.clock import DAY
from engine.domain.gift_events import GiftEventKind as Kind
from engine.domain.gifts import GiftState
from engine.ledger.audit_reading import KeptGift

_LAWFUL = frozenset(state.value for state in GiftState)
_UNANSWERED = frozenset({"held", "cancelled", "sent"})
_ACCEPTED = frozenset({"accepted", "redeemed", "refunded"})
_OF_HELD = frozenset({Kind.HELD, Kind.REVIEWED})


def fault_in_row(gift: KeptGift) -> str | None:
    """Say what is wrong with a gift's columns; None where they fit its state."""
    if gift.state not in _LAWFUL:
        return f"is {gift.state!r}, which is no state"
    if gift.on_sale is None:
        return f"is of {gift.item!r}, which is not in the catalogue"
    if gift.price_fen < 0:
        return f"costs {gift.price_fen} fen"
    if not gift.payment_ref or not gift.sender_day or not gift.recipient_day:
        return "lacks its payment or the days it counts in"
    if gift.events < 1:
        return "says that nobody was told of it"
    return _fault_in_times(gift) or _fault_in_review(gift) or _fault_in_decision(gift)


def _fault_in_times(gift: KeptGift) -> str | None:
    if (gift.outcome_at is None) != (gift.state in _UNANSWERED):
        return f"is {gift.state} and left `sent` at {gift.outcome_at}"
    if gift.outcome_at is not None and gift.outcome_at < gift.occurred_at:
        return f"left `sent` at {gift.outcome_at}, before it was sent at {gift.occurred_at}"
    if gift.state == "expired" and gift.outcome_at != gift.over_at:
        return f"expired at {gift.outcome_at}, not 24 hours after {gift.occurred_at}"
    if gift.state != "expired" and gift.answered_at >= gift.over_at:
        return f"was answered at {gift.outcome_at}, 24 hours or more after {gift.occurred_at}"
    return _fault_in_time_to_come(gift)


def _fault_in_time_to_come(gift: KeptGift) -> str | None:
    if gift.due_at != _due(gift):
        return f"is {gift.state} and due at {gift.due_at} instead of {_due(gift)}"
    if gift.address is not None and gift.state not in _ACCEPTED:
        return f"is {gift.state} and has an address"
    return None


def _due(gift: KeptGift) -> int | None:
    """Return when something must happen to the gift by itself."""
    if gift.state == "sent" or (gift.state == "declined" and gift.due_at is not None):
        return gift.over_at
    terms = gift.terms
    ends = gift.state == "accepted" and terms.is_voucher and terms.voucher_days
    return (gift.outcome_at or 0) + terms.voucher_days * DAY if ends else None


def _fault_in_review(gift: KeptGift) -> str | None:
    was_held = any(event.kind in _OF_HELD for event in gift.told)
    if gift.reviewed is None:
        if gift.state == "cancelled" or (was_held and gift.state != "held"):
            return f"is {gift.state} and nobody reviewed it"
        return None
    if gift.state == "held" or (gift.reviewed == "cancelled") != (gift.state == "cancelled"):
        return f"is {gift.state}, but its review says {gift.reviewed}"
    # Where the first events were pruned, nobody can tell.
    if not was_held and gift.told and gift.told[0].number == 1:
        return f"was never held, but its review says {gift.reviewed}"
    return None


def _fault_in_decision(gift: KeptGift) -> str | None:
    if gift.decision != "gift_send":
        return f"rests on {gift.decision_id}, which is no recorded decision on a gift"
    # What the rules hold back is sent only where a reviewer saw that very decision.
    if gift.state in {"held", "cancelled"}:
        effects, purposes = {"review"}, {"send"}
    elif gift.reviewed == "sent" and gift.review_decision_id == gift.decision_id:
        effects, purposes = {"allow", "review"}, {"review"}
    else:
        effects, purposes = {"allow"}, {"send", "swap"}
    if gift.effect not in effects:
        return f"is {gift.state}, but decision {gift.decision_id} says {gift.effect}"
    if gift.purpose not in purposes:
        return f"is {gift.state}, but decision {gift.decision_id} was a {gift.purpose}"
    return None
