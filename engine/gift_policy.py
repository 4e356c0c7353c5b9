"""The one path on which every gift is decided: pair and model reads, facts, rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.gifts import GiftRequest, Item
from engine.domain.ports import ModelRef, ModelShelf, TieScore, TieScorer
from engine.domain.situations import gift_facts
from engine.domain.verdicts import FactSet, Verdict
from engine.ledger.database import Unit
from engine.ledger.facts import PairContext, read_pair_context, read_situations
from engine.policy.engine import PolicyEngine

DECISION = "gift_send"


@dataclass(frozen=True, slots=True)
class PairReading:
    """A pair as the facts need it, read before any lock is taken and frozen from then on."""

    context: PairContext
    tie: TieScore | None
    """None without a tie model, or where a side objects to having ties scored."""
    model: ModelRef | None


@dataclass(frozen=True, slots=True)
class DecidedGift:
    """A verdict with the facts and the catalogue entry it rests on."""

    verdict: Verdict
    facts: FactSet
    item: Item


class GiftPolicy:
    """Decides asked-for gifts on what the ledger and the tie model say."""

    def __init__(self, policy: PolicyEngine, models: ModelShelf) -> None:
        self.engine = policy
        self._models = models
        self._catalogue = policy.catalogue(DECISION)

    def read_pairs(
        self,
        unit: Unit,
        pairs: Sequence[tuple[str, str]],
        at: int,
        scorer: TieScorer | None = None,
    ) -> list[PairReading]:
        """Read the directed `pairs` as of `at` (microseconds) and score their ties.

        `scorer` scores them instead of the one in service.
        """
        contexts = read_pair_context(unit, pairs, at)
        scorer = scorer or self._models.ties
        if scorer is None or not contexts:
            return [PairReading(context, None, None) for context in contexts]
        scores = scorer.score(
            np.stack([context.out for context in contexts]),
            np.stack([context.back for context in contexts]),
            at,
        )
        return [
            PairReading(context, score if context.scorable else None, scorer.ref)
            for context, score in zip(contexts, scores, strict=True)
        ]

    def decide(
        self,
        unit: Unit,
        requests: Sequence[GiftRequest],
        readings: Sequence[PairReading],
        at: int,
    ) -> list[DecidedGift]:
        """Decide `requests`; `readings` holds the reading of each request's pair, in order.

        Raises
        ------
        UnknownReference
            If an item is not in the catalogue.
        PolicyError
            If the rules give no trustworthy answer.
        """
        situations = read_situations(unit, requests, [r.context for r in readings], at)
        facts = [
            self._catalogue.fact_set(
                gift_facts(request, situation, reading.tie.tie_class if reading.tie else None, at)
            )
            for request, situation, reading in zip(requests, situations, readings, strict=True)
        ]
        verdicts = self.engine.decide_many(DECISION, facts, at)
        return [
            DecidedGift(verdict, known, situation.item)
            for verdict, known, situation in zip(verdicts, facts, situations, strict=True)
        ]
