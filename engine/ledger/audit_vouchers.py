"""The proof of the vouchers: a code opens one accepted voucher, once."""

from __future__ import annotations

import re

from engine.domain.money import Terms
from engine.ledger.audit_reading import KeptGift

_SHA256 = re.compile("[0-9a-f]{64}")
_WITH_CODE = frozenset({"accepted", "redeemed", "refunded"})


def fault_in_voucher(gift: KeptGift, terms: Terms) -> str | None:
    """Say what is wrong with a gift's voucher; None where it fits the gift."""
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
    return None
