"""The terms of gifts under random packs: exact for any price, or nothing is taken in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from engine.domain.clock import parse_time
from engine.domain.errors import PolicyError
from engine.domain.gifts import Item, Mechanics, Relation, Tier
from engine.domain.money import Account, PayOn, capture
from engine.gift_terms import GiftTerms
from engine.policy.engine import PolicyEngine

AT = parse_time("2026-06-01T12:00:00+08:00")
PPM = st.integers(0, 1_000_000)
FITTING = st.lists(PPM, min_size=3, max_size=3).map(
    lambda cuts: (min(cuts), sorted(cuts)[1] - min(cuts), max(cuts) - sorted(cuts)[1])
)
"""Shares that are no more than the whole."""
FAST = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Every example compiles a pack: a failure is told as it was found.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
PRICES = st.integers(1, 2**53 - 1)
PARTIES = st.tuples(*[st.none() | st.just("somebody")] * 3)
"""Brand, creator and owner of a name, where there are."""
RULE = """  - id: {name}
    description: Sets {name}.
    when: gift.price_fen >= 0
    then: {{set: {{settle.{name}: {value}}}}}
    cite: {{source: ours, verified: false}}
    examples: [{{facts: {{gift.price_fen: 0}}, fires: true}}]
"""
HEAD = """pack: gift_settle
decides: gift_settle
version: 9
owner: tests
jurisdiction: CN
effective: {from: 2026-01-01T00:00:00+08:00}
rules:
"""


def _item(price_fen: int, brand: str | None, creator: str | None, ip_owner: str | None) -> Item:
    return Item(
        "thing",
        "Thing",
        price_fen,
        Tier.GOODS,
        "things",
        "Voucher",
        Mechanics.DIRECT,
        frozenset({"friend"}),
        frozenset({"chat"}),
        brand=brand,
        creator=creator,
        ip_owner=ip_owner,
    )


@pytest.fixture
def settling(small_rules: Path) -> Callable[..., object]:
    """Opens the terms of a pack that sets what it is told."""

    @contextmanager
    def opened(**outputs: object):
        rules = "".join(RULE.format(name=name, value=value) for name, value in outputs.items())
        (small_rules / "gift_settle.yaml").write_text(HEAD + rules, encoding="utf-8")
        engine = PolicyEngine.from_folder(small_rules)
        try:
            yield GiftTerms(engine)
        finally:
            engine.close()

    return opened


@settings(FAST, max_examples=20)
@given(
    shares=FITTING,
    tax=PPM,
    days=st.integers(0, 36_500),
    pay_on=st.sampled_from(PayOn),
    price=PRICES,
    parties=PARTIES,
)
def test_terms_of_any_pack_pay_out_exactly_the_price(
    settling, shares, tax, days, pay_on, price, parties
) -> None:
    platform, creator, ip_owner = shares
    with settling(
        platform_ppm=platform,
        creator_ppm=creator,
        ip_owner_ppm=ip_owner,
        tax_ppm=tax,
        voucher_days=days,
        pay_on=pay_on.value,
    ) as terms:
        settled, record = terms.settle(Relation.FRIEND, _item(price, *parties), AT)
    assert (settled.platform_ppm, settled.creator_ppm, settled.ip_owner_ppm) == shares
    assert (settled.tax_ppm, settled.voucher_days, settled.pay_on) == (tax, days, pay_on)
    assert (settled.brand, settled.creator, settled.ip_owner) == parties
    assert settled.is_voucher
    assert settled.decision_id == record.decision_id
    paid = capture("gift_1", price, settled)
    assert sum(p.fen for p in paid) == 0
    assert sum(p.fen for p in paid if p.account is not Account.ESCROW) == price


@settings(FAST, max_examples=10)
@given(
    fitting=FITTING, above=st.integers(1, 1_000_000), which=st.integers(0, 2), price=PRICES,
    parties=PARTIES,
)  # fmt: skip
def test_pack_that_gives_away_more_than_the_price_is_refused_before_anything_is_taken(
    settling, fitting, above, which, price, parties
) -> None:
    shares = list(fitting)
    shares[which] = min(1_000_000, shares[which] + 1_000_000 - sum(fitting) + above)
    assume(sum(shares) > 1_000_000)
    names = ("platform_ppm", "creator_ppm", "ip_owner_ppm")
    with (
        settling(pay_on="acceptance", **dict(zip(names, shares, strict=True))) as terms,
        pytest.raises(PolicyError, match="more than the whole"),
    ):
        terms.settle(Relation.FRIEND, _item(price, *parties), AT)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"platform_ppm": 250_000}, "sets no settle.pay_on"),
        ({"pay_on": "acceptance"}, "sets no settle.platform_ppm"),
    ],
)
def test_pack_that_leaves_open_what_must_be_set_is_refused(settling, outputs, said) -> None:
    with settling(**outputs) as terms, pytest.raises(PolicyError, match=said):
        terms.settle(Relation.FRIEND, _item(900, None, None, None), AT)


def test_pack_that_denies_a_settlement_is_refused(small_rules: Path, small_pack) -> None:
    text = small_pack(decides="gift_settle")
    (small_rules / "gift_settle.yaml").write_text(text, encoding="utf-8")
    engine = PolicyEngine.from_folder(small_rules)
    with pytest.raises(PolicyError, match="gift_settle"):
        GiftTerms(engine).settle(Relation.FRIEND, _item(900, "brand", None, None), AT)
    engine.close()
