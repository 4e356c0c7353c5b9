"""A ledger on which gifts of every kind have come as far as gifts can."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from engine.domain.clock import DAY, HOUR
from engine.domain.gifts import Relation, Scene
from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.migration import migrate

_FIRST_CODE_OF = ("with code", "redeemed voucher", "refunded voucher")


def _imported(house: Any) -> None:
    row = {
        "gift": "old",
        "sender": "an",
        "recipient": "bo",
        "item": "cake",
        "price_fen": 5,
        "relation": "friend",
        "scene": "chat",
        "occasion": "none",
        "state": "accepted",
        "origin": "imported",
        "occurred_at": 7,
        "recorded_at": 7,
    }
    with house.database.writing() as unit:
        unit.execute(insert(tables.gifts).values(row))


@pytest.fixture(scope="session")
def live_through() -> Callable[[Any], dict[str, str]]:
    """Lets gifts live on a house; returns their ids by what became of them."""

    def live(house: Any) -> dict[str, str]:
        now, world = house.now, house.world
        world.item("badge", creator="cy", relations="creator", scenes="live_room", kind="card")
        world.item("figure", kind="edition", brand="toys", ip_owner="studio", stock=3)
        world.item("bear", kind="edition", brand="toys", ip_owner="studio", stock=3)
        world.item("gratis", price_fen=0, tier="goods", kind="card")
        world.item(
            "tea",
            price_fen=12_345,
            tier="goods",
            kind="tea",
            relations="company",
            scenes="bulk_order",
            brand="leaves",
        )
        _imported(house)
        fan = {"relation": Relation.CREATOR, "scene": Scene.LIVE_ROOM, "recipient": "cy"}
        firm = {"relation": Relation.COMPANY, "scene": Scene.BULK_ORDER, "sender": "firm"}
        made = {name: house.send(item, **told) for name, (item, told) in {
            "sent": ("cake", {}),
            "swapped": ("figure", {}),
            "accepted": ("figure", {}),
            "taxed": ("tea", firm),
            "refused order": ("tea", firm),
            "refunded order": ("tea", firm),
            "fan's": ("badge", fan),
            "free": ("gratis", {}),
            "declined": ("bear", {}),
            "refunded": ("bear", {}),
            "held": ("watch", {"sender": "bo", "recipient": "an"}),
            "with code": ("coffee", {}),
            "redeemed voucher": ("coffee", {}),
            "refunded voucher": ("coffee", {}),
        }.items()}  # fmt: skip
        house.swapping.swap(made["swapped"], "bo", "bear", None, now + HOUR)
        for name in ("taxed", "refused order", "refunded order"):
            approve = name != "refused order"
            house.reviewing.decide(made[name], approve, house.reviewer, None, now + HOUR)
        house.moving.accept(made["fan's"], "cy", None, None, now + HOUR)
        for name in ("accepted", "taxed", "refunded order", "refunded", "free", *_FIRST_CODE_OF):
            house.moving.accept(made[name], "bo", "1 Long Street", None, now + 2 * HOUR)
        codes = {n: house.moving.issue_voucher(made[n], "bo", now + 3) for n in _FIRST_CODE_OF}
        redeemed = "redeemed voucher"
        house.moving.redeem(made[redeemed], codes[redeemed], None, now + 3 * HOUR)
        for name in ("refunded", "refunded order", "refunded voucher"):
            house.moving.refund(made[name], None, now + 4 * HOUR)
        house.moving.decline(made["declined"], "bo", None, now + HOUR)
        # The same day, but long ago: these are over by now.
        before = {
            "expired": house.send("cake", sender="bo", recipient="an", at=now - DAY),
            "declined and over": house.send("tart", sender="bo", recipient="an", at=now - DAY),
        }
        house.moving.decline(before["declined and over"], "an", None, now - HOUR)
        house.moving.expire_due(now)
        return made | before

    return live


@pytest.fixture
def lived(house: Any, live_through: Callable[[Any], dict[str, str]]) -> dict[str, str]:
    """Gifts that lived on `house`, on each database in turn: ids by what became of them."""
    return live_through(house)


@pytest.fixture
def sqlite_copy(_sqlite_template: Path) -> Iterator[Callable[[Path], Database]]:
    """Makes further migrated, empty ledgers on SQLite."""
    made: list[Database] = []

    def copy(path: Path) -> Database:
        shutil.copy(_sqlite_template, path)
        made.append(Database(f"sqlite:///{path}"))
        return made[-1]

    yield copy
    for database in made:
        database.close()


@pytest.fixture
def another_postgresql_database(postgres_url: str) -> Iterator[Database]:
    """A further migrated, empty ledger on PostgreSQL."""
    database = Database(postgres_url)
    migrate(database)
    yield database
    database.close()
