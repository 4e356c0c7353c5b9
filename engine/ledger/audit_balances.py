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
from engine.ledger.audit_reading import KeptGift, Line

_OWN = {Account.ESCROW.value: "gift", Account.PAYER.value: "sender", Account.TAX.value: "recipient"}
"""By account, whose it is of a gift; the others' holders are named by the terms."""


class Standing(StrEnum):
    """How far a gift's money has come."""

    ESCROWED = "in escrow"
    PAID = "paid out"
    RETURNED = "given back from escrow"
    REFUNDED = "paid out and given back"


def standing(gift: KeptGift, terms: Terms) -> Standing:
    """Return how far the money of a gift in its state must have come."""
    at_acceptance = terms.pay_on is PayOn.ACCEPTANCE
    if gift.is_settled:
        return Standing.RETURNED
    if gift.state == "refunded":
        return Standing.REFUNDED if at_acceptance else Standing.RETURNED
    if gift.state == "redeemed" or (gift.state == "accepted" and at_acceptance):
        return Standing.PAID
    return Standing.ESCROWED


def tax_fen(gift: KeptGift, terms: Terms) -> int:
    """Return what is withheld of the payer beside the price."""
    return sum(posting.fen for posting in tax("", "", gift.price_fen, terms) if posting.fen > 0)


def fault_in_money(gift: KeptGift, terms: Terms) -> str | None:
    """Say what is wrong with a gift's entries; None where they are what they must be."""
    lines = gift.lines()
    try:
        expected = _expected(standing(gift, terms), gift.price_fen, replace(terms, decision_id=""))
    except PolicyError as error:
        return f"its terms cannot be paid out: {error.message}"
    if tuple(_without_names(gift, line) for line in lines) == expected:
        return None
    return _unsound(lines) or _unfit(gift, terms, lines, expected)


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


def _without_names(gift: KeptGift, line: Line) -> Line:
    """Return `line` with an empty holder where the holder is the gift's own, as it must be."""
    own = _OWN.get(line.account)
    if own is None:
        return line
    # An empty holder in the ledger must not pass for the right one.
    return line._replace(holder="" if line.holder == getattr(gift, own) else f"?{line.holder}")


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


def _unfit(gift: KeptGift, terms: Terms, lines: Sequence[Line], expected: Sequence[Line]) -> str:
    found, asked = _kinds(lines), _kinds(expected)
    if found != asked:
        return (
            f"is {gift.state}, so its money is {standing(gift, terms)},"
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
