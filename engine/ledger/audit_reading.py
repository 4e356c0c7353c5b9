"""Every gift of ours with all that hangs on it, one after the other, as an audit reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, cycle
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_type_hints

import orjson
from sqlalchemy import Connection

from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.money import PayOn, Terms
from engine.ledger.statements import Statement

_PART = 2_000
"""Gifts in memory at a time."""

FIRST: Final = -(2**63)
LAST: Final = 2**63 - 1
"""The instants before and after which there is none."""


class Line(NamedTuple):
    """A posting; compares by its entry, then by its line."""

    entry: int
    line: int
    kind: str
    account: str
    holder: str
    fen: int
    reverses: int | None
    at: int = 0


class Told(NamedTuple):
    """An event in the outbox; compares by its number."""

    number: int
    kind: str
    body: str
    recorded_at: int
    place: int | None
    """Its place in the feed; None where it has none yet."""


class KeptGift(NamedTuple):
    """A gift's row as it is stored, whatever it says, with the rows of other tables beside it."""

    gift: str
    sender: str
    recipient: str
    item: str
    relation: str
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
    on_sale: str | None
    """Its item as the catalogue names it; None where there is no such item."""
    decision: str | None
    """What the recorded decision decides; None where there is no such decision."""
    purpose: str | None
    effect: str | None
    reviewed: str | None
    """A review's outcome; None where nobody reviewed it."""
    review_decision_id: str | None
    code_hash: str | None
    """Of its voucher's code; None where none was issued."""
    issued_at: int | None
    redeemed_at: int | None
    terms: Terms
    lines: Sequence[Line]
    """Its postings in their order."""
    told: Sequence[Told]
    """The events of it that are kept, in their order."""

    @property
    def is_settled(self) -> bool:
        """Whether its money, caps and stock went back as they do at an expiry."""
        return self.state in {"expired", "cancelled"} or (
            self.state == "declined" and self.due_at is None
        )

    @property
    def over_at(self) -> int:
        """When its time to be answered is over."""
        return self.occurred_at + ACCEPT_WITHIN

    @property
    def answered_at(self) -> int:
        """When it left `sent`; when it was sent where it does not say."""
        return self.occurred_at if self.outcome_at is None else self.outcome_at


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A gift of which something stored is not of its kind, so that nothing of it can be proved."""

    gift: str
    state: str
    check: str
    """The one of `engine.ledger.audit.CHECKS` that needs it."""
    fault: str


_Row = TypeVar("_Row", Line, Told)

_COLUMNS = KeptGift._fields.index("terms")
"""How many of its fields are columns; what follows is made of JSON."""
_TERMS = attrgetter(*Terms.__slots__)


def _listed(row: type[Line] | type[Told], columns: str, dialect: str) -> str:
    """Return SQL that makes a JSON list of a row's columns."""
    if dialect == "postgresql":
        return f"json_build_array({columns})"
    # JSON holds no bytes; that they are there must show, and no column holds such a number.
    told = (f"CASE typeof({c}) WHEN 'blob' THEN 0.5 ELSE {c} END" for c in columns.split(", "))
    return f"json_array({', '.join(told)})"


def _kept(dialect: str) -> Statement:
    postgres = dialect == "postgresql"
    # On PostgreSQL as text, so that the driver leaves the parsing to whoever needs it.
    all_of = "CAST(json_agg({}) AS text)" if postgres else "json_group_array({})"
    place = "position" if postgres else "seq"
    lines = "entry, line, kind, account, holder, fen, reverses, occurred_at"
    events = f"number, kind, body, recorded_at, {place}"
    return Statement(f"""
SELECT g.gift, g.sender, g.recipient, g.item, g.relation, g.price_fen, g.state, g.occurred_at,
  g.outcome_at, g.due_at, g.payment_ref, g.sender_day, g.recipient_day, g.events, g.address,
  g.decision_id, i.item, d.decision, d.purpose, d.effect, r.outcome, r.decision_id, v.code_hash,
  v.issued_at, v.redeemed_at, g.terms,
  (SELECT {all_of.format(_listed(Line, lines, dialect))} FROM postings WHERE gift = g.gift),
  (SELECT {all_of.format(_listed(Told, events, dialect))} FROM outbox WHERE gift = g.gift)
FROM gifts g
LEFT JOIN items i ON i.item = g.item
LEFT JOIN decisions d ON d.decision_id = g.decision_id
LEFT JOIN reviews r ON r.gift = g.gift
LEFT JOIN vouchers v ON v.gift = g.gift
WHERE g.origin = 'live'
""")


