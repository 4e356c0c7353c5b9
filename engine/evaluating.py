"""The evaluating job: verdicts on facts that the caller gives, every one of them logged.

Complete → decide → record. The one job that reads nothing: whoever asks vouches for the facts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from engine.domain.errors import FactsInvalid, InvalidInput, PolicyError
from engine.domain.ids import new_id
from engine.domain.verdicts import DecisionRecord, RuleTrace
from engine.ledger import decisions
from engine.ledger.database import Database
from engine.policy.engine import PolicyEngine
from engine.policy.given_facts import FactFault, Given, GivenFacts

PURPOSE = "evaluate"
_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The decisions on the given sets of facts, in their order."""

    records: Sequence[DecisionRecord]
    traces: Sequence[tuple[RuleTrace, ...]]
    """Why the rules of each fired; empty unless asked for, and for operators only."""


class NoPackThen(InvalidInput):
    """No pack decides at the instant that the caller asks about."""


class FactsRefused(InvalidInput):
    """Some given facts do not fit the catalogue; nothing was decided.

    Parameters
    ----------
    faults
        The index of each refused set and what is wrong with it, at most 20 of them.
    """

    def __init__(self, faults: Sequence[tuple[int, FactFault]]) -> None:
        super().__init__(
            "some facts do not fit the catalogue", "give every supplied fact, null where unknown"
        )
        self.faults = tuple(faults)


class Evaluating:
    """Answers on given facts by the rules in service.

    Parameters
    ----------
    database
        Where decisions are recorded.
    policy
        Decides.
    """

    def __init__(self, database: Database, policy: PolicyEngine) -> None:
        self._database = database
        self._policy = policy
        self._given: dict[str, GivenFacts] = {}

    def evaluate(
        self,
        decision: str,
        given: Sequence[object],
        at: int,
        as_of: int | None = None,
        explain: bool = False,
    ) -> Evaluation:
        """Decide on every set of `given` facts and record the decisions, durably, before returning.

        Parameters
        ----------
        decision
            Such as `gift_send`.
        given
            Sets of facts by name as they are supplied, None where one is unknown.
        at
            The present in microseconds, under which the decisions are recorded.
        as_of
            The pack in effect at this instant decides; that of the present if None.
        explain
            Whether to tell why rules fired.

        Returns
        -------
        Evaluation
            One decision for each set. A record's latency is its share of the whole batch's.

        Raises
        ------
        UnknownReference
            If there is no such decision.
        FactsRefused
            If any set does not fit the catalogue: then nothing is decided or recorded.
        NoPackThen
            If no pack is in effect at `as_of`.
        PolicyError, LedgerUnavailable
            If no trustworthy answer can be given.
        """
        begun = time.perf_counter_ns()
        reader = self._reader(decision)
        if as_of is not None:
            self._require_pack(decision, as_of)
        try:
            facts = [reader.complete(cast(Given, one)) for one in given]
            verdicts = self._policy.decide_many(decision, facts, at if as_of is None else as_of)
        except FactsInvalid:
            refused = _faults(reader, given)
            if not refused:
                raise
            raise FactsRefused(refused) from None
        latency = (time.perf_counter_ns() - begun) // (1_000 * max(len(facts), 1))
        records = [
            DecisionRecord(new_id("dec", at), PURPOSE, at, verdict, known, latency)
            for verdict, known in zip(verdicts, facts, strict=True)
        ]
        traces = [
            tuple(self._policy.explain(record.verdict, record.facts))
            for record in (records if explain else ())
        ]
        # Written out before the lock is taken: other writers wait for the disk only.
        rows = decisions.rows_of(records)
        with self._database.writing() as unit:
            decisions.append(unit, rows)
        return Evaluation(records, traces)

    def _reader(self, decision: str) -> GivenFacts:
        reader = self._given.get(decision)
        if reader is None:
            reader = self._given[decision] = GivenFacts(self._policy.catalogue(decision))
        return reader

    def _require_pack(self, decision: str, as_of: int) -> None:
        try:
            self._policy.in_effect(decision, as_of)
        except PolicyError as error:
            raise NoPackThen(error.message, "ask about another instant or leave `at` out") from None


def _faults(reader: GivenFacts, given: Sequence[object]) -> list[tuple[int, FactFault]]:
    found = ((n, fault) for n, one in enumerate(given) for fault in reader.faults(one))
    return list(islice(found, _MOST_FAULTS))
