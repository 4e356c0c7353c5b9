"""Only a gift that took a piece of limited stock puts one back, on both databases."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import update

from engine.domain.clock import DAY, HOUR
from engine.ledger import migration, tables
from engine.ledger.audit import audit
from engine.ledger.database import Database
from engine.ledger.idempotency import RequestKey


def _limit(house, item: str, stock: int) -> None:
    """Give an item that had no limit one, as an import does."""
    with house.database.writing() as unit:
        unit.execute(update(tables.items).where(tables.items.c.item == item).values(stock=stock))


def _faults(house) -> list[str]:
    with house.database.reading(snapshot=True) as unit:
        return [fault.fault for fault in audit(unit, house.now + 3 * DAY).first]


def _leave(house, gift: str) -> None:
    """Let it expire."""


def _decline(house, gift: str) -> None:
    house.moving.decline(gift, "bo", None, house.now + 1)


def _refund(house, gift: str) -> None:
    house.moving.accept(gift, "bo", None, None, house.now + 1)
    house.moving.refund(gift, None, house.now + HOUR)


def _swap(house, gift: str) -> None:
    house.swapping.swap(gift, "bo", "tart", None, house.now + 1)


@pytest.mark.parametrize("give_up", [_leave, _decline, _refund, _swap])
def test_gift_of_before_the_limit_puts_no_piece_back(house, give_up) -> None:
    before = house.send("cake")
    _limit(house, "cake", 5)
    after = house.send("cake")
    assert (house.stock("cake"), _faults(house)) == ((4, 1), [])
    for gift in (before, after):
        give_up(house, gift)
    house.moving.expire_due(house.now + 2 * DAY)
    assert (house.stock("cake"), _faults(house)) == ((5, 0), [])


def test_held_gift_of_before_the_limit_puts_no_piece_back(house) -> None:
    before = house.send("watch")
    _limit(house, "watch", 5)
    after = house.send("watch")
    for gift, left in ((before, (4, 1)), (after, (5, 0))):
        house.reviewing.decide(gift, False, house.reviewer, None, house.now + 1)
        assert (house.stock("watch"), _faults(house)) == (left, [])


def test_piece_of_a_gift_of_before_the_limit_is_not_there_for_its_second_look(house) -> None:
    gift = house.send("watch")
    _limit(house, "watch", 0)
    seen = house.reviewing.decide(gift, True, house.reviewer, None, house.now + 1)
    assert seen.gift.state == "cancelled"
    assert (house.stock("watch"), _faults(house)) == ((0, 0), [])


def test_swap_to_a_limited_item_takes_a_piece_and_back_returns_it(house) -> None:
    house.world.item("few", kind="cake", stock=1)
    gift = house.send("cake")
    for item, stock in (("few", (0, 1)), ("cake", (1, 0)), ("few", (0, 1))):
        house.swapping.swap(gift, "bo", item, None, house.now + 1)
        assert (house.stock("few"), _faults(house)) == (stock, [])
    house.moving.expire_due(house.now + 2 * DAY)
    assert (house.stock("few"), _faults(house)) == ((1, 0), [])


def test_audit_finds_a_piece_that_is_held_of_an_item_without_a_limit(house) -> None:
    gift = house.send("cake")
    with house.database.writing() as unit:
        rows = update(tables.gifts).where(tables.gifts.c.gift == gift)
        unit.execute(rows.values(took_piece=True))
    assert _faults(house) == ["has None pieces left and 0 taken, while gifts hold 1 pieces"]


def test_answer_kept_before_gifts_told_of_their_piece_is_still_the_answer(house) -> None:
    gift, key = house.send("cake"), RequestKey("s", "k", "b")
    first = house.moving.accept(gift, "bo", None, key, house.now + 1)
    kept = tables.idempotency
    with house.database.writing() as unit:
        at = kept.c.idempotency_key == "k"
        [answer] = unit.execute(kept.select().where(at)).all()
        older = answer.answer.replace(',"took_piece":false', "")
        assert older != answer.answer
        unit.execute(update(kept).where(at).values(answer=older))
    assert house.moving.accept(gift, "bo", None, key, house.now + 2) == first


def test_migration_takes_gifts_of_limited_items_to_hold_a_piece(sqlite_url: str) -> None:
    _migrated(Database(sqlite_url))


def test_migration_on_postgresql_takes_them_so_too(postgres_url: str) -> None:
    _migrated(Database(postgres_url))


def _migrated(database: Database) -> None:
    with database.writing() as unit:
        config = migration._config()
        config.attributes["connection"] = unit
        command.upgrade(config, "0003")
    item = "'n', 1, 'basic', 'c', 'k', 'direct', 'friend', 'chat'"
    gift = "1, 'friend', 'chat', 'none', 'sent'"
    with database.writing() as unit:
        for name, stock in (("few", "3"), ("many", "NULL")):
            unit.exec_driver_sql(
                "INSERT INTO items (item, name, price_fen, tier, category, kind, mechanics,"
                f" relations, scenes, stock, recorded_at) VALUES ('{name}', {item}, {stock}, 0)"
            )
            for origin in ("live", "imported"):
                unit.exec_driver_sql(
                    "INSERT INTO gifts (gift, sender, recipient, item, price_fen, relation, scene,"
                    " occasion, state, origin, occurred_at, recorded_at)"
                    f" VALUES ('{name} {origin}', 'an', 'bo', '{name}', {gift}, '{origin}', 5, 5)"
                )
    migration.migrate(database)
    with database.reading() as unit:
        told = unit.execute(tables.gifts.select()).all()
        assert {row.gift for row in told if row.took_piece} == {"few live"}
    database.close()
