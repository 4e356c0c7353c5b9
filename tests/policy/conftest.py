"""Facts, packs and engines for the policy tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.domain.verdicts import Effect, FactSet, FactValue, FiredRule
from engine.policy.catalogue import FactCatalogue, FactEntry, FactType
from engine.policy.compiling import compile_rules
from engine.policy.engine import PolicyEngine
from engine.policy.guarded import GuardedRules
from engine.policy.packs import Cite, Rule
from engine.policy.reading_conditions import read_condition

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def rules_folder() -> Path:
    return ROOT / "rules"


@pytest.fixture(scope="session")
def engine(rules_folder: Path) -> PolicyEngine:
    return PolicyEngine.from_folder(rules_folder)


@pytest.fixture(scope="session")
def plain_gift() -> dict[str, FactValue | None]:
    """A gift that nothing speaks against; nobody's age, tie or limits are known."""
    return {
        "gift.relation": "friend",
        "gift.scene": "chat",
        "gift.mechanics": "direct",
        "gift.tier": "basic",
        "gift.category": "tea",
        "gift.kind": "voucher",
        "gift.moderation": None,
        "gift.odds_disclosed": False,
        "gift.price_fen": 900,
        "gift.relation_allowed": True,
        "gift.scene_allowed": True,
        "gift.on_sale": True,
        "gift.in_stock": True,
        "gift.to_creator": False,
        "gift.to_self": False,
        "pair.two_way_friends": True,
        "pair.blocked": False,
        "pair.friends_days": 400,
        "pair.fen_vs_habit_ppm": None,
        "pair.back_fen_24h": 0,
        "pair.unanswered_30d": 0,
        "pair.tie_class": None,
        "pair.day_gifts_after": 1,
        "pair.day_fen_after": 900,
        "sender.day_gifts_after": 1,
        "sender.day_fen_after": 900,
        "sender.hour_gifts_after": 1,
        "sender.hour_fen_after": 900,
        "sender.month_fen_after": 900,
        "sender.account_days": None,
        "sender.region": None,
        "sender.guardian_consent": False,
        "sender.gift_fen_limit": None,
        "sender.day_gifts_limit": None,
        "sender.day_fen_limit": None,
        "sender.age_years": None,
        "recipient.age_years": None,
        "recipient.guardian_consent": False,
        "recipient.day_gifts_after": 1,
        "recipient.day_fen_after": 900,
        "time.festival_window": False,
    }


@pytest.fixture(scope="session")
def plain_offer() -> dict[str, FactValue | None]:
    """An offer that nothing speaks against."""
    return {
        "person.offers_consent": True,
        "person.age_years": 30,
        "offer.running": True,
        "offer.category": "tea",
        "person.held_out": False,
        "person.shown_7d": 0,
        "person.offer_redeemed": False,
    }


@pytest.fixture(scope="session")
def gift(engine: PolicyEngine, plain_gift: dict[str, FactValue | None]) -> Callable[..., FactSet]:
    def build(changes: dict[str, FactValue | None] | None = None) -> FactSet:
        return engine.catalogue("gift_send").fact_set({**plain_gift, **(changes or {})})

    return build


@pytest.fixture(scope="session")
def small() -> FactCatalogue:
    """A catalogue with two facts of every type."""
    return FactCatalogue(
        "small",
        [
            FactEntry("t.p", FactType.BOOL, "test", "a truth"),
            FactEntry("t.q", FactType.BOOL, "test", "a truth"),
            FactEntry("t.a", FactType.INT, "test", "a number"),
            FactEntry("t.b", FactType.INT, "test", "a number"),
            FactEntry("t.kind", FactType.TEXT, "test", "a colour", values=("red", "green", "blue")),
            FactEntry("t.s", FactType.TEXT, "test", "a text"),
            FactEntry("t.u", FactType.TEXT, "test", "a text"),
        ],
    )


@pytest.fixture(scope="session")
def rule() -> Callable[[str, str, FactCatalogue], Rule]:
    """Make a deny rule of a name and a condition."""

    def build(name: str, text: str, catalogue: FactCatalogue) -> Rule:
        return Rule(
            id=name,
            description=name,
            condition=read_condition(text, catalogue, {}, str),
            outcome=FiredRule(name, Effect.DENY, "NO"),
            cite=Cite("test", verified=False),
            examples=(),
            written_at="f.yaml:1:1",
        )

    return build


@pytest.fixture
def guard(
    rule: Callable[[str, str, FactCatalogue], Rule],
) -> Iterator[Callable[..., GuardedRules]]:
    """Guard rules with the given conditions, and free their engines at the end."""
    made: list[GuardedRules] = []

    def build(catalogue: FactCatalogue, *conditions: str) -> GuardedRules:
        rules = [rule(f"r{n}", text, catalogue) for n, text in enumerate(conditions)]
        made.append(GuardedRules(compile_rules("guarded", rules), catalogue))
        return made[-1]

    yield build
    for guarded in made:
        guarded.close()
