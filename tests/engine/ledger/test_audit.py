"""The audit: a true ledger is clean, and whatever is falsified shows as exactly that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.domain.clock import DAY, HOUR
from engine.ledger.audit import Audit, audit
from engine.ledger.database import Database


def _audited(house: Any, most: int = 20) -> Audit:
    with house.database.reading(snapshot=True) as unit:
        return audit(unit, house.now + 5 * HOUR, most)


def _change(database: Database, statement: str) -> None:
    with database.writing() as unit:
        unit.exec_driver_sql(statement)


def _named(statement: str, lived: Mapping[str, str]) -> str:
    """Return `statement` with gifts' ids for what became of them; the longest names first."""
    for name in sorted(lived, key=len, reverse=True):
        statement = statement.replace(f":{name}", f"'{lived[name]}'")
    return statement


def test_audit_of_an_empty_ledger_is_clean(database: Database) -> None:
    with database.reading(snapshot=True) as unit:
        found = audit(unit, 0)
    assert found.clean
    assert found.figures["gifts"] == 0


def test_audit_of_gifts_in_every_state_is_clean_and_counts_them(house, lived) -> None:
    found = _audited(house)
    assert found.first == ()
    assert found.clean
    states = {k.removeprefix("gifts "): n for k, n in found.figures.items() if k[:6] == "gifts "}
    states.pop("due to be moved")
    assert states == {
        "accepted": 5,
        "cancelled": 1,
        "declined": 2,
        "expired": 1,
        "held": 1,
        "redeemed": 1,
        "refunded": 3,
        "sent": 2,
    }
    assert found.figures["gifts"] == len(lived)
    assert found.figures["imported gifts, outside the proofs"] == 1
    assert sum(fen for name, fen in found.figures.items() if name.startswith("fen of")) == 0
    assert found.figures["fen of tax"] == 12_345 * 20 // 100
    assert found.figures["pieces of them held"] == 3


def test_audit_tells_how_many_gifts_are_overdue(house, lived) -> None:
    with house.database.reading(snapshot=True) as unit:
        found = audit(unit, house.now + 2 * DAY)
    assert found.clean
    assert found.figures["gifts due to be moved"] == 3  # two sent, one declined


def test_audit_as_json_says_what_the_figures_and_faults_are(house, lived) -> None:
    _change(house.database, "UPDATE items SET stock = -1 WHERE item = 'bear'")
    told = json.loads(_audited(house).as_json())
    assert told["clean"] is False
    assert told["faults"]["stock"] == 1
    assert told["first"][0]["of"] == "bear"


def test_audit_counts_all_faults_and_keeps_the_first(house, lived) -> None:
    _change(house.database, "UPDATE gifts SET terms = 'torn' WHERE origin = 'live'")
    found = _audited(house, most=2)
    assert found.counts["states"] == len(lived)
    assert [fault.fault for fault in found.first] == ["has no terms that can be read"] * 2


