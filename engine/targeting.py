"""The targeting job: which offers suit whom, and what showing one is worth.

Consent → eligibility by the rules → score → value. Who has not agreed gets no score at all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.clock import local_date
from engine.domain.errors import UnknownReference
from engine.domain.ids import new_id
from engine.domain.people import Purpose, age_in_years
from engine.domain.ports import (
    ItemSignal,
    ModelRef,
    ModelShelf,
    OfferContext,
    OfferScore,
    OfferView,
)
from engine.domain.situations import PersonFacts, plain
from engine.domain.verdicts import DecisionRecord, FactSet, FactValue, Verdict
from engine.ledger import decisions, histories, offers
from engine.ledger.database import Database, Unit
from engine.ledger.offers import OfferEventRow
from engine.policy.engine import PolicyEngine

DECISION = "offer_show"


@dataclass(frozen=True, slots=True)
class ScoredOffer:
    """One person and one offer; score and value are None where the rules forbid showing it or no
    model is in service. `expected_fen` is the probability times what the brand pays."""

    person: str
    offer: str
    eligible: bool
    reasons: tuple[str, ...]
    p_redeem: float | None
    expected_fen: int | None


@dataclass(frozen=True, slots=True)
class OfferAnswer:
    """Every asked person with every asked offer, and the model that scored them."""

    scores: tuple[ScoredOffer, ...]
    model: ModelRef | None


@dataclass(frozen=True, slots=True)
class _Person:
    """What is read of one person, once for all offers."""

    facts: PersonFacts
    agreed: bool
    events: list[OfferEventRow]
    signals: tuple[ItemSignal, ...]
    categories: tuple[str, ...]
    brands: tuple[str | None, ...]
    """The category and the brand of each signal's item."""


class Targeting:
    """Scores offers on one ledger."""

    def __init__(self, database: Database, policy: PolicyEngine, models: ModelShelf) -> None:
        self._database = database
        self._policy = policy
        self._models = models
        self._catalogue = policy.catalogue(DECISION)

    def score(self, people: Sequence[str], asked: Sequence[str], at: int) -> OfferAnswer:
        """Score each of `people` with each of the `asked` offers at `at` (microseconds).

        Raises
        ------
        UnknownReference
            If an offer does not exist.
        """
        begun = time.perf_counter_ns()
        scorer = self._models.offers
        with self._database.reading() as unit:
            views = offers.read_offers(unit, asked)
            missing = next((offer for offer in asked if offer not in views), None)
            if missing is not None:
                raise UnknownReference(f"no offer {missing!r}", "import it first")
            read = _read_people(unit, people, at)
            willing = [person for person in people if read[person].agreed]
            friends = offers.read_friends_redeemed(unit, willing, at)
        pairs = [(person, views[offer]) for person in people for offer in asked]
        facts = [
            self._catalogue.fact_set(_offer_facts(read[person], view, at)) for person, view in pairs
        ]
        verdicts = self._policy.decide_many(DECISION, facts, at)
        self._log(verdicts, facts, at, begun)
        open_pairs = [pair for pair, v in zip(pairs, verdicts, strict=True) if v.allowed]
        scores: list[OfferScore] = []
        if scorer is not None:
            scores = scorer.score(
                [
                    _context(person, read[person], view, friends.get((person, view.brand), 0), at)
                    for person, view in open_pairs
                ]
            )
        found = dict(zip(((p, v.offer) for p, v in open_pairs), scores, strict=scorer is not None))
        return OfferAnswer(
            scores=tuple(
                _scored(person, view, verdict, found.get((person, view.offer)))
                for (person, view), verdict in zip(pairs, verdicts, strict=True)
            ),
            model=scorer.ref if scorer else None,
        )

    def _log(
        self, verdicts: Sequence[Verdict], facts: Sequence[FactSet], at: int, begun_ns: int
    ) -> None:
        latency_us = (time.perf_counter_ns() - begun_ns) // 1_000
        with self._database.writing() as unit:
            decisions.record(
                unit,
                [
                    DecisionRecord(new_id("dec", at), "offer", at, verdict, known, latency_us)
                    for verdict, known in zip(verdicts, facts, strict=True)
                ],
            )


def _read_people(unit: Unit, people: Sequence[str], at: int) -> dict[str, _Person]:
    known = offers.read_people(unit, people, at)
    agreed = histories.read_consents(unit, people, Purpose.OFFERS, at)
    # Nothing personal is read of those who have not agreed.
    willing = [person for person in people if agreed[person]]
    events = offers.read_offer_events(unit, willing, at)
    signals = histories.read_signals(unit, willing, at)
    items = histories.read_items(unit, [s.item for some in signals.values() for s in some])
    seen = {p: [items.get(s.item) for s in signals.get(p, ())] for p in people}
    return {
        person: _Person(
            facts=known.get(person, PersonFacts()),
            agreed=agreed[person],
            events=events.get(person, []),
            signals=signals.get(person, ()),
            categories=tuple(i.category if i else "" for i in seen[person]),
            brands=tuple(i.brand if i else None for i in seen[person]),
        )
        for person in people
    }


def _offer_facts(person: _Person, view: OfferView, at: int) -> dict[str, FactValue | None]:
    born = person.facts.birth_date
    mine = {event.kind for event in person.events if event.offer == view.offer}
    return {
        "person.offers_consent": person.agreed,
        "person.age_years": age_in_years(born, local_date(at, person.facts.zone)) if born else None,
        "person.held_out": "held_out" in mine,
        "person.shown_7d": offers.shown_lately(person.events, at),
        "person.offer_redeemed": "redeemed" in mine,
        "offer.running": view.starts_at <= at < view.ends_at,
        "offer.category": plain(view.category),
    }


def _context(
    person: str, read: _Person, view: OfferView, friends_redeemed: int, at: int
) -> OfferContext:
    events = read.events
    same_category = [event for event in events if event.category == view.category]
    same_brand = [event for event in events if event.brand == view.brand]
    return OfferContext(
        person=person,
        offer=view,
        at=at,
        history=read.signals,
        history_categories=read.categories,
        shown=_count(events, "shown"),
        clicked=_count(events, "clicked"),
        redeemed=_count(events, "redeemed"),
        category_shown=_count(same_category, "shown"),
        category_redeemed=_count(same_category, "redeemed"),
        brand_redeemed=_count(same_brand, "redeemed"),
        friends_redeemed=friends_redeemed,
        brand_signals=read.brands.count(view.brand),
        brand_shown=_count(same_brand, "shown"),
        offer_shown=_count([event for event in events if event.offer == view.offer], "shown"),
    )


def _count(events: Sequence[OfferEventRow], kind: str) -> int:
    return sum(event.kind == kind for event in events)


def _scored(
    person: str, view: OfferView, verdict: Verdict, score: OfferScore | None
) -> ScoredOffer:
    if not verdict.allowed:
        return ScoredOffer(person, view.offer, False, verdict.reasons, None, None)
    if score is None:
        return ScoredOffer(person, view.offer, True, ("MODEL_UNAVAILABLE",), None, None)
    expected = round(score.p_redeem * view.value_fen)
    return ScoredOffer(person, view.offer, True, score.reasons, score.p_redeem, expected)
