"""Whatever a ranker returns, only lawful and affordable ideas leave, each with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from engine.domain.clock import local_date
from engine.domain.events import ConsentChanged, ItemTouched, LimitChanged, PersonChanged
from engine.domain.gifts import Scene
from engine.domain.people import Purpose
from engine.domain.ports import GiftCandidate, ModelRef, RankedGift
from engine.gift_policy import GiftPolicy
from engine.ledger import tables
from engine.policy.engine import PolicyEngine
from engine.recommending import Recommending, Wish

RULES = Path(__file__).parents[2] / "rules"
WISH = Wish("an", "bo", "birthday", 5_000, Scene.CHAT)


class Ranker:
    """Returns what it is told to, lawful or not, and keeps what it was shown."""

    ref = ModelRef("gifts", "4")

    def __init__(self, retrieved: list[str], ranked: list[str] | None = None) -> None:
        self._retrieved, self._ranked = retrieved, ranked
        self.contexts = []

    def candidates(self, context, limit):
        self.contexts.append(context)
        return [GiftCandidate(item, "popular", 1.0) for item in self._retrieved[:limit]]

    def rank(self, context, candidates, items):
        assert [c.item for c in candidates] == [i.item for i in items]
        ranked = [c.item for c in candidates] if self._ranked is None else self._ranked
        return [RankedGift(item, 1.0, "LIKES_SIMILAR") for item in ranked]


class Shelf:
    ties = offers = None

    def __init__(self, gifts) -> None:
        self.gifts = gifts


@pytest.fixture(scope="module")
def policy():
    engine = PolicyEngine.from_folder(RULES)
    yield engine
    engine.close()


def _suggest(world, policy, ranker, wish: Wish = WISH, how_many: int = 5):
    shelf = Shelf(ranker)
    job = Recommending(world.database, GiftPolicy(policy, shelf), shelf)
    return job.suggest(wish, how_many, world.now)


def _items(found) -> list[str]:
    return [idea.item.item for idea in found.ideas]


def test_unlawful_unaffordable_and_unknown_items_never_leave(world, policy) -> None:
    world.item("draw", mechanics="lottery")
    world.item("gold", price_fen=5_001, tier="goods")
    world.item("gone", stock=0)
    ranker = Ranker(["draw", "gold", "gone", "nothing-such", "coffee"])
    assert _items(_suggest(world, policy, ranker)) == ["coffee"]


def test_what_a_ranker_adds_or_repeats_is_left_out(world, policy) -> None:
    world.item("draw", mechanics="lottery")
    world.item("tea")
    ranker = Ranker(["coffee", "tea"], ranked=["draw", "tea", "tea", "invented", "coffee"])
    assert _items(_suggest(world, policy, ranker)) == ["tea", "coffee"]


def test_pair_that_may_not_give_gets_nothing_and_the_rules_reason(world, policy) -> None:
    found = _suggest(world, policy, Ranker(["coffee"]), Wish("an", "cy", "none", None, Scene.CHAT))
    assert (found.ideas, found.refusals) == ((), ("NOT_TWO_WAY_FRIENDS",))
    assert found.notes == ()  # not even whether the stranger agreed to suggestions


def test_blocked_pair_gets_the_rules_reason_and_nothing_else(world, policy) -> None:
    world.block("bo", "an")
    found = _suggest(world, policy, Ranker(["coffee"]))
    assert (found.refusals, found.notes) == (("NOT_POSSIBLE_NOW",), ())


def test_affordable_idea_is_found_below_many_dear_ones(world, policy) -> None:
    for n in range(220):
        world.item(f"gold{n}", price_fen=90_000, tier="goods")
    found = _suggest(world, policy, Ranker([*[f"gold{n}" for n in range(220)], "coffee"]))
    assert _items(found) == ["coffee"]


def test_history_of_a_sender_who_did_not_agree_is_not_read(world, policy) -> None:
    world.tell(ItemTouched("i", world.now - 5, "an", "coffee", "liked", 1.0))
    world.tell(ConsentChanged("c", world.now - 2, "bo", Purpose.GIFT_SUGGESTIONS, True))
    ranker = Ranker(["coffee"])
    _suggest(world, policy, ranker)
    assert ranker.contexts[0].sender_history == ()
    world.tell(ConsentChanged("d", world.now - 1, "an", Purpose.GIFT_SUGGESTIONS, True))
    _suggest(world, policy, ranker)
    assert [signal.item for signal in ranker.contexts[-1].sender_history] == ["coffee"]


def test_known_child_is_never_profiled_even_with_consent(world, policy) -> None:
    today = local_date(world.now)
    world.tell(
        PersonChanged("p", world.now - 9, "bo", today.replace(year=today.year - 13)),
        ItemTouched("i", world.now - 5, "bo", "coffee", "liked", 1.0),
        ConsentChanged("c", world.now - 2, "bo", Purpose.GIFT_SUGGESTIONS, True),
    )
    ranker = Ranker(["coffee"])
    found = _suggest(world, policy, ranker)
    assert (found.personalised, ranker.contexts[0].recipient_history) == (False, ())


def test_without_the_recipients_consent_nothing_personal_is_read(world, policy) -> None:
    world.tell(ItemTouched("i", world.now - 5, "bo", "coffee", "liked", 1.0))
    ranker = Ranker(["coffee"])
    found = _suggest(world, policy, ranker)
    assert (found.personalised, found.notes) == (False, ("NO_CONSENT",))
    assert ranker.contexts[0].recipient_history == ()
    world.tell(ConsentChanged("c", world.now - 1, "bo", Purpose.GIFT_SUGGESTIONS, True))
    found = _suggest(world, policy, ranker)
    assert (found.personalised, found.notes) == (True, ())
    assert [signal.item for signal in ranker.contexts[1].recipient_history] == ["coffee"]


def test_without_a_model_popular_lawful_items_are_suggested_and_it_is_said(world, policy) -> None:
    world.item("draw", mechanics="lottery")
    world.tell(
        *[
            ItemTouched(f"i{n}", world.now - 5, "cy", item, "liked", 1.0)
            for n, item in enumerate(["draw", "draw", "coffee"])
        ]
    )
    found = _suggest(world, policy, None)
    assert [(idea.item.item, idea.reason) for idea in found.ideas] == [("coffee", "POPULAR")]
    assert found.model is None
    assert "MODEL_UNAVAILABLE" in found.notes


def test_every_idea_that_leaves_is_recorded_as_an_allowed_decision(world, policy) -> None:
    _suggest(world, policy, Ranker(["coffee"]))
    with world.database.reading() as unit:
        rows = unit.execute(select(tables.decisions)).all()
    assert [(row.purpose, row.effect) for row in rows] == [("recommend", "allow")]


def test_no_candidates_is_an_empty_answer_that_says_so(world, policy) -> None:
    found = _suggest(world, policy, Ranker([]))
    assert (found.ideas, found.refusals) == ((), ())
    assert "NOTHING_SUITABLE" in found.notes


def test_blocked_pair_learns_nothing_of_consent_even_when_nothing_is_affordable(
    world, policy
) -> None:
    world.block("bo", "an")
    poor = Wish("an", "bo", "none", 1, Scene.CHAT)
    before = _suggest(world, policy, Ranker(["coffee"]), poor)
    world.tell(ConsentChanged("c", world.now - 1, "bo", Purpose.GIFT_SUGGESTIONS, True))
    after = _suggest(world, policy, Ranker(["coffee"]), poor)
    assert (before.notes, before.refusals) == (after.notes, after.refusals)


def test_idea_that_needs_a_picture_is_suggested_before_there_is_one(world, policy) -> None:
    world.item("photo-mug", kind="photo")
    assert _items(_suggest(world, policy, Ranker(["photo-mug"]))) == ["photo-mug"]


def test_own_limit_that_is_used_up_is_the_refusal_of_every_item(world, policy) -> None:
    world.item("tea", price_fen=1_000)
    world.tell(LimitChanged("l", world.now - 1, "an", 0, None))
    assert _suggest(world, policy, Ranker(["coffee", "tea"])).refusals == ("OWN_LIMIT_REACHED",)
    world.tell(LimitChanged("m", world.now, "an", None, 899))
    assert _suggest(world, policy, Ranker(["coffee", "tea"])).refusals == ("OWN_LIMIT_REACHED",)


def test_block_is_told_no_more_than_by_a_check_of_each_item(world, policy) -> None:
    # Every check answers OWN_LIMIT_REACHED, blocked or not: so must the suggestions.
    world.tell(LimitChanged("l", world.now - 1, "an", None, None, 1))
    before = _suggest(world, policy, Ranker(["coffee"]))
    world.block("bo", "an")
    after = _suggest(world, policy, Ranker(["coffee"]))
    assert (before.ideas, before.refusals, before.notes) == ((), (), ("NOTHING_SUITABLE",))
    assert (after.ideas, after.refusals, after.notes) == ((), (), ("NOTHING_SUITABLE",))


def test_fault_of_the_only_item_is_no_refusal_of_the_pair(world, policy) -> None:
    world.item("gone", stock=0)
    found = _suggest(world, policy, Ranker(["gone"]))
    assert (found.refusals, found.notes) == ((), ("NOTHING_SUITABLE",))
