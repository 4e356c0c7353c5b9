"""The double entries of each gift's money: appended, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import Connection

from engine.domain.money import Account, Entry, EntryKind, Posting
from engine.ledger.statements import Insertion, Statement

_INSERT = Insertion(
    "postings",
    ("gift", "entry", "line", "kind", "account", "holder", "fen", "reverses", "occurred_at"),
)
_OF_GIFT = Statement("""
SELECT entry, kind, reverses, account, holder, fen FROM postings
WHERE gift = :gift ORDER BY entry, line
""")


def append(connection: Connection, gift: str, entries: Sequence[Entry], at: int) -> None:
    """Write entries of a gift, at `at` (microseconds)."""
    _INSERT.run(
        connection,
        [
            (
                gift,
                entry.number,
                line,
                entry.kind.value,
                posting.account.value,
                posting.holder,
                posting.fen,
                entry.reverses,
                at,
            )
            for entry in entries
            for line, posting in enumerate(entry.postings, start=1)
        ],
    )


def of_gift(connection: Connection, gift: str) -> list[Entry]:
    """Return a gift's entries in their order."""
    rows = _OF_GIFT.run(connection, gift=gift).all()
    return [
        Entry(
            number=number,
            kind=EntryKind(kind),
            postings=tuple(Posting(Account(row[3]), row[4], row[5]) for row in lines),
            reverses=reverses,
        )
        for (number, kind, reverses), lines in groupby(rows, key=lambda row: tuple(row[:3]))
    ]
