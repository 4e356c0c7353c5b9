"""Money between accounts: a price's split in whole fen, and double entries that sum to zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.domain.errors import PolicyError

WHOLE_PPM = 1_000_000
"""All of a price, in parts per million."""


class Account(StrEnum):
    """Whose money it is; the holder tells which person, gift, brand or owner."""

    PAYER = "payer"
    ESCROW = "escrow"
    PLATFORM = "platform"
    CREATOR = "creator"
    BRAND = "brand"
    IP_OWNER = "ip_owner"
    TAX = "tax"


class PayOn(StrEnum):
    """When the others are paid."""

    ACCEPTANCE = "acceptance"
    REDEMPTION = "redemption"


class EntryKind(StrEnum):
    """Why money moved."""

    ESCROW = "escrow"
    """The authorised price goes from the payer into escrow."""
    CAPTURE = "capture"
    """The price leaves escrow for good: everybody gets their share."""
    TAX = "tax"
    """What the payer withholds for the recipient's tax, beside the price."""
    REVERSAL = "reversal"
    """Undoes another entry, fen by fen."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Who gets what of a gift and when, frozen when it is sent.

    Shares are parts per million of the price; what they leave is the supplier's.
    """

    platform_ppm: int
    creator_ppm: int
    ip_owner_ppm: int
    tax_ppm: int
    """On top of the price, withheld by the payer for the recipient."""
    pay_on: PayOn
    voucher_days: int
    """How long a voucher can be redeemed after its acceptance; 0 for ever."""
    is_voucher: bool
    creator: str | None
    brand: str | None
    ip_owner: str | None
    decision_id: str
    """The recorded decision `gift_settle` that gave these shares."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of an entry: fen to (positive) or from (negative) an account."""

    account: Account
    holder: str
    fen: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Postings that sum to zero; numbered from 1 within their gift."""

    number: int
    kind: EntryKind
    postings: tuple[Posting, ...]
    reverses: int | None = None
    """The number of the entry that this one undoes."""


def escrow(gift: str, payer: str, price_fen: int) -> tuple[Posting, ...]:
    """Return the postings that put a gift's price into escrow; none for a gift that is free."""
    if price_fen == 0:
        return ()
    return (
        Posting(Account.PAYER, payer, -price_fen),
        Posting(Account.ESCROW, gift, price_fen),
    )


def capture(gift: str, price_fen: int, terms: Terms) -> tuple[Posting, ...]:
    """Return the postings that pay everybody from a gift's escrow.

    The creator's share is rounded up, so that it stays above a half of any price, the others'
    down; the supplier (the brand, else the creator, else the platform) takes what is left, so
    that the shares sum to the price.

    Raises
    ------
    PolicyError
        If the shares are more than the whole.
    """
    if price_fen == 0:
        return ()
    if terms.platform_ppm + terms.creator_ppm + terms.ip_owner_ppm > WHOLE_PPM:
        raise PolicyError("the shares of the price are more than the whole", "mend gift_settle")
    supplier = _supplier(terms)
    shares = dict.fromkeys([supplier, (Account.PLATFORM, "")], 0)
    left = price_fen
    for party, fen in (
        ((Account.PLATFORM, ""), price_fen * terms.platform_ppm // WHOLE_PPM),
        ((Account.CREATOR, terms.creator), -(-price_fen * terms.creator_ppm // WHOLE_PPM)),
        ((Account.IP_OWNER, terms.ip_owner), price_fen * terms.ip_owner_ppm // WHOLE_PPM),
    ):
        account, holder = party
        if holder is not None:
            shares[account, holder] = shares.get((account, holder), 0) + fen
            left -= fen
    shares[supplier] += left
    paid = (Posting(account, holder, fen) for (account, holder), fen in shares.items() if fen)
    return (Posting(Account.ESCROW, gift, -price_fen), *paid)


def tax(payer: str, recipient: str, price_fen: int, terms: Terms) -> tuple[Posting, ...]:
    """Return the postings of what is withheld for the recipient's tax; none where nothing is."""
    fen = price_fen * terms.tax_ppm // WHOLE_PPM
    if fen == 0:
        return ()
    return (Posting(Account.PAYER, payer, -fen), Posting(Account.TAX, recipient, fen))


def reversals(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries that undo all of `entries` that stand, the last one first."""
    undone = {entry.reverses for entry in entries}
    standing = [e for e in entries if e.reverses is None and e.number not in undone]
    number = max((entry.number for entry in entries), default=0)
    return [
        Entry(
            number=number + n,
            kind=EntryKind.REVERSAL,
            postings=tuple(Posting(p.account, p.holder, -p.fen) for p in entry.postings),
            reverses=entry.number,
        )
        for n, entry in enumerate(reversed(standing), start=1)
    ]


def _supplier(terms: Terms) -> tuple[Account, str]:
    if terms.brand is not None:
        return Account.BRAND, terms.brand
    if terms.creator is not None:
        return Account.CREATOR, terms.creator
    return Account.PLATFORM, ""
