"""How strong ties are, for those who do not object to being scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.clock import format_time
from engine.domain.errors import ModelError
from engine.domain.ports import ModelRef, ModelShelf, TieClass, TieReason, TieScore, TieScorer
from engine.gift_policy import GiftPolicy
from engine.ledger.database import Database, Unit
from engine.ledger.ego import read_ego, read_everybody
from engine.ledger.new_file import new_file

BATCH = 1_000
"""How many pairs are read in one trip."""


@dataclass(frozen=True, slots=True)
class PairTie:
    """A directed pair with its score; None where a side may not or will not be scored."""

    sender: str
    recipient: str
    score: TieScore | None
    rank: int | None = None
    """The place among the sender's ties, the strongest being 1; None where nobody asked, or where
    the two have no tie."""
    reasons: tuple[TieReason, ...] | None = None
    """Why it is so strong; None where nobody asked or there is no score."""


@dataclass(frozen=True, slots=True)
class TieAnswer:
    """Scored pairs, the model that scored them and the instant (microseconds) they hold for."""

    pairs: tuple[PairTie, ...]
    model: ModelRef
    at: int


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
        scorer = self._scorer()
        scored: list[PairTie] = []
        with self._database.reading() as unit:
            for begin in range(0, len(pairs), BATCH):
                some = pairs[begin : begin + BATCH]
                readings = self._policy.read_pairs(unit, some, at, scorer)
                scored += [PairTie(*p, r.tie) for p, r in zip(some, readings, strict=True)]
        return TieAnswer(tuple(scored), scorer.ref, at)

    def ties_of(
        self, person: str, at: int, limit: int, tie_class: TieClass | None = None
    ) -> TieAnswer:
        """Return up to `limit` ties of `person` of a class, strongest first, as of `at`.

        Ties of people who object to being scored or are too young for it are left out, and the
        ranks count without them: they do not tell how many these are. A rank is the one among all
        ties, whatever class is asked for.

        Raises
        ------
        ModelError
            If no tie model is in service.
        """
        scorer = self._scorer()
        with self._database.reading() as unit:
            ranked = _ranked(unit, scorer, person, at)
        of_class = [pair for pair in ranked if tie_class is None or _class(pair) is tie_class]
        return TieAnswer(tuple(of_class[:limit]), scorer.ref, at)

    def tie(self, person: str, other: str, at: int, explain: bool = False) -> TieAnswer:
        """Score the tie from `person` to `other` as of `at`, with rank and reasons to `explain` it.

        Raises
        ------
        ModelError
            If no tie model is in service.
        """
        scorer = self._scorer()
        with self._database.reading() as unit:
            [reading] = self._policy.read_pairs(unit, [(person, other)], at, scorer)
            found = PairTie(person, other, reading.tie)
            if explain and reading.tie is not None:
                ranks = {pair.recipient: pair.rank for pair in _ranked(unit, scorer, person, at)}
                told = reading.context
                [reasons] = scorer.explain(
                    told.out[None], told.back[None], told.structure[None], at
                )
                found = PairTie(person, other, reading.tie, ranks.get(other), reasons)
        return TieAnswer((found,), scorer.ref, at)

    def _scorer(self) -> TieScorer:
        scorer = self._models.ties
        if scorer is None:
            raise ModelError("no tie model is in service", "train one: lishang train ties")
        return scorer


@dataclass(frozen=True, slots=True)
class ScoredTies:
    """Directed pairs (n) and their scores."""

    senders: Sequence[str]
    recipients: Sequence[str]
    scores: Sequence[TieScore]


def everybodys_ties(database: Database, scorer: TieScorer, at: int) -> Iterator[ScoredTies]:
    """Yield every tie that may be scored, from both ends, as of `at` (microseconds).

    All are of one instant of the ledger; a batch of them is in memory at a time.
    """
    with database.reading(snapshot=True) as unit:
        for ties in read_everybody(unit, at):
            if len(ties):
                scores = scorer.score(ties.out, ties.back, ties.structure, at)
                yield ScoredTies(ties.senders, ties.recipients, scores)


_EXPORTED: Final = pa.schema(
    [
        pa.field("sender", pa.string(), nullable=False),
        pa.field("recipient", pa.string(), nullable=False),
        pa.field("strength", pa.float64(), nullable=False),
        pa.field("p_exchange", pa.float64(), nullable=False),
        pa.field("tie_class", pa.string(), nullable=False),
        pa.field("asymmetry", pa.float64(), nullable=False),
        pa.field("observations", pa.float64(), nullable=False),
        pa.field("as_of", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("model_version", pa.string(), nullable=False),
    ]
)


def export_ties(database: Database, scorer: TieScorer, path: Path, at: int, by: str) -> int:
    """Write every tie that may be scored to the new Parquet file `path`; return how many.

    The file appears when it is whole, readable by its owner only; beside its rows it says by which
    model, as of when (`at`, microseconds) and by whom (`by`) it was made.

    Raises
    ------
    InvalidInput
        If there is such a file already, or it cannot be written.
    LedgerUnavailable
        If the database cannot be reached.
    """
    told = {"model": scorer.ref.name, "model_version": scorer.ref.version}
    told |= {"as_of": format_time(at), "exported_by": by}
    schema, written = _EXPORTED.with_metadata(told), 0
    with new_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for ties in everybodys_ties(database, scorer, at):
            writer.write_batch(_record_batch(ties, schema, at, scorer.ref.version))
            written += len(ties.scores)
    return written


def _record_batch(ties: ScoredTies, schema: pa.Schema, at: int, version: str) -> pa.RecordBatch:
    scores, n = ties.scores, len(ties.scores)
    columns = [
        ties.senders,
        ties.recipients,
        [score.strength for score in scores],
        [score.p_exchange for score in scores],
        [score.tie_class.value for score in scores],
        [score.asymmetry for score in scores],
        [score.observations for score in scores],
        [at] * n,
        [version] * n,
    ]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _ranked(unit: Unit, scorer: TieScorer, person: str, at: int) -> list[PairTie]:
    """Return the ties of `person`, strongest first; of equally strong ones the lesser id."""
    ego = read_ego(unit, person, at)
    if not len(ego):
        return []
    scores = scorer.score(ego.out, ego.back, ego.structure, at)
    order = sorted(
        zip(ego.recipients, scores, strict=True), key=lambda one: (-one[1].strength, one[0])
    )
    return [PairTie(person, other, score, n) for n, (other, score) in enumerate(order, 1)]


def _class(pair: PairTie) -> TieClass | None:
    return None if pair.score is None else pair.score.tie_class
