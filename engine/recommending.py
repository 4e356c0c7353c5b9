"""The recommending job: what to give to whom.

Retrieve → filter by the rules → rank → hold against the rules once more → explain. Whatever the
model returns, nothing leaves that the gifting flow would not let through.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.domain.gifts import GiftRequest, Item, Moderation, Relation, Scene
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
from engine.domain.situations import ITEM_FACTS
from engine.domain.verdicts import DecisionRecord, Effect
from engine.gift_policy import DecidedGift, GiftPolicy, PairReading
from engine.ledger import decisions, histories
from engine.ledger.database import Database, Unit

RETRIEVED = (200, 1_000, 5_000)
"""How many items are retrieved, more where a budget leaves too few of them; the first number is
also how many are held against the rules and ranked at most."""

_PICTURE = Moderation.APPROVED
"""An idea has no picture yet: what could be given if the sender's picture passes is suggested, and
the picture is looked at when the gift is sent."""


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

    `notes` says how they were found: `NO_CONSENT` (nothing personal was used), `MODEL_UNAVAILABLE`
    (popular items only), `NOTHING_SUITABLE`. `refusals` are the rules' reasons where nothing at
    all may be given by this sender to this recipient.
    """

    ideas: tuple[Suggestion, ...]
    personalised: bool
    notes: tuple[str, ...]
    refusals: tuple[str, ...]
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
            [reading] = self._policy.read_pairs(unit, [(wish.sender, wish.recipient)], at)
            profiled = histories.read_profiled(
                unit, [wish.sender, wish.recipient], Purpose.GIFT_SUGGESTIONS, at
            )
            context = _context(unit, wish, profiled, at)
            candidates, items = _retrieve(unit, ranker, context, how_many)
            before = self._decide(unit, wish, reading, [c.item for c in candidates], at)
            lawful = [c for c in candidates if before[c.item].verdict.allowed]
            ranked = _sound(_rank(ranker, context, lawful, items), lawful)[:how_many]
            after = self._decide(unit, wish, reading, [r.item for r in ranked], at)
        ideas = [r for r in ranked if after[r.item].verdict.allowed]
        with self._database.writing() as unit:
            decisions.record(unit, [_record(after[r.item], at, begun) for r in ideas])
        refusals = () if ideas else self._pair_refusals(before)
        personalised = ranker is not None and wish.recipient in profiled
        return Suggestions(
            ideas=tuple(Suggestion(items[r.item], r.score, r.reason) for r in ideas),
            personalised=personalised and bool(ideas),
            notes=_notes(ranker, wish.recipient in profiled, bool(ideas), bool(refusals)),
            refusals=refusals,
            model=ranker.ref if ranker else None,
        )

    def _decide(
        self, unit: Unit, wish: Wish, reading: PairReading, items: Sequence[str], at: int
    ) -> dict[str, DecidedGift]:
        requests = [
            GiftRequest(wish.sender, wish.recipient, item, wish.relation, wish.scene, _PICTURE)
            for item in items
        ]
        decided = self._policy.decide(unit, requests, [reading] * len(requests), at)
        return dict(zip(items, decided, strict=True))

    def _pair_refusals(self, decided: dict[str, DecidedGift]) -> tuple[str, ...]:
        """Return what anyone may be told of all items alike that nothing open speaks against.

        Only of denials: nothing was sent that could be held for review. What counts is what a
        check of each item would tell, so a block or an age shows here only where it shows there.
        """
        if not decided or any(d.verdict.effect is not Effect.DENY for d in decided.values()):
            return ()
        engine = self._policy.engine
        asks_item: dict[str, bool] = {}
        told: list[list[str]] = []
        for one in decided.values():
            fired = one.verdict.fired
            if any(rule.rule not in asks_item for rule in fired):
                for trace in engine.explain(one.verdict, one.facts):
                    asked = (c.attribute in ITEM_FACTS for c in trace.conditions)
                    asks_item[trace.rule] = any(asked)
            about_item = {rule.reason for rule in fired if asks_item[rule.rule]}
            about_pair = {rule.reason for rule in fired if not asks_item[rule.rule]}
            codes = [reason.code for reason in engine.public_reasons(one.verdict.reasons, "en")]
            # A coarse code is no rule's own reason: it counts whatever stands behind it.
            if (about_item - about_pair).isdisjoint(codes):
                told.append(codes)
        return tuple(c for c in told[0] if all(c in codes for codes in told)) if told else ()


def _context(unit: Unit, wish: Wish, profiled: frozenset[str], at: int) -> GiftContext:
    """Read what may be read: nothing without the recipient's consent, of others with theirs."""
    context = GiftContext(wish.sender, wish.recipient, wish.occasion, wish.budget_fen, at)
    if wish.recipient not in profiled:
        return context
    signals = histories.read_signals(unit, sorted(profiled), at)
    return replace(
        context,
        recipient_history=signals[wish.recipient],
        sender_history=signals.get(wish.sender, ()),
        recipient_friends_history=histories.read_friends_signals(unit, wish.recipient, at),
    )


def _retrieve(
    unit: Unit, ranker: GiftRanker | None, context: GiftContext, how_many: int
) -> tuple[list[GiftCandidate], dict[str, Item]]:
    """Return affordable candidates and their entries; look further down where few are."""
    for limit in RETRIEVED:
        found = ranker.candidates(context, limit) if ranker else _popular(unit, limit)
        items = histories.read_items(unit, [candidate.item for candidate in found])
        affordable = [c for c in found if c.item in items and _affordable(items[c.item], context)]
        if len(affordable) >= how_many or len(found) < limit:
            break
    return affordable[: RETRIEVED[0]], items


def _popular(unit: Unit, limit: int) -> list[GiftCandidate]:
    popular = histories.read_popular(unit, limit)
    return [GiftCandidate(item, "popular", 1 / (n + 1)) for n, item in enumerate(popular)]


def _affordable(item: Item, context: GiftContext) -> bool:
    return context.budget_fen is None or item.price_fen <= context.budget_fen


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


def _notes(ranker: GiftRanker | None, agreed: bool, found: bool, refused: bool) -> tuple[str, ...]:
    # Who is offered nothing learns nothing about what the recipient agreed to either.
    notes = ["NO_CONSENT"] if found and not agreed else []
    if ranker is None:
        notes.append("MODEL_UNAVAILABLE")
    if not found and not refused:
        notes.append("NOTHING_SUITABLE")
    return tuple(notes)


def _record(decided: DecidedGift, at: int, begun_ns: int) -> DecisionRecord:
    latency_us = (time.perf_counter_ns() - begun_ns) // 1_000
    return DecisionRecord(
        new_id("dec", at), "recommend", at, decided.verdict, decided.facts, latency_us
    )
