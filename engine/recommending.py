"""The recommending job: what to give to whom.

Retrieve → filter by the rules → rank → hold against the rules once more → explain. Whatever the
model returns, nothing leaves that the gifting flow would not let through.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.domain.gifts import GiftRequest, Item, Relation, Scene
from engine.domain.ids import new_id
from engine.domain.people import Purpose
from engine.domain.ports import (
    GiftCandidate,
    GiftContext,
    GiftRanker,
    ModelRef,
    ModelShelf,
    RankedGift,
)
from engine.domain.verdicts import DecisionRecord
from engine.gift_policy import DecidedGift, GiftPolicy, PairReading
from engine.ledger import decisions, histories
from engine.ledger.database import Database, Unit

CANDIDATES = 200
"""How many items are retrieved and held against the rules before ranking."""


@dataclass(frozen=True, slots=True)
class Wish:
    """For whom, from whom and for what a gift is sought; `budget_fen` None means no limit."""

    sender: str
    recipient: str
    occasion: str
    budget_fen: int | None
    scene: Scene
    relation: Relation = Relation.FRIEND


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One gift idea and the reason code for it."""

    item: Item
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class Suggestions:
    """Gift ideas, best first.

    `notes` says what was held back: `NO_CONSENT` (nothing personal was used), `MODEL_UNAVAILABLE`
    (popular items only), or the rules' reasons where nothing at all may be given.
    """

    ideas: tuple[Suggestion, ...]
    personalised: bool
    notes: tuple[str, ...]
    model: ModelRef | None


class Recommending:
    """Suggests gifts on one ledger."""

    def __init__(self, database: Database, policy: GiftPolicy, models: ModelShelf) -> None:
        self._database = database
        self._policy = policy
        self._models = models

    def suggest(self, wish: Wish, how_many: int, at: int) -> Suggestions:
        """Return up to `how_many` ideas for `wish` at `at` (microseconds).

        Raises
        ------
        PolicyError, LedgerUnavailable
            If the rules or the record cannot be asked: then nothing is suggested.
        """
        begun = time.perf_counter_ns()
        ranker = self._models.gifts
        with self._database.reading() as unit:
            agreed = self._agreed(unit, wish, at)
            [reading] = self._policy.read_pairs(unit, [(wish.sender, wish.recipient)], at)
            context = self._context(unit, wish, reading, agreed, at)
            candidates = _retrieve(unit, ranker, context)
            items = histories.read_items(unit, [c.item for c in candidates])
            candidates = [c for c in candidates if c.item in items and _affordable(items, c, wish)]
            before = self._decide(unit, wish, reading, [c.item for c in candidates], at)
            lawful = [c for c in candidates if before[c.item].verdict.allowed]
            ranked = _sound(_rank(ranker, context, lawful, items), lawful)[:how_many]
            after = self._decide(unit, wish, reading, [r.item for r in ranked], at)
        ideas = [r for r in ranked if after[r.item].verdict.allowed]
        with self._database.writing() as unit:
            decisions.record(unit, [_record(after[r.item], at, begun) for r in ideas])
        return Suggestions(
            ideas=tuple(Suggestion(items[r.item], r.score, r.reason) for r in ideas),
            personalised=agreed and ranker is not None,
            notes=_notes(ranker, agreed, before, bool(ideas)),
            model=ranker.ref if ranker else None,
        )

    @staticmethod
    def _agreed(unit: Unit, wish: Wish, at: int) -> bool:
        consents = histories.read_consents(unit, [wish.recipient], Purpose.GIFT_SUGGESTIONS, at)
        return consents[wish.recipient]

    @staticmethod
    def _context(
        unit: Unit, wish: Wish, reading: PairReading, agreed: bool, at: int
    ) -> GiftContext:
        context = GiftContext(wish.sender, wish.recipient, wish.occasion, wish.budget_fen, at)
        if not agreed:
            return context
        signals = histories.read_signals(unit, [wish.sender, wish.recipient], at)
        return replace(
            context,
            recipient_history=signals[wish.recipient],
            sender_history=signals[wish.sender],
            tie_strength=reading.tie.strength if reading.tie else 0.0,
            recipient_friends_history=histories.read_friends_signals(unit, wish.recipient, at),
        )

    def _decide(
        self, unit: Unit, wish: Wish, reading: PairReading, items: Sequence[str], at: int
    ) -> dict[str, DecidedGift]:
        requests = [
            GiftRequest(wish.sender, wish.recipient, item, wish.relation, wish.scene)
            for item in items
        ]
        decided = self._policy.decide(unit, requests, [reading] * len(requests), at)
        return dict(zip(items, decided, strict=True))


def _retrieve(unit: Unit, ranker: GiftRanker | None, context: GiftContext) -> list[GiftCandidate]:
    if ranker is not None:
        return ranker.candidates(context, CANDIDATES)
    popular = histories.read_popular(unit, CANDIDATES)
    return [GiftCandidate(item, "popular", 1 / (n + 1)) for n, item in enumerate(popular)]


def _affordable(items: dict[str, Item], candidate: GiftCandidate, wish: Wish) -> bool:
    return wish.budget_fen is None or items[candidate.item].price_fen <= wish.budget_fen


def _rank(
    ranker: GiftRanker | None,
    context: GiftContext,
    candidates: Sequence[GiftCandidate],
    items: dict[str, Item],
) -> list[RankedGift]:
    if ranker is not None:
        return ranker.rank(context, candidates, [items[c.item] for c in candidates])
    return [RankedGift(c.item, c.score, "POPULAR") for c in candidates]


def _sound(ranked: Sequence[RankedGift], lawful: Sequence[GiftCandidate]) -> list[RankedGift]:
    """Keep of what a ranker returns the first mention of each item it was given."""
    given = {candidate.item for candidate in lawful}
    first = {ranked_gift.item: ranked_gift for ranked_gift in reversed(ranked)}
    return [r for r in ranked if r.item in given and first[r.item] is r]


def _notes(
    ranker: GiftRanker | None, agreed: bool, decided: dict[str, DecidedGift], found: bool
) -> tuple[str, ...]:
    notes = [] if agreed else ["NO_CONSENT"]
    if ranker is None:
        notes.append("MODEL_UNAVAILABLE")
    if not found:
        # Only reasons that every idea shares are about the pair rather than about one item.
        refusals = [set(gift.verdict.reasons) for gift in decided.values()]
        notes += sorted(set.intersection(*refusals)) if refusals else []
    return tuple(notes)


def _record(decided: DecidedGift, at: int, begun_ns: int) -> DecisionRecord:
    latency_us = (time.perf_counter_ns() - begun_ns) // 1_000
    return DecisionRecord(
        new_id("dec", at), "recommend", at, decided.verdict, decided.facts, latency_us
    )