_READ = {dialect: _kept(dialect) for dialect in ("sqlite", "postgresql")}


def kept_gifts(connection: Connection) -> Iterator[list[KeptGift | Unreadable]]:
    """Yield every gift of ours, part by part, in no order."""
    # On PostgreSQL a cursor of the server: the driver's own takes all rows at once. The option
    # stays on the connection, so it is taken off again.
    connection.execution_options(stream_results=True)
    found = _READ[connection.dialect.name].run(connection)
    connection.execution_options(stream_results=False)
    while part := found.fetchmany(_PART):
        yield [_gift(tuple(row)) for row in part]


def _gift(row: tuple[Any, ...]) -> KeptGift | Unreadable:
    """Return a gift of its columns, terms, postings and events; SQLite keeps what it is given."""
    columns, (stored_terms, stored_lines, stored_events) = row[:_COLUMNS], row[_COLUMNS:]

    def unreadable(check: str, fault: str) -> Unreadable:
        return Unreadable(str(row[0]), str(row[6]), check, fault)

    odd = mistyped(KeptGift, columns)
    if odd is not None:
        told = dict(zip(KeptGift._fields, columns, strict=False))[odd]
        return unreadable("states", f"cannot be read: its {odd} is {told!r}")
    terms = _terms(stored_terms)
    if terms is None:
        return unreadable("states", "has no terms that can be read")
    lines = _rows(Line, stored_lines)
    if lines is None:
        return unreadable("balances", "cannot be read: a posting of it is not of its kind")
    events = _rows(Told, stored_events)
    if events is None:
        return unreadable("outbox", "cannot be read: an event of it is not of its kind")
    return KeptGift._make((*columns, terms, lines, events))


def _terms(stored: object) -> Terms | None:
    """Return a gift's terms; None where they cannot be read."""
    if not isinstance(stored, str):
        return None
    try:
        told = orjson.loads(stored)
        terms = Terms(**{**told, "pay_on": PayOn(told["pay_on"])})
    except (ValueError, TypeError, KeyError):
        return None
    return None if mistyped(Terms, _TERMS(terms)) else terms


def _rows(row: type[_Row], stored: str | None) -> list[_Row] | None:
    """Return the rows in a JSON list, in their order; None where one cannot be read."""
    try:
        listed = orjson.loads(stored or "[]")
    except orjson.JSONDecodeError:
        return None
    # All of them at once: what types there are of one kind of gift is looked at once.
    if mistyped(row, tuple(chain.from_iterable(listed))):
        return None
    return sorted(row._make(values) for values in listed)


def mistyped(row: type, values: Sequence[object]) -> str | None:
    """Return the first field of `row` whose value is of another type than it says, if any is.

    Parameters
    ----------
    values
        Of the first fields of one row, or of all fields of any number of rows.
    """
    return _odd(row, tuple(map(type, values)))


@lru_cache(maxsize=1_024)
def _odd(row: type, found: tuple[type, ...]) -> str | None:
    kinds = [(name, get_args(hint) or (hint,)) for name, hint in get_type_hints(row).items()]
    odd = (
        name for (name, lawful), one in zip(cycle(kinds), found, strict=False) if one not in lawful
    )
    return next(odd, None)
