"""The proof of the money: what each gift's entries must be, from its state, price and terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

from engine.domain.errors import PolicyError
from engine.domain.money import (
    Account,
    Entry,
    EntryKind,
    PayOn,
    Posting,
    Terms,
    capture,
    escrow,
    reversals,
    tax,
)
from engine.ledger.audit_reading import FIRST, LAST, KeptGift, Line

_OWN = {Account.ESCROW.value: "gift", Account.PAYER.value: "sender", Account.TAX.value: "recipient"}
"""By account, whose it is of a gift; the others' holders are named by the terms."""


class Standing(StrEnum):
    """How far a gift's money has come."""

    ESCROWED = "in escrow"
    PAID = "paid out"
    RETURNED = "given back from escrow"
    REFUNDED = "paid out and given back"


def standing(gift: KeptGift) -> Standing:
    """Return how far the money of a gift in its state must have come."""
    at_acceptance = gift.terms.pay_on is PayOn.ACCEPTANCE
    if gift.is_settled:
        return Standing.RETURNED
    if gift.state == "refunded":
        return Standing.REFUNDED if at_acceptance else Standing.RETURNED
    if gift.state == "redeemed" or (gift.state == "accepted" and at_acceptance):
        return Standing.PAID
    return Standing.ESCROWED


def tax_fen(gift: KeptGift) -> int:
    """Return what is withheld of the payer beside the price."""
    withheld = tax("", "", gift.price_fen, gift.terms)
    return sum(posting.fen for posting in withheld if posting.fen > 0)


def fault_in_money(gift: KeptGift) -> str | None:
    """Say what is wrong with a gift's entries; None where they are what they must be."""
    lines, terms = gift.lines, replace(gift.terms, decision_id="")
    try:
        expected = _expected(standing(gift), gift.price_fen, terms)
    except PolicyError as error:
        return f"its terms cannot be paid out: {error.message}"
    if tuple(_without_names(gift, line) for line in lines) == expected:
        return _untimely(gift)
    return _unsound(lines) or _unfit(gift, lines, expected)


@lru_cache(maxsize=4_096)
def _expected(reached: Standing, price_fen: int, terms: Terms) -> tuple[Line, ...]:
    """Return the lines of a gift whose id, payer and recipient are empty texts."""
    entries = _numbered([(EntryKind.ESCROW, escrow("", "", price_fen))])
    paid = [
        (EntryKind.CAPTURE, capture("", price_fen, terms)),
        (EntryKind.TAX, tax("", "", price_fen, terms)),
    ]
    if reached in {Standing.PAID, Standing.REFUNDED}:
        entries += _numbered(paid, after=len(entries))
    if reached in {Standing.RETURNED, Standing.REFUNDED}:
        entries += reversals(entries)
    return tuple(
        Line(e.number, n, e.kind.value, p.account.value, p.holder, p.fen, e.reverses)
        for e in entries
        for n, p in enumerate(e.postings, start=1)
    )


def _numbered(
    moves: Sequence[tuple[EntryKind, tuple[Posting, ...]]], after: int = 0
) -> list[Entry]:
    moved = [(kind, postings) for kind, postings in moves if postings]
    return [Entry(after + n, kind, postings) for n, (kind, postings) in enumerate(moved, start=1)]


def _without_names(gift: KeptGift, line: Line) -> tuple[str | int | None, ...]:
    """Return `line` at no instant, with an empty holder where that is the gift's own."""
    entry, number, kind, account, holder, fen, reverses, _ = line
    own = _OWN.get(account)
    if own is not None:
        # An empty holder in the ledger must not pass for the right one.
        holder = "" if holder == getattr(gift, own) else f"?{holder}"
    return entry, number, kind, account, holder, fen, reverses, 0


def _untimely(gift: KeptGift) -> str | None:
    """Say which entry is of another instant than what it came of."""
    for entry, kind, at in sorted({(line.entry, line.kind, line.at) for line in gift.lines}):
        first, last = _when(gift, kind)
        if not first <= at <= last:
            # A decline shows in the money when it would have expired, and not before.
            return f"entry {entry} ({kind}) is of {at}, when it cannot have happened"
    return None


def _when(gift: KeptGift, kind: str) -> tuple[int, int]:
    """Return the first and the last instant at which an entry of `kind` can have been made."""
    if kind == EntryKind.ESCROW:
        # What was held was asked for, and paid for, before it was sent.
        return gift.occurred_at if gift.reviewed is None else FIRST, gift.occurred_at
    if kind == EntryKind.REVERSAL and gift.state == "cancelled":
        return gift.occurred_at, LAST
    if kind == EntryKind.REVERSAL and gift.is_settled:
        return gift.over_at, gift.over_at
    at_acceptance = kind != EntryKind.REVERSAL and gift.terms.pay_on is PayOn.ACCEPTANCE
    return gift.answered_at, gift.answered_at if at_acceptance else LAST


def _unsound(lines: Sequence[Line]) -> str | None:
    """Say what is wrong with entries whatever the gift they belong to."""
    entries = {n: list(found) for n, found in groupby(lines, key=attrgetter("entry"))}
    escrowed = 0
    for number, entry in entries.items():
        total = sum(line.fen for line in entry)
        if total:
            return f"entry {number} sums to {total} fen"
        escrowed += sum(line.fen for line in entry if line.account == Account.ESCROW)
        if escrowed < 0:
            return f"entry {number} takes {-escrowed} fen from escrow that are not there"
        undone = entry[0].reverses
        if undone is not None and _balance(entry) != _negated(_balance(entries.get(undone, []))):
            return f"entry {number} does not undo entry {undone} exactly"
    return None


def _unfit(gift: KeptGift, lines: Sequence[Line], expected: Sequence[Line]) -> str:
    found, asked = _kinds(lines), _kinds(expected)
    if found != asked:
        return (
            f"is {gift.state}, so its money is {standing(gift)},"
            f" but its entries are {' '.join(found) or 'none'} instead of"
            f" {' '.join(asked) or 'none'}"
        )
    entry = next(
        (a.entry for a, b in zip(lines, expected, strict=False) if _without_names(gift, a) != b),
        lines[-1].entry if lines else 0,
    )
    return f"entry {entry} is not what its price and terms say"


def _kinds(lines: Sequence[Line]) -> list[str]:
    return [next(entry).kind for _, entry in groupby(lines, key=attrgetter("entry"))]


def _balance(entry: Sequence[Line]) -> dict[tuple[str, str], int]:
    fen: dict[tuple[str, str], int] = defaultdict(int)
    for line in entry:
        fen[line.account, line.holder] += line.fen
    return dict(fen)


def _negated(balance: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {account: -fen for account, fen in balance.items()}
