"""Public reasons: both languages, and nothing given away."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.clock import parse_time
from engine.domain.errors import PackInvalid, UnknownReference
from engine.domain.verdicts import FactValue, PublicReason
from engine.policy.engine import PolicyEngine
from engine.policy.reasons import read_reasons

AT = parse_time("2026-06-01T12:00:00+08:00")

FOUNDING = [
    "NOT_TWO_WAY_FRIENDS",
    "DAILY_CAP_REACHED",
    "OWN_LIMIT_REACHED",
    "LOTTERY_STYLE",
    "SCENE_NOT_ALLOWED",
    "RELATION_NOT_ALLOWED",
    "ITEM_UNAVAILABLE",
    "GIFT_TO_SELF",
    "PRICE_TOO_HIGH",
    "HELD_FOR_REVIEW",
    "NOT_POSSIBLE_NOW",
    "RECIPIENT_UNAVAILABLE",
    "NOT_AVAILABLE_FOR_ACCOUNT",
    "NO_CONSENT",
    "NOT_ELIGIBLE",
    "HELD_OUT",
    "OFFER_NOT_RUNNING",
    "FREQUENCY_CAP",
    "ALREADY_REDEEMED",
    "POPULAR",
    "LIKES_SIMILAR",
    "FRIENDS_LIKE",
    "FITS_OCCASION",
    "FITS_BUDGET",
    "LIKES_CATEGORY",
    "KNOWS_BRAND",
    "FRIENDS_REDEEMED",
    "RESPONDED_BEFORE",
    "GENERAL_INTEREST",
    "MODEL_UNAVAILABLE",
]


def test_reason_catalogue_keeps_its_founding_codes_in_order(rules_folder: Path) -> None:
    text = (rules_folder / "reasons.yaml").read_text(encoding="utf-8")
    assert list(read_reasons(text, "reasons.yaml").codes[: len(FOUNDING)]) == FOUNDING


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "You have sent as many gifts as one day allows."),
        ("zh", "您今天的送礼次数已达上限。"),
        ("zh-CN", "您今天的送礼次数已达上限。"),
        ("zh_Hans", "您今天的送礼次数已达上限。"),
        ("fr", "You have sent as many gifts as one day allows."),
    ],
)
def test_public_reasons_language_is_chosen(engine: PolicyEngine, language: str, text: str) -> None:
    (reason,) = engine.public_reasons(["DAILY_CAP_REACHED"], language)
    assert (reason.code, reason.text) == ("DAILY_CAP_REACHED", text)
    assert reason.next_step


def test_public_reasons_discreet_ones_share_one_code_and_hide_beside_others(
    engine: PolicyEngine,
) -> None:
    def codes(*given: str) -> list[str]:
        return [reason.code for reason in engine.public_reasons(given, "en")]

    assert codes("RECIPIENT_UNAVAILABLE") == ["NOT_POSSIBLE_NOW"]
    assert codes("NOT_AVAILABLE_FOR_ACCOUNT") == ["NOT_POSSIBLE_NOW"]
    assert codes("RECIPIENT_UNAVAILABLE", "NOT_AVAILABLE_FOR_ACCOUNT") == ["NOT_POSSIBLE_NOW"]
    assert codes("NOT_TWO_WAY_FRIENDS", "RECIPIENT_UNAVAILABLE") == ["NOT_TWO_WAY_FRIENDS"]
    assert codes("HELD_OUT") == codes("NOT_ELIGIBLE") == ["NOT_ELIGIBLE"]
    assert codes("HELD_OUT", "NO_CONSENT") == ["NO_CONSENT"]
    assert codes() == []


def test_public_reasons_unknown_code_is_refused(engine: PolicyEngine) -> None:
    with pytest.raises(UnknownReference, match="BECAUSE"):
        engine.public_reasons(["BECAUSE"], "en")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_discreet_wording_names_no_cause(engine: PolicyEngine, language: str) -> None:
    for code in ("RECIPIENT_UNAVAILABLE", "NOT_AVAILABLE_FOR_ACCOUNT", "NOT_ELIGIBLE", "HELD_OUT"):
        (reason,) = engine.public_reasons([code], language)
        said = (reason.code + reason.text + reason.next_step).lower()
        for word in (
            "block",
            "age",
            "minor",
            "young",
            "recipient",
            "held",
            "拉黑",
            "年龄",
            "未成年",
        ):
            assert word not in said


WORDS = "en: {text: a, next_step: b}, zh: {text: a, next_step: b}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "reasons:\n  - code: A\n    en: {text: a, next_step: b}\n",
            r"yaml:2:5: .*zh.*required",
        ),
        (f"reasons:\n  - {{code: A, {WORDS}}}\n  - {{code: A, {WORDS}}}\n", "yaml:3:12: A stands"),
        (f"reasons:\n  - {{code: A, shown_as: B, {WORDS}}}\n", "yaml:2:25: A is shown as B"),
    ],
)
def test_read_reasons_fault_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(PackInvalid, match=message):
        read_reasons(text, "r.yaml")


worlds = st.fixed_dictionaries(
    {},
    optional={
        "pair.two_way_friends": st.booleans(),
        "gift.scene": st.sampled_from(["chat", "moments"]),
        "gift.relation": st.sampled_from(["friend", "creator"]),
        "gift.mechanics": st.sampled_from(["direct", "lottery"]),
        "gift.price_fen": st.sampled_from([900, 150_000, 2_000_000]),
        "gift.in_stock": st.booleans(),
        "pair.tie_class": st.sampled_from([None, "close", "dormant"]),
        "sender.day_gifts_after": st.sampled_from([1, 10, 11]),
        "sender.day_fen_limit": st.sampled_from([None, 500]),
    },
)
secrets = st.fixed_dictionaries(
    {
        "pair.blocked": st.booleans(),
        "sender.age_years": st.sampled_from([None, 12, 17, 18, 40]),
        "recipient.age_years": st.sampled_from([None, 7, 40]),
    }
)


def public(
    engine: PolicyEngine, decision: str, facts: dict[str, FactValue | None]
) -> tuple[str, list[PublicReason]]:
    given = engine.catalogue(decision).fact_set(facts)
    (verdict,) = engine.decide_many(decision, [given], AT)
    return verdict.effect, engine.public_reasons(verdict.reasons, "en")


@settings(max_examples=300, deadline=None)
@given(world=worlds, one=secrets, other=secrets)
def test_worlds_that_differ_in_a_block_or_an_age_look_the_same_wherever_the_verdict_is(
    engine: PolicyEngine,
    plain_gift: dict[str, FactValue | None],
    world: dict[str, FactValue | None],
    one: dict[str, FactValue | None],
    other: dict[str, FactValue | None],
) -> None:
    effect, reasons = public(engine, "gift_send", {**plain_gift, **world, **one})
    other_effect, other_reasons = public(engine, "gift_send", {**plain_gift, **world, **other})
    if effect == other_effect:
        assert reasons == other_reasons


@settings(max_examples=200, deadline=None)
@given(
    world=st.fixed_dictionaries(
        {},
        optional={
            "person.offers_consent": st.booleans(),
            "offer.running": st.booleans(),
            "offer.category": st.sampled_from(["tea", "alcohol"]),
            "person.shown_7d": st.sampled_from([0, 7]),
        },
    ),
    ages=st.tuples(*[st.sampled_from([None, 8, 13, 14, 17, 18])] * 2),
    chances=st.tuples(st.booleans(), st.booleans()),
)
def test_offers_give_away_neither_age_nor_hold_out(
    engine: PolicyEngine,
    plain_offer: dict[str, FactValue | None],
    world: dict[str, FactValue | None],
    ages: tuple[int | None, int | None],
    chances: tuple[bool, bool],
) -> None:
    (effect, reasons), (other_effect, other_reasons) = (
        public(
            engine,
            "offer_show",
            {**plain_offer, **world, "person.age_years": age, "person.held_out": held_out},
        )
        for age, held_out in zip(ages, chances, strict=True)
    )
    if effect == other_effect:
        assert reasons == other_reasons
