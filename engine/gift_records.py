"""What follows from a gift that is sent or moved: its times, ties, money and what callers hear."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from engine.domain.clock import DAY
from engine.domain.errors import MoveRefused, UnknownReference
from engine.domain.gift_events import GiftEvent, GiftEventKind, PaymentAction, PaymentNotice
from engine.domain.gift_life import ACCEPT_WITHIN, state_for_sender
from engine.domain.gifts import UNSENT, Gift, GiftState
from engine.domain.ids import new_id
from engine.domain.money import Account, Entry, EntryKind, Terms, capture, reversals, tax
from engine.domain.pair_state import Kind
from engine.domain.verdicts import DecisionRecord
from engine.gift_policy import DecidedGift, PairReading
from engine.ledger import gifts, outbox, postings
from engine.ledger.database import Unit
from engine.ledger.ties import TieEvent


def record_of(purpose: str, decided: DecidedGift, at: int, begun_ns: int) -> DecisionRecord:
    """Return the record of a decision that began at `begun_ns` (of the performance counter)."""
    return DecisionRecord(
        decision_id=new_id("dec", at),
        purpose=purpose,
        occurred_at=at,
        verdict=decided.verdict,
        facts=decided.facts,
        latency_us=(time.perf_counter_ns() - begun_ns) // 1_000,
    )


def sent(gift: Gift, at: int) -> Gift:
    """Return `gift` as sent at `at` (microseconds): its 24 hours begin."""
    return replace(gift, state=GiftState.SENT, occurred_at=at, due_at=at + ACCEPT_WITHIN)


def given(gift: Gift) -> TieEvent:
    """Return what a sent gift is to the tie of its sender to its recipient."""
    return TieEvent(gift.sender, gift.recipient, Kind.GIFT, 1.0, gift.occurred_at)


def accepted(gift: Gift, at: int) -> TieEvent:
    """Return what an acceptance at `at` (microseconds) is to the tie of recipient to sender."""
    return TieEvent(gift.recipient, gift.sender, Kind.ACCEPTED, 1.0, at)


def voucher_end(gift: Gift, at: int) -> int | None:
    """Return until when a gift that is accepted at `at` (microseconds) can be redeemed.

    None for ever, and for what is no voucher.
    """
    terms = terms_of(gift)
    return at + terms.voucher_days * DAY if terms.is_voucher and terms.voucher_days else None


def terms_of(gift: Gift) -> Terms:
    """Return the terms of a gift of ours.

    Raises
    ------
    MoveRefused
        If it was imported: no money of ours hangs on it.
    """
    if gift.terms is None:
        raise MoveRefused(
            "an imported gift cannot be moved", "it is history; see docs/gift_life.md"
        )
    return gift.terms


def of_recipient(gift: Gift | None, person: str) -> Gift:
    """Return `gift` if it was sent to `person`.

    Raises
    ------
    UnknownReference
        If there is none: the same, whether it is to somebody else, is held or was cancelled.
    """
    if gift is None or gift.recipient != person or gift.state in UNSENT:
        raise unknown_gift()
    return gift


def unknown_gift() -> UnknownReference:
    """Return the one refusal for a gift that is not there, or not for whom it is asked."""
    return UnknownReference("no such gift", "the id is in the answer to sending")


def on_its_days(reading: PairReading, gift: Gift) -> PairReading:
    """Return `reading` as of the local days that `gift` counts in.

    A gift that is decided on again takes no other place in the counters than it has.
    """
    sender_day = gift.sender_day or reading.context.sender_day
    context = replace(
        reading.context,
        sender_day=sender_day,
        recipient_day=gift.recipient_day or reading.context.recipient_day,
        sender_month=date.fromordinal(sender_day).replace(day=1).toordinal(),
    )
    return replace(reading, context=context)


def pay_out(unit: Unit, gift: Gift, at: int) -> PaymentNotice | None:
    """Pay everybody from the gift's escrow at `at` (microseconds), with the tax on it.

    Return what the caller captures; None for a gift that is free.
    """
    terms = terms_of(gift)
    before = postings.of_gift(unit, gift.gift)
    after = [
        (EntryKind.CAPTURE, capture(gift.gift, gift.price_fen, terms)),
        (EntryKind.TAX, tax(gift.sender, gift.recipient, gift.price_fen, terms)),
    ]
    number = max((entry.number for entry in before), default=0)
    paid = [
        Entry(number + n, kind, lines)
        for n, (kind, lines) in enumerate(((k, lines) for k, lines in after if lines), start=1)
    ]
    postings.append(unit, gift.gift, paid, at)
    return _notice(gift, PaymentAction.CAPTURE, -_payers_fen([*before, *paid]))


def give_back(unit: Unit, gift: Gift, at: int) -> PaymentNotice | None:
    """Reverse what stands of the gift's entries at `at` (microseconds).

    Return what the caller refunds, or releases if it was never captured; None for a gift that is
    free.
    """
    before = postings.of_gift(unit, gift.gift)
    undone = reversals(before)
    postings.append(unit, gift.gift, undone, at)
    was_captured = any(entry.kind is EntryKind.CAPTURE for entry in before)
    action = PaymentAction.REFUND if was_captured else PaymentAction.RELEASE
    return _notice(gift, action, _payers_fen(undone))


def tell(
    unit: Unit,
    gift: Gift,
    kind: GiftEventKind,
    at: int,
    recorded_at: int,
    payment: PaymentNotice | None = None,
) -> Gift:
    """Write a moved gift and the event of its move at `at`; return the gift as written.

    Both times are microseconds.
    """
    gift = replace(gift, events=gift.events + 1)
    gifts.move(unit, gift, recorded_at)
    outbox.append(unit, event_of(gift, kind, at, payment), recorded_at)
    return gift


def event_of(
    gift: Gift, kind: GiftEventKind, at: int, payment: PaymentNotice | None = None
) -> GiftEvent:
    """Return the event that tells of `gift` as it is at `at` (microseconds), as its sender may
    see it; its number is how many events the gift has now."""
    return GiftEvent(
        gift=gift.gift,
        number=gift.events,
        kind=kind,
        occurred_at=at,
        sender=gift.sender,
        recipient=gift.recipient,
        item=gift.item,
        state=state_for_sender(gift, at).value,
        payment=payment,
    )


def _payers_fen(entries: Iterable[Entry]) -> int:
    return sum(p.fen for e in entries for p in e.postings if p.account is Account.PAYER)


def _notice(gift: Gift, action: PaymentAction, fen: int) -> PaymentNotice | None:
    if gift.payment_ref is None or fen == 0:
        return None
    return PaymentNotice(gift.payment_ref, action, fen)
