"""A small world on a ledger: items, friends and whatever a test adds, and the jobs on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from sqlalchemy import insert, select

from engine.domain.clock import DAY, SECOND
from engine.domain.events import BlockChanged, FriendshipChanged, LiveEvent
from engine.domain.gifts import Gift, GiftRequest
from engine.domain.pair_state import DEFAULT_LAYOUT, from_bytes
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import Gifting
from engine.ledger import intake, postings, tables, ties
from engine.ledger.database import Database
from engine.ledger.idempotency import RequestKey
from engine.ledger.keys import ApiKey, Scope
from engine.moving import Moving
from engine.policy.engine import PolicyEngine
from engine.reviewing import Reviewing
from engine.swapping import Swapping

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


RULES = Path(__file__).parents[2] / "rules"
KEPT = (
    tables.gifts,
    tables.counters,
    tables.items,
    tables.postings,
    tables.outbox,
    tables.vouchers,
    tables.reviews,
    tables.ties,
)
"""What a move may write, beside the decisions and the answers to retries."""


class NoModels:
    """A service before its first training."""

    ties = gifts = offers = None


@pytest.fixture(scope="session")
def shipped_policy() -> Iterator[PolicyEngine]:
    """The rules engine with the shipped packs."""
    engine = PolicyEngine.from_folder(RULES)
    yield engine
    engine.close()


class House:
    """The gifting jobs on one world, with the shipped rules and before any model is trained."""

    def __init__(self, world: World, policy: PolicyEngine) -> None:
        gift_policy, terms = GiftPolicy(policy, NoModels()), GiftTerms(policy)
        self.world, self.database, self.now = world, world.database, world.now
        self.policy = policy
        self.gifting = Gifting(world.database, gift_policy, terms)
        self.moving = Moving(world.database)
        self.swapping = Swapping(world.database, gift_policy, terms)
        self.reviewing = Reviewing(world.database, gift_policy)
        self.reviewer = ApiKey("k1", "ann", frozenset({Scope.GIFTS_REVIEW}), 0, None, None)
        self._keys = count()

    def under(self, policy: PolicyEngine) -> House:
        """The same world under other rules."""
        return House(self.world, policy)

    def send(
        self,
        item: str = "coffee",
        sender: str = "an",
        recipient: str = "bo",
        at: int | None = None,
        **told: Any,
    ) -> str:
        """Send a gift that the rules let pass or hold, and return its id."""
        request, key = GiftRequest(sender, recipient, item, **told), f"send{next(self._keys)}"
        retry = RequestKey("sender", key, "")
        answer = self.gifting.send(request, "none", f"pay-{key}", retry, at or self.now)
        assert answer.gift is not None, answer.reasons
        return answer.gift

    def find(self, gift: str) -> Gift:
        found = self.gifting.find(gift)
        assert found is not None
        return found

    def events(self, gift: str) -> list[dict[str, Any]]:
        """What callers were told of a gift, in its order."""
        with self.database.reading() as unit:
            bodies = unit.execute(
                select(tables.outbox.c.body)
                .where(tables.outbox.c.gift == gift)
                .order_by(tables.outbox.c.number)
            ).scalars()
            return [orjson.loads(body) for body in bodies]

    def kinds(self, gift: str) -> list[str]:
        return [event["kind"].removeprefix("gift.") for event in self.events(gift)]

    def balances(self, gift: str) -> dict[tuple[str, str], int]:
        """Where a gift's money is: fen by account and holder, what is even left out."""
        with self.database.reading() as unit:
            entries = postings.of_gift(unit, gift)
        assert all(sum(p.fen for p in entry.postings) == 0 for entry in entries)
        found: Counter[tuple[str, str]] = Counter()
        for posting in (posting for entry in entries for posting in entry.postings):
            found[posting.account.value, posting.holder] += posting.fen
        return {holder: fen for holder, fen in found.items() if fen}

    def counted(self, scope: str) -> list[tuple[int, int]]:
        """The gifts and fen of the days of a scope."""
        days = tables.counters.c
        with self.database.reading() as unit:
            asked = select(days.gifts, days.fen).where(days.scope == scope, days.day > 0)
            return [tuple(row) for row in unit.execute(asked.order_by(days.day))]

    def stock(self, item: str) -> tuple[int | None, int]:
        """What is left of an item, and what gifts hold of it."""
        shelf = tables.items.c
        with self.database.reading() as unit:
            asked = select(shelf.stock, shelf.stock_taken).where(shelf.item == item)
            return tuple(unit.execute(asked).one())

    def decided(self, purpose: str) -> list[str]:
        """The effects of the decisions of a purpose."""
        with self.database.reading() as unit:
            asked = select(tables.decisions.c.effect).where(tables.decisions.c.purpose == purpose)
            return list(unit.execute(asked).scalars())

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that a move may write."""
        with self.database.reading() as unit:
            return {
                table.name: sorted(tuple(row) for row in unit.execute(select(table)).all())
                for table in KEPT
            }

    def tie_states(self) -> dict[tuple[str, str], Any]:
        """The states of pairs between whom something happened."""
        with self.database.reading() as unit:
            rows = unit.execute(select(tables.ties)).all()
        states = {(r.sender, r.recipient): from_bytes(DEFAULT_LAYOUT, r.state) for r in rows}
        return {pair: state for pair, state in states.items() if state.any()}

    def assert_ties_equal_a_rebuild(self) -> None:
        live = self.tie_states()
        with self.database.writing() as unit:
            ties.rebuild_ties(unit)
        rebuilt = self.tie_states()
        assert live.keys() == rebuilt.keys()
        for pair, state in live.items():
            np.testing.assert_allclose(state, rebuilt[pair], rtol=1e-9, atol=1e-9)


@pytest.fixture
def house(world: World, shipped_policy: PolicyEngine) -> House:
    """The jobs on each database in turn, with goods beside the coffee voucher."""
    world.item("cake", kind="cake", brand="bakery")
    world.item("tart", kind="cake", brand="patisserie")
    world.item("watch", kind="watch", price_fen=200_000, tier="goods")
    return House(world, shipped_policy)
