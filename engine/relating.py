"""How strong ties are, for those who do not object to being scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.errors import ModelError
from engine.domain.ports import ModelRef, ModelShelf, TieScore
from engine.gift_policy import GiftPolicy
from engine.ledger import ties
from engine.ledger.database import Database

BATCH = 1_000
"""How many pairs are read in one trip."""


@dataclass(frozen=True, slots=True)
class PairTie:
    """A directed pair with its score; None where a side may not or will not be scored."""

    sender: str
    recipient: str
    score: TieScore | None


@dataclass(frozen=True, slots=True)
class TieAnswer:
    """Scored pairs and the model that scored them."""

    pairs: tuple[PairTie, ...]
    model: ModelRef


class Relating:
    """Answers how strong ties are."""

    def __init__(self, database: Database, policy: GiftPolicy, models: ModelShelf) -> None:
        self._database = database
        self._policy = policy
        self._models = models

    def score(self, pairs: Sequence[tuple[str, str]], at: int) -> TieAnswer:
        """Score directed `pairs`, in order, as of `at` (microseconds).

        Raises
        ------
        ModelError
            If no tie model is in service.
        """
        scorer = self._models.ties
        if scorer is None:
            raise ModelError("no tie model is in service", "train one: lishang train ties")
        scored: list[PairTie] = []
        with self._database.reading() as unit:
            for begin in range(0, len(pairs), BATCH):
                some = pairs[begin : begin + BATCH]
                readings = self._policy.read_pairs(unit, some, at, scorer)
                scored += [PairTie(*p, r.tie) for p, r in zip(some, readings, strict=True)]
        return TieAnswer(tuple(scored), scorer.ref)

    def ties_of(self, person: str, at: int, limit: int) -> TieAnswer:
        """Return up to `limit` ties of `person`, strongest first, as of `at` (microseconds).

        Ties of people who object to being scored are left out.
        """
        with self._database.reading() as unit:
            others = ties.read_others(unit, person)
        answer = self.score([(person, other) for other in others], at)
        scored = [(pair.score.strength, pair) for pair in answer.pairs if pair.score]
        scored.sort(key=lambda strength_pair: (-strength_pair[0], strength_pair[1].recipient))
        return TieAnswer(tuple(pair for _, pair in scored[:limit]), answer.model)
