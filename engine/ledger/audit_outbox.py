"""The proof of the outbox: callers were told of each gift's life, of all of it and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise

import orjson

from engine.domain.gift_events import GiftEventKind as Kind
from engine.domain.gift_events import PaymentAction
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.money import PayOn, Terms
from engine.ledger.audit_balances import tax_fen
from engine.ledger.audit_reading import KeptGift, Told

_AFTER: Mapping[str | None, frozenset[str]] = {
    None: frozenset({Kind.HELD, Kind.SENT}),
    Kind.HELD: frozenset({Kind.REVIEWED}),
    Kind.REVIEWED: frozenset({Kind.SENT}),
    Kind.SENT: frozenset({Kind.SWAPPED, Kind.ACCEPTED, Kind.EXPIRED}),
    Kind.SWAPPED: frozenset({Kind.SWAPPED, Kind.ACCEPTED, Kind.EXPIRED}),
    Kind.ACCEPTED: frozenset({Kind.REDEEMED, Kind.REFUNDED}),
}
"""What may be told after what; after None: first."""

_LAST: Mapping[str, frozenset[str]] = {
    "held": frozenset({Kind.HELD}),
    "cancelled": frozenset({Kind.REVIEWED}),
    "sent": frozenset({Kind.SENT, Kind.SWAPPED}),
    "accepted": frozenset({Kind.ACCEPTED}),
    "redeemed": frozenset({Kind.REDEEMED}),
    "refunded": frozenset({Kind.REFUNDED}),
    "expired": frozenset({Kind.EXPIRED}),
}
"""By state, what was told last; a declined gift looks sent, then expired."""

_STATE: Mapping[str, str] = {
    Kind.HELD: "held",
    Kind.SENT: "sent",
    Kind.SWAPPED: "sent",
    Kind.ACCEPTED: "accepted",
    Kind.EXPIRED: "expired",
    Kind.REDEEMED: "redeemed",
    Kind.REFUNDED: "refunded",
}


def fault_in_events(gift: KeptGift, terms: Terms, pruned: bool) -> str | None:
    """Say what is wrong with what callers were told of a gift; None where it is its life.

    Parameters
    ----------
    pruned
        Whether the feed's beginning is kept no more, so that first events may be missing.
    """
    events = gift.told()
    if not events:
        return None if pruned else "nobody was told of it"
    numbers = [event.number for event in events]
    first, last = numbers[0], numbers[-1]
    if numbers != list(range(first, last + 1)) or last != gift.events:
        return f"says {gift.events} events, but numbers {numbers} were told"
    if first > 1 and not pruned:
        return f"its events begin with number {first}"
    return _fault_in_order(gift, events) or next(
        (fault for event in events if (fault := _fault_in_event(gift, terms, event))), None
    )


def _fault_in_order(gift: KeptGift, events: Sequence[Told]) -> str | None:
    if events[0].number == 1 and events[0].kind not in _AFTER[None]:
        return f"was first told of as {events[0].kind}"
    for before, after in pairwise(events):
        if after.kind not in _AFTER.get(before.kind, ()):
            return f"was told of as {after.kind} after {before.kind}"
    seen = "expired" if gift.is_settled and gift.state == "declined" else gift.state
    seen = "sent" if seen == "declined" else seen
    if events[-1].kind not in _LAST.get(seen, ()):
        return f"is {gift.state}, but was last told of as {events[-1].kind}"
    return None


def _fault_in_event(gift: KeptGift, terms: Terms, event: Told) -> str | None:
    body = _read(event.body)
    said = [body.get(name) for name in ("gift", "number", "kind", "sender", "recipient")]
    if said != [gift.gift, event.number, event.kind, gift.sender, gift.recipient]:
        return f"event {event.number} is of something else"
    reviewed = "cancelled" if gift.state == "cancelled" else "sent"
    if body.get("state") != _STATE.get(event.kind, reviewed):
        return f"event {event.number} ({event.kind}) shows it as {body.get('state')}"
    if event.kind == Kind.EXPIRED and body.get("occurred_at") != gift.occurred_at + ACCEPT_WITHIN:
        return f"event {event.number} tells of an expiry at another instant than 24 hours"
    if body.get("payment") != _payment(gift, terms, event.kind):
        return f"event {event.number} ({event.kind}) orders the payment {body.get('payment')}"
    return None


def _read(body: str) -> dict[str, object]:
    with suppress(orjson.JSONDecodeError):
        told = orjson.loads(body)
        if isinstance(told, dict):
            return told
    return {}


def _payment(gift: KeptGift, terms: Terms, kind: str) -> dict[str, object] | None:
    """Return the order that an event must carry to the caller's payment system."""
    at_acceptance = terms.pay_on is PayOn.ACCEPTANCE
    action: PaymentAction | None = None
    if kind == Kind.EXPIRED or (kind == Kind.REVIEWED and gift.state == "cancelled"):
        action = PaymentAction.RELEASE
    elif kind == Kind.REFUNDED:
        action = PaymentAction.REFUND if at_acceptance else PaymentAction.RELEASE
    elif kind == (Kind.ACCEPTED if at_acceptance else Kind.REDEEMED):
        action = PaymentAction.CAPTURE
    if action is None or gift.price_fen == 0:
        return None
    beside = 0 if action is PaymentAction.RELEASE else tax_fen(gift, terms)
    fen = gift.price_fen + beside
    return {"payment_ref": gift.payment_ref, "action": action.value, "fen": fen}
