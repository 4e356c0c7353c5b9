"""Every gift of ours with all that hangs on it, one after the other, as an audit reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import orjson
from sqlalchemy import Connection

from engine.domain.money import PayOn, Terms
from engine.ledger.statements import Statement

_PART = 2_000
"""Gifts in memory at a time."""


class Line(NamedTuple):
    """A posting; compares by its entry, then by its line."""

    entry: int
    line: int
    kind: str
    account: str
    holder: str
    fen: int
    reverses: int | None


class Told(NamedTuple):
    """An event in the outbox; compares by its number."""

    number: int
    kind: str
    body: str


class KeptGift(NamedTuple):
    """A gift's row as it is stored, whatever it says, with the rows of other tables beside it."""

    gift: str
    sender: str
    recipient: str
    price_fen: int
    state: str
    occurred_at: int
    outcome_at: int | None
    due_at: int | None
    payment_ref: str | None
    sender_day: int | None
    recipient_day: int | None
    events: int
    address: str | None
    decision_id: str | None
    decision: str | None
    """What the recorded decision decides; None where there is no such decision."""
    effect: str | None
    reviewed: str | None
    """A review's outcome; None where nobody reviewed it."""
    review_decision_id: str | None
    code_hash: str | None
    """Of its voucher's code; None where none was issued."""
    redeemed_at: int | None
    stored_terms: str | None
    stored_lines: str | None
    stored_events: str | None

    @property
    def is_settled(self) -> bool:
        """Whether its money, caps and stock went back as they do at an expiry."""
        return self.state in {"expired", "cancelled"} or (
            self.state == "declined" and self.due_at is None
        )

    def terms(self) -> Terms | None:
        """Return its terms; None where they cannot be read."""
        try:
            told = orjson.loads(self.stored_terms or "null")
            return Terms(**{**told, "pay_on": PayOn(told["pay_on"])})
        except (ValueError, TypeError, KeyError):
            return None

    def lines(self) -> list[Line]:
        """Return its postings in their order."""
        return sorted(Line(*line) for line in orjson.loads(self.stored_lines or "[]"))

    def told(self) -> list[Told]:
        """Return the events of it that are kept, in their order."""
        return sorted(Told(*event) for event in orjson.loads(self.stored_events or "[]"))


_KEPT = """
SELECT g.gift, g.sender, g.recipient, g.price_fen, g.state, g.occurred_at, g.outcome_at, g.due_at,
  g.payment_ref, g.sender_day, g.recipient_day, g.events, g.address, g.decision_id,
  d.decision, d.effect, r.outcome, r.decision_id, v.code_hash, v.redeemed_at, g.terms,
  (SELECT {all_of}({list}(entry, line, kind, account, holder, fen, reverses))
   FROM postings WHERE gift = g.gift),
  (SELECT {all_of}({list}(number, kind, body)) FROM outbox WHERE gift = g.gift)
FROM gifts g
LEFT JOIN decisions d ON d.decision_id = g.decision_id
LEFT JOIN reviews r ON r.gift = g.gift
LEFT JOIN vouchers v ON v.gift = g.gift
WHERE g.origin = 'live'
"""
_READ = {
    "sqlite": Statement(_KEPT.format(all_of="json_group_array", list="json_array")),
    "postgresql": Statement(
        # As text, so that the driver leaves the parsing to whoever needs it.
        _KEPT.replace("{all_of}(", "CAST({all_of}(")
        .replace("reverses))", "reverses)) AS text)")
        .replace("body))", "body)) AS text)")
        .format(all_of="json_agg", list="json_build_array")
    ),
}


def kept_gifts(connection: Connection) -> Iterator[KeptGift]:
    """Yield every gift of ours, in no order; only few are in memory at a time."""
    # On PostgreSQL a cursor of the server: the driver's own takes all rows at once. The option
    # stays on the connection, so it is taken off again.
    connection.execution_options(stream_results=True)
    found = _READ[connection.dialect.name].run(connection)
    connection.execution_options(stream_results=False)
    while part := found.fetchmany(_PART):
        yield from map(KeptGift._make, part)
