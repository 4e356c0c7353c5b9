"""The packs in rules/: each founding rule at its threshold, and the examples beside the rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.domain.clock import parse_time
from engine.domain.verdicts import Effect, FactSet, FactValue
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.evaluating import holds
from engine.policy.packs import read_pack

AT = parse_time("2026-06-01T12:00:00+08:00")
PACKS = ("gift_send.yaml", "offer_show.yaml")

BULK = {"gift.relation": "company", "gift.scene": "bulk_order"}
WEAK = {"pair.tie_class": "acquaintance"}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ()),
        ({"pair.two_way_friends": False}, ("NOT_TWO_WAY_FRIENDS",)),
        (
            {
                "pair.two_way_friends": False,
                "gift.relation": "creator",
                "gift.to_creator": True,
            },
            (),
        ),
        ({"gift.relation": "creator"}, ("RELATION_NOT_ALLOWED",)),
        ({"gift.scene": "moments"}, ("SCENE_NOT_ALLOWED",)),
        ({"gift.scene": "broadcast", "time.festival_window": True}, ("SCENE_NOT_ALLOWED",)),
        (
            {"gift.scene": "live_room", "gift.relation": "creator", "gift.to_creator": True},
            (),
        ),
        ({"gift.scene_allowed": False}, ("SCENE_NOT_ALLOWED",)),
        ({"gift.relation_allowed": False}, ("RELATION_NOT_ALLOWED",)),
        ({"gift.mechanics": "lottery"}, ("LOTTERY_STYLE",)),
        ({"gift.mechanics": "group_draw"}, ("LOTTERY_STYLE",)),
        ({"gift.mechanics": "chain"}, ("LOTTERY_STYLE",)),
        ({"gift.on_sale": False}, ("ITEM_UNAVAILABLE",)),
        ({"gift.in_stock": False}, ("ITEM_UNAVAILABLE",)),
        ({"gift.to_self": True}, ("GIFT_TO_SELF",)),
        ({"pair.blocked": True}, ("RECIPIENT_UNAVAILABLE",)),
        ({"sender.day_gifts_after": 10}, ()),
        ({"sender.day_gifts_after": 11}, ("DAILY_CAP_REACHED",)),
        ({"sender.day_gifts_after": 11, **BULK}, ("DAILY_CAP_REACHED",)),
        ({"gift.relation": "company"}, ("SCENE_NOT_ALLOWED",)),
        (BULK, ()),
        ({"sender.day_gifts_after": 3, "sender.day_gifts_limit": 3}, ()),
        ({"sender.day_gifts_after": 4, "sender.day_gifts_limit": 3}, ("OWN_LIMIT_REACHED",)),
        ({"sender.day_fen_after": 5_001, "sender.day_fen_limit": 5_000}, ("OWN_LIMIT_REACHED",)),
        ({"sender.day_gifts_limit": 0}, ("OWN_LIMIT_REACHED",)),
        ({"gift.price_fen": 1_000_000, "pair.tie_class": "close"}, ()),
        ({"gift.price_fen": 1_000_001, "pair.tie_class": "close"}, ("PRICE_TOO_HIGH",)),
        ({"sender.age_years": 18}, ()),
        ({"sender.age_years": 17}, ("NOT_AVAILABLE_FOR_ACCOUNT",)),
        ({"sender.age_years": None}, ()),
        ({"gift.price_fen": 99_999, **WEAK}, ()),
        ({"gift.price_fen": 100_000, **WEAK}, ("HELD_FOR_REVIEW",)),
        ({"gift.price_fen": 100_000, "pair.tie_class": None}, ("HELD_FOR_REVIEW",)),
        ({"gift.price_fen": 100_000, "pair.tie_class": "friend"}, ()),
        ({"gift.price_fen": 100_000, **BULK, **WEAK}, ()),
    ],
)
def test_gift_send_founding_rule_holds_at_its_threshold(
    engine: PolicyEngine,
    gift: Callable[..., FactSet],
    changes: dict[str, FactValue | None],
    reasons: tuple[str, ...],
) -> None:
    (verdict,) = engine.decide_many("gift_send", [gift(changes)], AT)
    assert verdict.reasons == reasons
    assert verdict.allowed is (reasons == ())
    if reasons == ("HELD_FOR_REVIEW",):
        assert verdict.effect is Effect.REVIEW


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, ()),
        ({"person.offers_consent": False}, ("NO_CONSENT",)),
        ({"person.age_years": 13}, ("NOT_ELIGIBLE",)),
        ({"person.age_years": 14}, ()),
        ({"person.age_years": None}, ()),
        ({"person.age_years": None, "offer.category": "alcohol"}, ("NOT_ELIGIBLE",)),
        ({"person.age_years": 17, "offer.category": "finance"}, ("NOT_ELIGIBLE",)),
        ({"person.age_years": 18, "offer.category": "finance"}, ()),
        ({"offer.running": False}, ("OFFER_NOT_RUNNING",)),
        ({"person.held_out": True}, ("HELD_OUT",)),
        ({"person.shown_7d": 6}, ()),
        ({"person.shown_7d": 7}, ("FREQUENCY_CAP",)),
        ({"person.offer_redeemed": True}, ("ALREADY_REDEEMED",)),
    ],
)
def test_offer_show_rule_holds_at_its_threshold(
    engine: PolicyEngine,
    plain_offer: dict[str, FactValue | None],
    changes: dict[str, FactValue | None],
    reasons: tuple[str, ...],
) -> None:
    facts = engine.catalogue("offer_show").fact_set({**plain_offer, **changes})
    (verdict,) = engine.decide_many("offer_show", [facts], AT)
    assert verdict.reasons == reasons


@pytest.mark.parametrize("name", PACKS)
def test_examples_beside_the_rules_are_true(rules_folder: Path, name: str) -> None:
    pack = read_pack((rules_folder / name).read_text(encoding="utf-8"), name, CATALOGUES)
    examples = [(rule, example) for rule in pack.rules for example in rule.examples]
    assert len(examples) >= 8
    for rule, example in examples:
        assert holds(rule.condition, example.facts) is example.fires, (rule.id, example)


@pytest.mark.parametrize("name", PACKS)
def test_no_rule_claims_to_be_checked_by_counsel(rules_folder: Path, name: str) -> None:
    pack = read_pack((rules_folder / name).read_text(encoding="utf-8"), name, CATALOGUES)
    sources = (rules_folder.parent / "docs" / "policy_sources.md").read_text(encoding="utf-8")
    for rule in pack.rules:
        assert rule.cite is not None
        assert not rule.cite.verified
        assert f"`{rule.id}`" in sources, f"docs/policy_sources.md does not tell of {rule.id}"
