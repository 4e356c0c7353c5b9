"""The shares of a gift's price, over every combination of what the rules can tell apart."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from engine.domain.clock import parse_time
from engine.domain.gifts import Relation, Tier
from engine.domain.verdicts import Effect, FactValue, Verdict
from engine.policy.conditions import facts_read
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.packs import read_pack

AT = parse_time("2026-06-01T12:00:00+08:00")
KINDS = ("voucher", "coupon", "co_branded", "edition", "cake", "photo", "", "Voucher")
EDITIONS = ("co_branded", "edition")
SHARES = ("settle.platform_ppm", "settle.creator_ppm", "settle.ip_owner_ppm")

Facts = dict[str, FactValue | None]


def every_gift() -> list[Facts]:
    return [
        {
            "gift.relation": relation,
            "gift.tier": tier,
            "gift.kind": kind,
            "gift.price_fen": price,
            "gift.has_brand": brand,
            "gift.has_creator": creator,
            "gift.has_ip_owner": ip_owner,
        }
        for relation, tier, kind, price, brand, creator, ip_owner in product(
            Relation, Tier, KINDS, (0, 900, 1_000_000), *[(False, True)] * 3
        )
    ]


@pytest.fixture(scope="module")
def settled(engine: PolicyEngine) -> list[tuple[Facts, Verdict]]:
    """Every gift with the verdict on it."""
    gifts = every_gift()
    facts = [engine.catalogue("gift_settle").fact_set(gift) for gift in gifts]
    return list(zip(gifts, engine.decide_many("gift_settle", facts, AT), strict=True))


def test_rules_tell_gifts_apart_by_what_is_combined_here(rules_folder: Path) -> None:
    text = (rules_folder / "gift_settle.yaml").read_text(encoding="utf-8")
    pack = read_pack(text, "gift_settle.yaml", CATALOGUES)
    read = {fact for rule in pack.rules for fact in facts_read(rule.condition)}
    named = {kind for value in pack.params.values() for kind in value}
    assert read == {
        "gift.kind",
        "gift.relation",
        "gift.has_brand",
        "gift.has_creator",
        "gift.has_ip_owner",
    }
    assert named < set(KINDS)


def test_every_gift_is_settled_and_none_is_refused(settled) -> None:
    for gift, verdict in settled:
        assert verdict.effect is Effect.ALLOW
        assert {"settle.platform_ppm", "settle.pay_on"} <= verdict.outputs.keys(), gift


def test_every_output_is_set_by_one_rule_of_the_highest_priority(settled) -> None:
    for gift, verdict in settled:
        for name in verdict.outputs:
            ranks = [rule.priority for rule in verdict.fired if name in dict(rule.sets)]
            assert ranks.count(max(ranks)) == 1, (gift, name)


def test_shares_never_pass_the_price_and_leave_the_supplier_some(settled) -> None:
    for gift, verdict in settled:
        shares = [verdict.outputs.get(name, 0) for name in SHARES]
        assert min(shares) >= 0
        assert sum(shares) < 1_000_000, gift


def test_platform_keeps_a_fifth_to_three_tenths_and_less_than_half(settled) -> None:
    kept = {verdict.outputs["settle.platform_ppm"] for _, verdict in settled}
    assert kept == {200_000, 250_000, 300_000}


def test_creator_gets_more_than_half_of_a_creators_gift_and_of_no_other(settled) -> None:
    for gift, verdict in settled:
        share = verdict.outputs.get("settle.creator_ppm", 0)
        assert (share > 500_000) is gift["gift.has_creator"], gift
        assert gift["gift.has_creator"] or share == 0


def test_ip_owner_shares_in_co_branded_editions_that_have_one_only(settled) -> None:
    for gift, verdict in settled:
        shared = verdict.outputs.get("settle.ip_owner_ppm", 0)
        shares = gift["gift.kind"] in EDITIONS and gift["gift.has_ip_owner"]
        assert shared == (100_000 if shares else 0), gift


def test_company_withholds_a_fifth_except_on_discount_coupons_and_nobody_else_does(
    settled,
) -> None:
    for gift, verdict in settled:
        taxed = gift["gift.relation"] == "company" and gift["gift.kind"] != "coupon"
        assert verdict.outputs.get("settle.tax_ppm", 0) == (200_000 if taxed else 0), gift


def test_vouchers_of_named_accounts_have_no_end(settled) -> None:
    assert all("settle.voucher_days" not in verdict.outputs for _, verdict in settled)


def test_vouchers_are_paid_on_redemption_and_everything_else_on_acceptance(settled) -> None:
    for gift, verdict in settled:
        expected = "redemption" if gift["gift.kind"] == "voucher" else "acceptance"
        assert verdict.outputs["settle.pay_on"] == expected


def test_settling_depends_on_no_price_or_tier_and_shares_on_no_relation(settled) -> None:
    seen: dict[tuple[object, ...], dict[str, FactValue]] = {}
    for gift, verdict in settled:
        told = (gift[f"gift.{n}"] for n in ("kind", "has_brand", "has_creator", "has_ip_owner"))
        shares = {n: v for n, v in verdict.outputs.items() if n != "settle.tax_ppm"}
        assert seen.setdefault(tuple(told), shares) == shares
