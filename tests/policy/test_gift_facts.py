"""The catalogues name exactly what is supplied, and who computes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from importlib import import_module
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.clock import DAY
from engine.domain.gifts import GiftRequest, Item, Mechanics, Relation, Scene, Tier
from engine.domain.ports import TieClass
from engine.domain.situations import (
    ITEM_FACTS,
    DayCount,
    GiftSituation,
    PersonFacts,
    RecentGifts,
    gift_facts,
    one_more,
    plain,
)
from engine.domain.verdicts import LONGEST_TEXT
from engine.policy.decisions import CATALOGUES
from engine.policy.gift_facts import GIFT_SEND

NOW = 20_500 * DAY
COFFEE = Item(
    "coffee",
    "Coffee",
    900,
    Tier.BASIC,
    "drinks",
    "voucher",
    Mechanics.DIRECT,
    frozenset({"friend"}),
    frozenset({"chat"}),
)
BOX = Item(
    "box",
    "A box",
    9_900,
    Tier.GOODS,
    "toys",
    "figure",
    Mechanics.BLIND_BOX,
    frozenset({"creator"}),
    frozenset({"live_room"}),
    creator="bo",
    stock=0,
    sale_until=1,
    odds_disclosed=True,
)
REQUEST = GiftRequest("an", "bo", "coffee", Relation.FRIEND, Scene.CHAT)
SITUATION = GiftSituation(
    item=COFFEE,
    sender=PersonFacts(),
    recipient=PersonFacts(),
    two_way_friends=True,
    blocked=False,
    sender_day=DayCount(1, 100),
    pair_day=DayCount(1, 100),
    recipient_day=DayCount(1, 100),
    recent=RecentGifts(pair_year=DayCount(2, 1_000)),
)


def test_gift_facts_are_exactly_those_of_the_catalogue() -> None:
    known = gift_facts(REQUEST, SITUATION, TieClass.CLOSE, NOW)
    assert set(known) == {entry.name for entry in GIFT_SEND.supplied}


def test_words_of_the_catalogue_are_compared_in_lower_case() -> None:
    item = replace(COFFEE, category=" Jewellery", kind="Photo ")
    known = gift_facts(REQUEST, replace(SITUATION, item=item), None, NOW)
    assert (known["gift.category"], known["gift.kind"]) == ("jewellery", "photo")


def test_gift_facts_with_nothing_known_fit_the_catalogue() -> None:
    bare = replace(SITUATION, recent=RecentGifts())
    facts = GIFT_SEND.fact_set(gift_facts(REQUEST, bare, None, NOW))
    assert GIFT_SEND.row(facts)
    unknown = {name for name, value in facts.values.items() if value is False and "_known" in name}
    assert "pair.fen_vs_habit_ppm_known" in unknown
    assert facts.values["gift.moderation"] == "pending"


_fen = st.integers(0, 2**40)
_counts = st.builds(DayCount, st.integers(0, 1_000), _fen)
_instants = st.integers(0, 2 * NOW)
_people = st.builds(
    PersonFacts,
    birth_date=st.none() | st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    zone=st.sampled_from(["Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Niue"]),
    day_gifts_limit=st.none() | st.integers(0, 2**53),
    day_fen_limit=st.none() | _fen,
    gift_fen_limit=st.none() | _fen,
    joined_at=st.none() | _instants,
)
_situations = st.builds(
    GiftSituation,
    item=st.builds(replace, st.just(COFFEE), price_fen=_fen),
    sender=_people,
    recipient=_people,
    two_way_friends=st.booleans(),
    blocked=st.booleans(),
    sender_day=_counts,
    pair_day=_counts,
    recipient_day=_counts,
    recent=st.builds(
        RecentGifts,
        sender_hour=_counts,
        sender_month_fen=_fen,
        pair_year=_counts,
        back_fen_24h=_fen,
        unanswered_30d=st.integers(0, 1_000),
        friends_since=st.none() | _instants,
    ),
)


@given(_situations)
def test_gift_facts_of_any_situation_lie_within_the_catalogues_bounds(situation) -> None:
    assert GIFT_SEND.row(GIFT_SEND.fact_set(gift_facts(REQUEST, situation, None, NOW)))


def test_item_facts_and_amounts_are_exactly_what_another_item_changes() -> None:
    one = gift_facts(REQUEST, SITUATION, None, NOW)
    other = gift_facts(REQUEST, replace(SITUATION, item=BOX), None, NOW)
    amounts = {name for name in one if name.endswith("_fen_after")}
    assert {name for name, value in one.items() if other[name] != value} == ITEM_FACTS | amounts


@pytest.mark.parametrize(
    ("decision", "name", "function"),
    [
        (catalogue.decision, entry.name, entry.derived_by)
        for catalogue in CATALOGUES.values()
        for entry in catalogue.supplied
        if entry.derived_by
    ],
)
def test_derived_fact_names_a_function_that_imports(decision, name, function) -> None:
    module, _, attribute = function.rpartition(".")
    found = getattr(import_module(module), attribute)
    assert callable(found)
    assert found.__doc__
    assert "return" in get_type_hints(found)


def test_facts_of_amounts_beyond_all_bounds_stop_at_the_greatest_number() -> None:
    greatest = 2**53
    assert one_more(DayCount(3, greatest), greatest) == DayCount(4, greatest)


@pytest.mark.parametrize("word", ["ß" * 256, " Voucher " + "x" * 300])
def test_plain_word_is_never_longer_than_a_fact_may_be(word: str) -> None:
    assert len(plain(word)) <= LONGEST_TEXT
