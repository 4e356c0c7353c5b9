"""The audit of what gifts lived through: when, of what, by whose decision; and what is unreadable.

Each ledger is falsified in one place; the audit says so, and proves all the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest

from engine.domain.clock import DAY, HOUR
from engine.ledger.audit import Fault, audit

Falsify = Callable[[str], tuple[Fault, ...]]

_TERMS = "UPDATE gifts SET terms = replace(terms, '{}', '{}') WHERE gift = :accepted"
_SETTLED = (
    "(SELECT d.decision_id FROM decisions d JOIN gifts ON gift = :accepted"
    " WHERE replace(terms, d.decision_id, '') <> terms)"
)


@pytest.fixture
def falsify(house, lived) -> Iterator[Falsify]:
    """Changes the ledger by a statement, with gifts' ids for what became of them, for one audit."""

    def change(statement: str) -> tuple[Fault, ...]:
        for name in sorted(lived, key=len, reverse=True):
            statement = statement.replace(f":{name}", f"'{lived[name]}'")
        with house.database.writing() as unit, unit.begin_nested() as savepoint:
            assert unit.exec_driver_sql(statement).rowcount > 0
            found = audit(unit, house.now + 5 * HOUR).first
            savepoint.rollback()
        return found

    yield change
    with house.database.reading(snapshot=True) as unit:
        assert audit(unit, house.now).clean


FALSIFIED: Mapping[str, tuple[str, str, str]] = {
    # what is falsified: (how, which checks find it, what one of them says)
    "a decline that shows in the money": (
        "UPDATE postings SET occurred_at = (SELECT outcome_at FROM gifts WHERE gift ="
        " :declined and over) WHERE gift = :declined and over AND entry = 2",
        "balances",
        "entry 2 (reversal) is of",
    ),
    "an expiry's money a moment late": (
        "UPDATE postings SET occurred_at = occurred_at + 1 WHERE gift = :expired AND entry = 2",
        "balances",
        "entry 2 (reversal) is of",
    ),
    "money of before the acceptance": (
        "UPDATE postings SET occurred_at = occurred_at - 1 WHERE gift = :accepted AND entry = 2",
        "balances",
        "entry 2 (capture) is of",
    ),
    "a decline that was told when it was declined": (
        "UPDATE outbox SET recorded_at = (SELECT outcome_at FROM gifts WHERE gift ="
        " :declined and over) WHERE gift = :declined and over AND number = 2",
        "outbox",
        "before the 24 hours were over",
    ),
    "a decline in a word of its own": (
        "UPDATE outbox SET body = replace(body, '{\"gift\"', '{\"declined\":true,\"gift\"')"
        " WHERE gift = :declined",
        "outbox",
        "event 1 has not what an event has: ['declined']",
    ),
    "an address that was told": (
        "UPDATE outbox SET body = replace(body, '{\"gift\"', '{\"address\":\"here\",\"gift\"')"
        " WHERE gift = :accepted AND number = 2",
        "outbox",
        "event 2 has not what an event has: ['address']",
    ),
    "when an acceptance was told of": (
        "UPDATE outbox SET body = replace(body, '\"occurred_at\":', '\"occurred_at\":1')"
        " WHERE gift = :accepted AND number = 2",
        "outbox",
        "event 2 (gift.accepted) tells of 1",
    ),
    "an acceptance after the 24 hours": (
        f"UPDATE gifts SET outcome_at = occurred_at + {DAY} WHERE gift = :accepted",
        "states balances outbox",
        "24 hours or more after",
    ),
    "a decline after the 24 hours": (
        f"UPDATE gifts SET outcome_at = occurred_at + {DAY} WHERE gift = :declined and over",
        "states",
        "24 hours or more after",
    ),
    "a code that was used before it was issued": (
        "UPDATE vouchers SET redeemed_at = issued_at - 1 WHERE gift = :redeemed voucher",
        "vouchers",
        "before it was issued",
    ),
    "an item that is none": (
        "UPDATE gifts SET item = 'none' WHERE gift = :sent",
        "states outbox",
        "is of 'none', which is not in the catalogue",
    ),
    "an item that took its gifts' pieces with it": (
        "DELETE FROM items WHERE item = 'figure'",
        "states",
        "is of 'figure', which is not in the catalogue",
    ),
    "another item than was told": (
        "UPDATE gifts SET item = 'tart' WHERE gift = :sent",
        "outbox",
        "event 1 is of cake instead of tart",
    ),
    "an event of another item": (
        "UPDATE outbox SET body = replace(body, '\"bear\"', '\"tart\"') WHERE gift = :swapped"
        " AND number = 2",
        "outbox",
        "event 2 is of tart instead of bear",
    ),
    "a decision on two gifts": (
        "UPDATE gifts SET decision_id = (SELECT decision_id FROM gifts WHERE gift = :sent)"
        " WHERE gift = :free",
        "states",
        "is the decision on 2 gifts",
    ),
    "a decision that only checked": (
        "UPDATE decisions SET purpose = 'check' WHERE decision_id ="
        " (SELECT decision_id FROM gifts WHERE gift = :sent)",
        "states",
        "was a check",
    ),
    "a payment without a name": (
        "UPDATE gifts SET payment_ref = '' WHERE gift = :sent",
        "states",
        "lacks its payment",
    ),
    "a review of what was never held": (
        "INSERT INTO reviews SELECT gift, 'sent', NULL, 'k', 'k', 0 FROM gifts"
        " WHERE gift = :sent",
        "states",
        "was never held, but its review says sent",
    ),
    "a review that is lost": (
        "DELETE FROM reviews WHERE gift = :taxed",
        "states balances",
        "is accepted and nobody reviewed it",
    ),
    "terms of no recorded decision": (
        _TERMS.format('"decision_id":"dec_', '"decision_id":"lost_'),
        "terms",
        "which is no recorded decision",
    ),
    "terms that settled nothing": (
        f"UPDATE decisions SET purpose = 'evaluate' WHERE decision_id = {_SETTLED}",
        "terms",
        "which settled nothing",
    ),
    "terms of another price": (
        "UPDATE decisions SET facts = replace(facts, '\"gift.price_fen\":900',"
        f" '\"gift.price_fen\":901') WHERE decision_id = {_SETTLED}",
        "terms",
        "has price_fen 900, but",
    ),
    "a decision on terms that is torn": (
        f"UPDATE decisions SET fired = '[1]' WHERE decision_id = {_SETTLED}",
        "terms",
        "which cannot be read",
    ),
    "shares that nobody decided, before they are paid": (
        "UPDATE gifts SET terms = replace(terms, '\"platform_ppm\":250000',"
        " '\"platform_ppm\":900000') WHERE gift = :sent",
        "terms",
        "has platform_ppm 900000, but dec_",
    ),
    "a brand that is gone": (
        "UPDATE gifts SET terms = replace(terms, '\"brand\":\"bakery\"', '\"brand\":null')"
        " WHERE gift = :sent",
        "terms",
        "has a brand False, but",
    ),
    "terms that hold nothing": (
        _TERMS.format('"tax_ppm":0', '"tax_ppm":null'),
        "states",
        "has no terms that can be read",
    ),
    "terms with a text for a number": (
        _TERMS.format('"platform_ppm":250000', '"platform_ppm":"250000"'),
        "states",
        "has no terms that can be read",
    ),
    "terms with a list for a name": (
        _TERMS.format('"brand":"toys"', '"brand":[1]'),
        "states",
        "has no terms that can be read",
    ),
}  # fmt: skip
"""How a gift's life can be falsified, and what the audit says then."""

