"""Consent and eligibility come before any score."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import insert

from engine.domain.clock import DAY, local_date
from engine.domain.errors import UnknownReference
from engine.domain.events import ConsentChanged, ItemTouched, PersonChanged
from engine.domain.people import Purpose
from engine.domain.ports import ModelRef, OfferScore
from engine.ledger import tables
from engine.policy.engine import PolicyEngine
from engine.targeting import Targeting

RULES = Path(__file__).parents[2] / "rules"


class Scorer:
    """Gives everyone the same chance and keeps what it was asked."""

    ref = ModelRef("offers", "2")

    def __init__(self) -> None:
        self.contexts = []

    def score(self, contexts):
        self.contexts += contexts
        return [OfferScore(0.1, ("GENERAL_INTEREST",)) for _ in contexts]


class Shelf:
    ties = gifts = None

    def __init__(self, offers) -> None:
        self.offers = offers


@pytest.fixture(scope="module")
def policy():
    engine = PolicyEngine.from_folder(RULES)
    yield engine
    engine.close()


@pytest.fixture
def scorer() -> Scorer:
    return Scorer()


@pytest.fixture
def targeting(world, policy, scorer) -> Targeting:
    with world.database.writing() as unit:
        unit.execute(
            insert(tables.offers).values(
                offer="o1",
                brand="bean",
                category="drinks",
                item="coffee",
                value_fen=305,
                price_fen=700,
                starts_at=world.now - DAY,
                ends_at=world.now + DAY,
                recorded_at=0,
            )
        )
    return Targeting(world.database, policy, Shelf(scorer))


def _agree(world, person: str) -> None:
    world.tell(ConsentChanged(f"c-{person}", world.now - 9, person, Purpose.OFFERS, True))


def _offer_event(world, person: str, kind: str, n: int = 0) -> None:
    with world.database.writing() as unit:
        unit.execute(
            insert(tables.offer_events).values(
                event=f"{person}-{kind}-{n}",
                offer="o1",
                person=person,
                kind=kind,
                occurred_at=world.now - DAY // 2,
                recorded_at=world.now - DAY // 2,
            )
        )


def test_without_consent_there_is_no_score_and_the_model_is_never_asked(
    targeting, world, scorer
) -> None:
    [score] = targeting.score(["an"], ["o1"], world.now).scores
    assert (score.eligible, score.reasons, score.p_redeem, score.expected_fen) == (
        False,
        ("NO_CONSENT",),
        None,
        None,
    )
    assert scorer.contexts == []


def test_consent_gives_a_score_and_its_expected_value(targeting, world) -> None:
    _agree(world, "an")
    answer = targeting.score(["an", "bo"], ["o1"], world.now)
    assert [(s.person, s.eligible) for s in answer.scores] == [("an", True), ("bo", False)]
    assert (answer.scores[0].p_redeem, answer.scores[0].expected_fen) == (0.1, 30)
    assert answer.model == ModelRef("offers", "2")


def test_withdrawn_consent_takes_the_score_away(targeting, world) -> None:
    _agree(world, "an")
    world.tell(ConsentChanged("w", world.now - 1, "an", Purpose.OFFERS, False))
    assert targeting.score(["an"], ["o1"], world.now).scores[0].reasons == ("NO_CONSENT",)


def test_known_child_is_never_scored_even_with_consent(targeting, world, scorer) -> None:
    _agree(world, "an")
    today = local_date(world.now)
    world.tell(PersonChanged("p", world.now, "an", date(today.year - 13, today.month, 1)))
    assert not targeting.score(["an"], ["o1"], world.now).scores[0].eligible
    assert scorer.contexts == []


def test_held_out_person_is_shown_nothing(targeting, world) -> None:
    _agree(world, "an")
    _offer_event(world, "an", "held_out")
    assert targeting.score(["an"], ["o1"], world.now).scores[0].reasons == ("HELD_OUT",)


def test_offer_is_not_shown_more_often_than_the_rules_allow(targeting, world) -> None:
    _agree(world, "an")
    for n in range(6):
        _offer_event(world, "an", "shown", n)
    assert targeting.score(["an"], ["o1"], world.now).scores[0].eligible
    _offer_event(world, "an", "shown", 6)
    assert targeting.score(["an"], ["o1"], world.now).scores[0].reasons == ("FREQUENCY_CAP",)


def test_offer_outside_its_period_is_not_shown(targeting, world) -> None:
    _agree(world, "an")
    later = world.now + DAY
    assert targeting.score(["an"], ["o1"], later).scores[0].reasons == ("OFFER_NOT_RUNNING",)


def test_unknown_offer_is_an_error(targeting, world) -> None:
    with pytest.raises(UnknownReference, match="o9"):
        targeting.score(["an"], ["o9"], world.now)


def test_context_counts_what_happened_before(targeting, world, scorer) -> None:
    _agree(world, "an")
    for kind in ("shown", "clicked"):
        _offer_event(world, "an", kind)
    _offer_event(world, "bo", "redeemed")
    targeting.score(["an"], ["o1"], world.now)
    assert scorer.contexts.pop().friends_redeemed == 0  # the friend has not agreed to offers
    _agree(world, "bo")
    world.tell(ItemTouched("i", world.now - 5, "an", "coffee", "liked", 1.0))
    targeting.score(["an"], ["o1"], world.now)
    [context] = scorer.contexts
    assert (context.shown, context.clicked, context.redeemed) == (1, 1, 0)
    assert (context.category_shown, context.brand_shown, context.offer_shown) == (1, 1, 1)
    assert context.friends_redeemed == 1
    assert context.history_categories == ("drinks",)
    assert context.offer.list_price_fen == 900


def test_without_a_model_eligibility_is_told_and_no_score(world, policy, targeting) -> None:
    _agree(world, "an")
    job = Targeting(world.database, policy, Shelf(None))
    [score] = job.score(["an"], ["o1"], world.now).scores
    assert (score.eligible, score.p_redeem, score.reasons) == (True, None, ("MODEL_UNAVAILABLE",))


@pytest.mark.parametrize("category", ["alcohol", "Alcohol", " ALCOHOL "])
def test_offer_for_adults_is_not_shown_to_a_minor_however_its_category_is_written(
    targeting, world, category: str
) -> None:
    _agree(world, "an")
    today = local_date(world.now)
    world.tell(PersonChanged("p", world.now, "an", date(today.year - 15, today.month, 1)))
    with world.database.writing() as unit:
        unit.execute(tables.offers.update().values(category=category))
    assert not targeting.score(["an"], ["o1"], world.now).scores[0].eligible
