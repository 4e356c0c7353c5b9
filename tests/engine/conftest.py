"""A small world on a ledger: items, friends and whatever a test adds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from sqlalchemy import insert

from engine.domain.clock import DAY, SECOND
from engine.domain.events import BlockChanged, FriendshipChanged, LiveEvent
from engine.ledger import intake, tables
from engine.ledger.database import Database

NOON = 20_500 * DAY + 4 * 3_600 * SECOND
"""Noon in Shanghai on some day."""

ITEM = {
    "name": "Coffee voucher",
    "price_fen": 900,
    "tier": "basic",
    "category": "drinks",
    "kind": "voucher",
    "mechanics": "direct",
    "relations": "friend",
    "scenes": "chat",
    "recorded_at": 0,
}


@dataclass(frozen=True)
class World:
    """Writes what a test needs through the ledger's own doors where there is one."""

    database: Database
    now: int = NOON

    def item(self, item: str, **changed: object) -> None:
        with self.database.writing() as unit:
            unit.execute(insert(tables.items).values({**ITEM, "item": item, **changed}))

    def tell(self, *events: LiveEvent, at: int | None = None) -> intake.Intake:
        with self.database.writing() as unit:
            return intake.receive(unit, events, at or self.now)

    def befriend(self, one: str, other: str, both: bool = True) -> None:
        pairs = [(one, other), (other, one)] if both else [(one, other)]
        self.tell(*[FriendshipChanged(f"{a}+{b}", self.now - DAY, a, b, True) for a, b in pairs])

    def block(self, one: str, other: str) -> None:
        self.tell(BlockChanged(f"{one}x{other}", self.now - DAY, one, other, True))


@pytest.fixture
def world(database: Database) -> World:
    """A world on each database in turn, with one lawful item and two friends."""
    made = World(database)
    made.item("coffee")
    made.befriend("an", "bo")
    return made