FALSIFIED: Mapping[str, tuple[str, str, str]] = {
    # what is falsified: (how, which checks find it, what one of them says)
    "an amount": (
        "UPDATE postings SET fen = fen + 1 WHERE gift = :accepted AND entry = 2 AND line = 1",
        "balances",
        "entry 2 sums to 1 fen",
    ),
    "two amounts of one entry": (
        "UPDATE postings SET fen = fen + CASE account WHEN 'brand' THEN 1 ELSE -1 END"
        " WHERE gift = :accepted AND entry = 2 AND account IN ('brand', 'platform')",
        "balances",
        "entry 2 is not what its price and terms say",
    ),
    "who is paid": (
        "UPDATE postings SET holder = 'thief' WHERE gift = :accepted AND account = 'brand'",
        "balances",
        "entry 2 is not what its price and terms say",
    ),
    "whose escrow it is": (
        "UPDATE postings SET holder = 'other' WHERE gift = :sent AND account = 'escrow'",
        "balances",
        "entry 1 is not what its price and terms say",
    ),
    "an empty payer": (
        "UPDATE postings SET holder = '' WHERE gift = :sent AND account = 'payer'",
        "balances",
        "entry 1 is not what its price and terms say",
    ),
    "a lost escrow": (
        "DELETE FROM postings WHERE gift = :sent",
        "balances",
        "is sent, so its money is in escrow, but its entries are none instead of escrow",
    ),
    "a lost capture": (
        "DELETE FROM postings WHERE gift = :accepted AND entry = 2",
        "balances",
        "its entries are escrow instead of escrow capture",
    ),
    "a capture before its time": (
        "INSERT INTO postings SELECT gift, 2, line, 'capture', account, holder, -fen, NULL, 0"
        " FROM postings WHERE gift = :held",
        "balances",
        "its entries are escrow capture instead of escrow",
    ),
    "a second capture": (
        "INSERT INTO postings SELECT gift, 3, line, kind, account, holder, fen, NULL, 0"
        " FROM postings WHERE gift = :accepted AND entry = 2",
        "balances",
        "entry 3 takes 900 fen from escrow that are not there",
    ),
    "lost tax": (
        "DELETE FROM postings WHERE gift = :taxed AND kind = 'tax'",
        "balances",
        "its entries are escrow capture instead of escrow capture tax",
    ),
    "a lost release": (
        "DELETE FROM postings WHERE gift = :expired AND entry = 2",
        "balances",
        "is expired, so its money is given back from escrow",
    ),
    "a reversal of another amount": (
        "UPDATE postings SET fen = fen - 1 * CASE WHEN fen > 0 THEN 1 ELSE -1 END"
        " WHERE gift = :expired AND entry = 2",
        "balances",
        "entry 2 does not undo entry 1 exactly",
    ),
    "what a reversal undoes": (
        "UPDATE postings SET reverses = NULL WHERE gift = :expired AND entry = 2",
        "balances",
        "entry 2 is not what its price and terms say",
    ),
    "terms that give too much": (
        "UPDATE gifts SET terms = replace(terms, '\"platform_ppm\":250000',"
        " '\"platform_ppm\":1250000') WHERE gift = :accepted",
        "terms balances",
        "has platform_ppm 1250000, but dec_",
    ),
    "a counter": (
        "UPDATE counters SET gifts = gifts - 1 WHERE scope = 'pair' AND subject = '2:bo>an'"
        " AND gifts > 0",
        "counters",
        "counts 0 gifts of 200000 fen, but 1 of 200000 fen hold it",
    ),
    "a counter's fen": (
        "UPDATE counters SET fen = fen + 5 WHERE scope = 'sender' AND subject = 'bo' AND gifts > 0",
        "counters",
        "counts 1 gifts of 200005 fen, but 1 of 200000 fen hold it",
    ),
    "a lost counter": (
        "DELETE FROM counters WHERE scope = 'recipient' AND subject = 'an' AND gifts > 0",
        "counters",
        "counts 0 gifts of 0 fen, but 1 of 200000 fen hold it",
    ),
    "a counter of nobody's gifts": (
        "INSERT INTO counters VALUES ('sender', 'nobody', 9, 1, 900)",
        "counters",
        "counts 1 gifts of 900 fen, but 0 of 0 fen hold it",
    ),
    "the lock's day": (
        "UPDATE counters SET gifts = 1 WHERE scope = 'sender' AND subject = 'an' AND day = 0",
        "counters",
        "counts 1 gifts of 0 fen, but 0 of 0 fen hold it",
    ),
    "oversold stock": (
        "UPDATE items SET stock = -1 WHERE item = 'figure'",
        "stock",
        "has -1 pieces left and 1 taken, while gifts hold 1 pieces",
    ),
    "pieces taken": (
        "UPDATE items SET stock_taken = stock_taken + 1 WHERE item = 'bear'",
        "stock",
        "has 1 pieces left and 3 taken, while gifts hold 2 pieces",
    ),
    "an outcome of a sent gift": (
        "UPDATE gifts SET outcome_at = occurred_at WHERE gift = :sent",
        "states",
        "is sent and left `sent` at",
    ),
    "a lost outcome": (
        "UPDATE gifts SET outcome_at = NULL WHERE gift = :accepted",
        "states balances outbox",
        "is accepted and left `sent` at None",
    ),
    "an outcome before the sending": (
        "UPDATE gifts SET outcome_at = occurred_at - 1 WHERE gift = :accepted",
        "states balances outbox",
        "before it was sent",
    ),
    "an expiry too early": (
        "UPDATE gifts SET outcome_at = outcome_at - 1 WHERE gift = :expired",
        "states",
        "not 24 hours after",
    ),
    "a due time that is lost": (
        "UPDATE gifts SET due_at = NULL WHERE gift = :sent",
        "states",
        "is sent and due at None instead of",
    ),
    "a due time of a held gift": (
        "UPDATE gifts SET due_at = 9 WHERE gift = :held",
        "states",
        "is held and due at 9 instead of None",
    ),
    "an address before acceptance": (
        "UPDATE gifts SET address = 'here' WHERE gift = :declined",
        "states",
        "is declined and has an address",
    ),
    "a lost payment": (
        "UPDATE gifts SET payment_ref = NULL WHERE gift = :free",
        "states",
        "lacks its payment or the days it counts in",
    ),
    "a decision that is not recorded": (
        "UPDATE gifts SET decision_id = 'dec_none' WHERE gift = :sent",
        "states",
        "rests on dec_none, which is no recorded decision on a gift",
    ),
    "a decision on something else": (
        "UPDATE decisions SET decision = 'gift_settle' WHERE decision_id ="
        " (SELECT decision_id FROM gifts WHERE gift = :sent)",
        "states",
        "which is no recorded decision on a gift",
    ),
    "a decision that denied": (
        "UPDATE decisions SET effect = 'deny' WHERE decision_id ="
        " (SELECT decision_id FROM gifts WHERE gift = :sent)",
        "states",
        "says deny",
    ),
    "a held gift that nobody reviewed": (
        "UPDATE decisions SET effect = 'review' WHERE decision_id ="
        " (SELECT decision_id FROM gifts WHERE gift = :sent)",
        "states",
        "is sent, but decision",
    ),
    "a lost review": (
        "DELETE FROM reviews WHERE gift = :refused order",
        "states",
        "is cancelled and nobody reviewed it",
    ),
    "a review that says otherwise": (
        "UPDATE reviews SET outcome = 'cancelled' WHERE gift = :taxed",
        "states",
        "is accepted, but its review says cancelled",
    ),
    "a code as it is": (
        "UPDATE vouchers SET code_hash = 'ABCDE-FGHJK-MNPQR-STVWX' WHERE gift = :with code",
        "vouchers",
        "has a code that is not kept as a SHA-256",
    ),
    "a code that was used": (
        "UPDATE vouchers SET redeemed_at = 9 WHERE gift = :with code",
        "vouchers",
        "is accepted, but its code was used at 9",
    ),
    "a code that was not used": (
        "UPDATE vouchers SET redeemed_at = NULL WHERE gift = :redeemed voucher",
        "vouchers",
        "is redeemed, but its code was used at None",
    ),
    "a lost code": (
        "DELETE FROM vouchers WHERE gift = :redeemed voucher",
        "vouchers",
        "is a redeemed voucher without a code",
    ),
    "a code of what is no voucher": (
        "UPDATE vouchers SET gift = :accepted WHERE gift = :with code",
        "vouchers",
        "is no voucher and has a code",
    ),
    "a lost event": (
        "DELETE FROM outbox WHERE gift = :accepted AND number = 1",
        "outbox",
        "its events begin with number 2",
    ),
    "a lost last event": (
        "DELETE FROM outbox WHERE gift = :accepted AND number = 2",
        "outbox",
        "says 2 events, but numbers [1] were told",
    ),
    "all events of a gift": (
        "DELETE FROM outbox WHERE gift = :accepted",
        "outbox",
        "nobody was told of it",
    ),
    "a decline that was told": (
        "UPDATE outbox SET body = replace(body, '\"state\":\"expired\"', '\"state\":\"declined\"')"
        " WHERE gift = :declined and over",
        "outbox",
        "event 2 (gift.expired) shows it as declined",
    ),
    "an event that does not fit the state": (
        "UPDATE outbox SET kind = 'gift.expired' WHERE gift = :accepted AND number = 2",
        "outbox",
        "is accepted, but was last told of as gift.expired",
    ),
    "an event out of order": (
        "UPDATE outbox SET kind = 'gift.accepted' WHERE gift = :accepted AND number = 1",
        "outbox",
        "was first told of as gift.accepted",
    ),
    "a body of something else": (
        "UPDATE outbox SET body = replace(body, 'bo', 'ed') WHERE gift = :sent",
        "outbox",
        "event 1 is of something else",
    ),
    "a body that is torn": (
        "UPDATE outbox SET body = '{' WHERE gift = :sent",
        "outbox",
        "event 1 is of something else",
    ),
    "an order to the payment system": (
        "UPDATE outbox SET body = replace(body, '\"fen\":900', '\"fen\":901')"
        " WHERE gift = :accepted",
        "outbox",
        "event 2 (gift.accepted) orders the payment",
    ),
    "an expiry told at another instant": (
        "UPDATE outbox SET body = replace(body, '\"occurred_at\":', '\"occurred_at\":1')"
        " WHERE gift = :declined and over AND number = 2",
        "outbox",
        "event 2 (gift.expired) tells of 1",
    ),
    "a payment that pays twice": (
        "UPDATE gifts SET payment_ref = (SELECT payment_ref FROM gifts WHERE gift = :sent)"
        " WHERE gift = :free",
        "payments",
        "pays for 2 gifts",
    ),
    "postings of no gift": (
        "INSERT INTO postings VALUES ('ghost', 1, 1, 'escrow', 'payer', 'an', 0, NULL, 0)",
        "strays",
        "has rows in postings, but there is no such gift of ours",
    ),
    "money on imported history": (
        "INSERT INTO postings VALUES ('old', 1, 1, 'escrow', 'payer', 'an', 0, NULL, 0)",
        "strays",
        "has rows in postings, but there is no such gift of ours",
    ),
    "a voucher of no gift": (
        "INSERT INTO vouchers VALUES ('ghost', 'ff', 0, NULL)",
        "strays",
        "has rows in vouchers",
    ),
    "a review of no gift": (
        "INSERT INTO reviews VALUES ('ghost', 'sent', NULL, 'k', 'k', 0)",
        "strays",
        "has rows in reviews",
    ),
    "an origin that is none": (
        "UPDATE gifts SET origin = 'dreamt' WHERE gift = 'old'",
        "strays",
        "is of the unknown origin 'dreamt'",
    ),
}  # fmt: skip
"""How a ledger can be falsified, and what the audit says then."""


def test_audit_of_a_falsified_ledger_says_exactly_what(house, lived, subtests) -> None:
    with house.database.writing() as unit:
        for what, (change, checks, said) in FALSIFIED.items():
            with subtests.test(what), unit.begin_nested() as savepoint:
                if "SET payment_ref =" in change:
                    unit.exec_driver_sql("DROP INDEX gifts_payment")
                assert unit.exec_driver_sql(_named(change, lived)).rowcount > 0
                found = audit(unit, house.now).first
                savepoint.rollback()
                assert {fault.check for fault in found} == set(checks.split())
                assert any(said in fault.fault for fault in found)
        assert audit(unit, house.now).clean


def test_audit_of_a_state_that_is_none_says_so(house, lived) -> None:
    _change(house.database, _named("UPDATE gifts SET state = 'lost' WHERE gift = :sent", lived))
    told = [fault.fault for fault in _audited(house).first if fault.check == "states"]
    assert told == ["is 'lost', which is no state"]
