"""The proof of the outbox: callers were told of each gift's life, of all of it and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import pairwise

import orjson

from engine.domain.gift_events import GiftEvent, PaymentAction
from engine.domain.gift_events import GiftEventKind as Kind
from engine.domain.money import PayOn
from engine.ledger.audit_balances import tax_fen
from engine.ledger.audit_reading import FIRST, LAST, KeptGift, Told

_MEMBERS = frozenset(field.name for field in fields(GiftEvent))

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


def fault_in_events(gift: KeptGift, pruned: bool) -> str | None:
    """Say what is wrong with what callers were told of a gift; None where it is its life.

    Parameters
    ----------
    pruned
        Whether the feed's beginning is kept no more, so that first events may be missing.
    """
    events = gift.told
    if not events:
        return None if pruned else "nobody was told of it"
    numbers = [event.number for event in events]
    first, last = numbers[0], numbers[-1]
    if numbers != list(range(first, last + 1)) or last != gift.events:
        return f"says {gift.events} events, but numbers {numbers} were told"
    if first > 1 and not pruned:
        return f"its events begin with number {first}"
    return _fault_in_order(gift, events) or next(
        (fault for event in events if (fault := _fault_in_event(gift, event))), None
    )


def _fault_in_order(gift: KeptGift, events: Sequence[Told]) -> str | None:
    if events[0].number == 1 and events[0].kind not in _AFTER[None]:
        return f"was first told of as {events[0].kind}"
    for before, after in pairwise(events):
        if after.kind not in _AFTER.get(before.kind, ()):
            return f"was told of as {after.kind} after {before.kind}"
        # What has no place yet comes after all that has.
        if (before.place or LAST) >= (after.place or LAST + after.number):
            return f"event {after.number} stands before event {before.number} in the feed"
    seen = "expired" if gift.is_settled and gift.state == "declined" else gift.state
    seen = "sent" if seen == "declined" else seen
    if events[-1].kind not in _LAST.get(seen, ()):
        return f"is {gift.state}, but was last told of as {events[-1].kind}"
    return None


def _fault_in_event(gift: KeptGift, event: Told) -> str | None:
    body, number = _read(event.body), event.number
    said = [body.get(name) for name in ("gift", "number", "kind", "sender", "recipient")]
    if said != [gift.gift, number, event.kind, gift.sender, gift.recipient]:
        return f"event {number} is of something else"
    if body.keys() != _MEMBERS:
        return f"event {number} has not what an event has: {sorted(body.keys() ^ _MEMBERS)}"
    if body["payment"] != _payment(gift, event.kind):
        return f"event {number} ({event.kind}) orders the payment {body['payment']}"
    return _fault_in_news(gift, event, body)


def _fault_in_news(gift: KeptGift, event: Told, body: Mapping[str, object]) -> str | None:
    number = event.number
    reviewed = "cancelled" if gift.state == "cancelled" else "sent"
    if body["state"] != _STATE.get(event.kind, reviewed):
        return f"event {number} ({event.kind}) shows it as {body['state']}"
    if body["item"] != gift.item and not _is_swapped_after(gift, number):
        return f"event {number} is of {body['item']} instead of {gift.item}"
    at, (first, last) = body["occurred_at"], _when(gift, event.kind)
    if not isinstance(at, int) or not first <= at <= last:
        return f"event {number} ({event.kind}) tells of {at}, when it cannot have happened"
    if event.kind == Kind.EXPIRED and event.recorded_at < gift.over_at:
        return f"event {number} was told at {event.recorded_at}, before the 24 hours were over"
    return None


def _is_swapped_after(gift: KeptGift, number: int) -> bool:
    return any(event.kind == Kind.SWAPPED and event.number > number for event in gift.told)


def _when(gift: KeptGift, kind: str) -> tuple[int, int]:
    """Return the first and the last instant at which what `kind` tells of can have happened."""
    sent, over = gift.occurred_at, gift.over_at
    if kind == Kind.HELD:
        # The gift says when it was asked for until it says when it was sent.
        return sent if gift.state in {"held", "cancelled"} else FIRST, sent
    if kind == Kind.REVIEWED and gift.state == "cancelled":
        return sent, LAST
    if kind in {Kind.REVIEWED, Kind.SENT}:
        return sent, sent
    if kind == Kind.SWAPPED:
        return sent, over - 1
    if kind == Kind.EXPIRED:
        return over, over
    return gift.answered_at, gift.answered_at if kind == Kind.ACCEPTED else LAST


def _read(body: str) -> dict[str, object]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _payment(gift: KeptGift, kind: str) -> dict[str, object] | None:
    """Return the order that an event must carry to the caller's payment system."""
    at_acceptance = gift.terms.pay_on is PayOn.ACCEPTANCE
    action: PaymentAction | None = None
    if kind == Kind.EXPIRED or (kind == Kind.REVIEWED and gift.state == "cancelled"):
        action = PaymentAction.RELEASE
    elif kind == Kind.REFUNDED:
        action = PaymentAction.REFUND if at_acceptance else PaymentAction.RELEASE
    elif kind == (Kind.ACCEPTED if at_acceptance else Kind.REDEEMED):
        action = PaymentAction.CAPTURE
    if action is None or gift.price_fen == 0:
        return None
    beside = 0 if action is PaymentAction.RELEASE else tax_fen(gift)
    fen = gift.price_fen + beside
    return {"payment_ref": gift.payment_ref, "action": action.value, "fen": fen}
