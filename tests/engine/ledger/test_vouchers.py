"""The codes of vouchers: used up once, and never before they were issued."""

from __future__ import annotations

from sqlalchemy import select

from engine.domain.clock import HOUR
from engine.ledger import tables
from engine.ledger.audit import audit


def test_code_that_is_used_by_a_clock_set_back_is_used_when_it_was_issued(house) -> None:
    gift, now = house.send("coffee"), house.now
    house.moving.accept(gift, "bo", None, None, now)
    code = house.moving.issue_voucher(gift, "bo", now + 2 * HOUR)
    house.moving.redeem(gift, code, None, now + HOUR)
    shelf = tables.vouchers.c
    with house.database.reading(snapshot=True) as unit:
        [times] = unit.execute(select(shelf.issued_at, shelf.redeemed_at)).all()
        assert tuple(times) == (now + 2 * HOUR, now + 2 * HOUR)
        assert audit(unit, now).clean
