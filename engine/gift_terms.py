"""Who gets what of a gift: decided by `gift_settle` when it is sent, and frozen with it."""

from __future__ import annotations

import time

from engine.domain.errors import PolicyError
from engine.domain.gifts import Item, Relation
from engine.domain.ids import new_id
from engine.domain.money import PayOn, Terms, capture
from engine.domain.situations import plain
from engine.domain.verdicts import DecisionRecord, Effect
from engine.policy.engine import PolicyEngine

DECISION = "gift_settle"

VOUCHER = "voucher"
"""The kind of item for which a code is issued."""

_ALWAYS = ("settle.platform_ppm", "settle.pay_on")


class GiftTerms:
    """Decides on the shares of gifts."""

    def __init__(self, policy: PolicyEngine) -> None:
        self._policy = policy
        self._catalogue = policy.catalogue(DECISION)

    def settle(self, relation: Relation, item: Item, at: int) -> tuple[Terms, DecisionRecord]:
        """Return the terms of a gift of `item` sent at `at` (microseconds), and their decision.

        Raises
        ------
        PolicyError
            If the rules deny, hold back, leave open what must be set, or give away more than the
            price.
        """
        begun = time.perf_counter_ns()
        kind = plain(item.kind)
        facts = self._catalogue.fact_set(
            {
                "gift.relation": relation.value,
                "gift.tier": item.tier.value,
                "gift.kind": kind,
                "gift.price_fen": item.price_fen,
                "gift.has_brand": item.brand is not None,
                "gift.has_creator": item.creator is not None,
                "gift.has_ip_owner": item.ip_owner is not None,
            }
        )
        [verdict] = self._policy.decide_many(DECISION, [facts], at)
        outputs = verdict.outputs
        unset = [name for name in _ALWAYS if name not in outputs]
        if verdict.effect is not Effect.ALLOW or unset:
            why = f"sets no {unset[0]}" if unset else f"says {verdict.effect}"
            raise PolicyError(f"{DECISION} {why} for {item.item!r}", "mend the pack")
        record = DecisionRecord(
            decision_id=new_id("dec", at),
            purpose="settle",
            occurred_at=at,
            verdict=verdict,
            facts=facts,
            latency_us=(time.perf_counter_ns() - begun) // 1_000,
        )
        terms = Terms(
            platform_ppm=int(outputs["settle.platform_ppm"]),
            creator_ppm=int(outputs.get("settle.creator_ppm", 0)),
            ip_owner_ppm=int(outputs.get("settle.ip_owner_ppm", 0)),
            tax_ppm=int(outputs.get("settle.tax_ppm", 0)),
            pay_on=PayOn(str(outputs["settle.pay_on"])),
            voucher_days=int(outputs.get("settle.voucher_days", 0)),
            is_voucher=kind == VOUCHER,
            creator=item.creator,
            brand=item.brand,
            ip_owner=item.ip_owner,
            decision_id=record.decision_id,
        )
        capture("", item.price_fen, terms)  # what cannot be paid out must not be taken in
        return terms, record
