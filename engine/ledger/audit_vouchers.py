"""The proof of the vouchers: a code opens one accepted voucher, once."""

from __future__ import annotations

import re

from engine.domain.clock import DAY
from engine.ledger.audit_reading import KeptGift

_SHA256 = re.compile("[0-9a-f]{64}")
_WITH_CODE = frozenset({"accepted", "redeemed", "refunded"})


def fault_in_voucher(gift: KeptGift) -> str | None:
    """Say what is wrong with a gift's voucher; None where it fits the gift."""
    terms = gift.terms
    redeemed = gift.state == "redeemed" and terms.is_voucher
    if gift.code_hash is None:
        return "is a redeemed voucher without a code" if redeemed else None
    if not terms.is_voucher:
        return "is no voucher and has a code"
    if not _SHA256.fullmatch(gift.code_hash):
        return "has a code that is not kept as a SHA-256"
    if gift.state not in _WITH_CODE:
        return f"is {gift.state} and has a code"
    if redeemed != (gift.redeemed_at is not None):
        return f"is {gift.state}, but its code was used at {gift.redeemed_at}"
    return None if gift.redeemed_at is None else _fault_in_use(gift, gift.redeemed_at)


def _fault_in_use(gift: KeptGift, used_at: int) -> str | None:
    if gift.issued_at is None or used_at < gift.issued_at:
        return f"has a code that was used at {used_at}, before it was issued at {gift.issued_at}"
    days = gift.terms.voucher_days
    if days and used_at >= gift.answered_at + days * DAY:
        return f"has a code that was used at {used_at}, after its {days} days"
    return None
