"""The one path on which every gift is decided: pair and model reads, facts, rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.domain.errors import UnknownReference
from engine.domain.gifts import GiftRequest, Item
from engine.domain.ports import ModelRef, ModelShelf, TieScore, TieScorer
from engine.domain.situations import GiftSituation, gift_facts
from engine.domain.verdicts import FactSet, Verdict
from engine.ledger.circumstances import Circumstances
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
        self._circumstances = Circumstances()

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
        return self._scored(read_pair_context(unit, pairs, at), at, scorer)

    def _scored(
        self, contexts: Sequence[PairContext], at: int, scorer: TieScorer | None = None
    ) -> list[PairReading]:
        scorer = scorer or self._models.ties
        if scorer is None or not contexts:
            return [PairReading(context, None, None) for context in contexts]
        scores = scorer.score(
            np.stack([context.out for context in contexts]),
            np.stack([context.back for context in contexts]),
            np.stack([context.structure for context in contexts]),
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
        price_fen: int | None = None,
    ) -> list[DecidedGift]:
        """Decide `requests`; `readings` holds the reading of each request's pair, in order.

        `price_fen` is what was agreed on before; without it the catalogue's prices count.

        Raises
        ------
        UnknownReference
            If an item is not in the catalogue.
        PolicyError
            If the rules give no trustworthy answer.
        """
        situations = read_situations(unit, requests, [r.context for r in readings], at)
        found = self._decided(requests, situations, readings, at, price_fen)
        decided = [one for one in found if one is not None]
        if len(decided) < len(requests):
            raise unknown_item(requests[found.index(None)])
        return decided

    def consider(
        self, unit: Unit, requests: Sequence[GiftRequest], at: int
    ) -> list[tuple[PairReading, DecidedGift | None]]:
        """Decide `requests` as of `at` (microseconds), none of which is about to be sent.

        All is read together, in as many statements for one request as for a thousand. None stands
        for the decision where the item is not in the catalogue.

        Raises
        ------
        PolicyError
            If the rules give no trustworthy answer.
        """
        found = self._circumstances.read(unit, requests, at)
        readings = self._scored([context for context, _ in found], at)
        situations = [situation for _, situation in found]
        decided = self._decided(requests, situations, readings, at, None)
        return [*zip(readings, decided, strict=True)]

    def _decided(
        self,
        requests: Sequence[GiftRequest],
        situations: Sequence[GiftSituation | None],
        readings: Sequence[PairReading],
        at: int,
        price_fen: int | None,
    ) -> list[DecidedGift | None]:
        facts: list[FactSet] = []
        items: list[Item] = []
        for request, situation, reading in zip(requests, situations, readings, strict=True):
            if situation is None:
                continue
            if price_fen is not None:
                item = replace(situation.item, price_fen=price_fen)
                situation = replace(situation, item=item)  # noqa: PLW2901
            tie_class = reading.tie.tie_class if reading.tie else None
            facts.append(self._catalogue.fact_set(gift_facts(request, situation, tie_class, at)))
            items.append(situation.item)
        verdicts = self.engine.decide_many(DECISION, facts, at)
        decided = map(DecidedGift, verdicts, facts, items)
        return [None if situation is None else next(decided) for situation in situations]


def unknown_item(request: GiftRequest) -> UnknownReference:
    """Return the error of a request whose item is not in the catalogue."""
    return UnknownReference(
        f"no item {request.item!r} in the catalogue", "import it with: lishang import --items"
    )