UNREADABLE: Mapping[str, tuple[str, str]] = {
    # what is stored as something else: (how, which check finds it)
    "an amount that is a text": ("UPDATE postings SET fen = 'x' WHERE gift = :sent", "balances"),
    "an amount that is a part": ("UPDATE postings SET fen = 0.5 WHERE gift = :sent", "balances"),
    "bytes for a holder": ("UPDATE postings SET holder = x'ff' WHERE gift = :sent", "balances"),
    "a price that is a text": ("UPDATE gifts SET price_fen = 'x' WHERE gift = :sent", "states"),
    "a time that is a text": ("UPDATE gifts SET occurred_at = 'x' WHERE gift = :sent", "states"),
    "an outcome that is a text": (
        "UPDATE gifts SET outcome_at = 'x' WHERE gift = :accepted",
        "states",
    ),
    "a number of events": ("UPDATE gifts SET events = 'x' WHERE gift = :sent", "states"),
    "bytes for a code": (
        "UPDATE vouchers SET code_hash = x'ff' WHERE gift = :with code",
        "states",
    ),
    "bytes for an event": ("UPDATE outbox SET body = x'ff' WHERE gift = :sent", "outbox"),
    "a counter": ("UPDATE counters SET gifts = 'x' WHERE scope = 'pair'", "counters"),
    "a stock": ("UPDATE items SET stock = 'x' WHERE item = 'bear'", "stock"),
}
"""What SQLite keeps in a column that is for something else."""


def test_audit_of_a_falsified_life_says_exactly_what(falsify: Falsify, subtests) -> None:
    for what, (change, checks, said) in FALSIFIED.items():
        with subtests.test(what):
            found = falsify(change)
            assert {fault.check for fault in found} == set(checks.split())
            assert any(said in fault.fault for fault in found)


def test_audit_of_what_cannot_be_read_says_so_and_proves_the_rest(
    house, falsify: Falsify, subtests
) -> None:
    if not house.database.is_sqlite:
        pytest.skip("PostgreSQL keeps nothing else in a column than what it is for")
    with house.database.writing() as unit:
        unit.exec_driver_sql("UPDATE items SET stock = -1 WHERE item = 'figure'")
    for what, (change, check) in UNREADABLE.items():
        with subtests.test(what):
            found = falsify(change)
            assert any(f.check == check and "cannot be read" in f.fault for f in found)
            assert ("stock", "figure") in {(f.check, f.of) for f in found}
    with house.database.writing() as unit:
        unit.exec_driver_sql("UPDATE items SET stock = 2 WHERE item = 'figure'")


def test_audit_of_amounts_beyond_all_bounds_adds_them_up(house, falsify: Falsify) -> None:
    [first, *_] = falsify(f"UPDATE postings SET fen = {2**63 - 1} WHERE gift = :accepted")
    assert (first.check, first.fault) == ("balances", f"entry 1 sums to {2**64 - 2} fen")


def test_audit_of_a_gift_whose_events_stand_in_another_order_in_the_feed(
    house, falsify: Falsify
) -> None:
    place = "seq" if house.database.is_sqlite else "position"
    with house.database.writing() as unit:
        unit.exec_driver_sql("UPDATE outbox SET position = seq")
    found = falsify(f"UPDATE outbox SET {place} = -{place} WHERE gift = :accepted")
    assert "event 2 stands before event 1 in the feed" in {fault.fault for fault in found}
