"""The reviewing job: what is held, why, and what a person decides of it.

Read the pair → lock → decide again as if the gift were not there → send it, or cancel it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import orjson

from engine.domain.clock import Clock, later
from engine.domain.errors import PolicyError
from engine.domain.gift_events import GiftEventKind
from engine.domain.gift_life import Move, moved
from engine.domain.gifts import Gift, GiftRequest, Moderation
from engine.domain.verdicts import DecisionRecord, Effect, RuleTrace
from engine.gift_policy import GiftPolicy, PairReading
from engine.gift_records import (
    give_back,
    given,
    on_its_days,
    record_of,
    sent,
    tell,
    unknown_gift,
)
from engine.ledger import caps, decisions, gifts, idempotency, reviews, ties
from engine.ledger.caps import CounterKeys
from engine.ledger.database import Database, Unit
from engine.ledger.idempotency import RequestKey
from engine.ledger.keys import ApiKey
from engine.ledger.reviews import Review


@dataclass(frozen=True, slots=True)
class Explained:
    """A recorded decision with the comparisons of the rules that fired, for operators."""

    record: DecisionRecord
    traces: tuple[RuleTrace, ...]
    """Without comparisons where this process no longer holds the version that decided."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A held gift and why it is held; None if that decision was pruned."""

    gift: Gift
    why: Explained | None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What became of a held gift."""

    gift: Gift
    """Sent or cancelled."""
    again: Explained | None
    """The rules' second look; None where the reviewer refused."""


class Reviewing:
    """Reviews the held gifts of one ledger."""

    def __init__(self, database: Database, policy: GiftPolicy) -> None:
        self._database = database
        self._policy = policy

    def waiting(self, after: tuple[int, str] | None, most: int) -> list[Waiting]:
        """Return up to `most` held gifts, those that wait longest first.

        Parameters
        ----------
        after
            When the last one of the page before was asked for (microseconds), and its id.

        Raises
        ------
        LedgerUnavailable
            If the database cannot say.
        """
        with self._database.reading(snapshot=True) as unit:
            held = gifts.held(unit, after, most)
            records = [decisions.find(unit, gift.decision_id or "") for gift in held]
        return [
            Waiting(gift, None if record is None else self._explained(record))
            for gift, record in zip(held, records, strict=True)
        ]

    def decide(
        self,
        gift: str,
        approve: bool,
        reviewer: ApiKey,
        key: RequestKey | None,
        at: int,
        clock: Clock | None = None,
    ) -> Reviewed:
        """Let `reviewer` send or cancel a held gift at `at` (microseconds); where the `clock` is
        given it is asked again once the locks are held.

        Before it is sent the rules decide once more, at its own price and in its own place in the
        counters: what they would hold the reviewer has looked at, what they deny is cancelled.

        Raises
        ------
        UnknownReference
            If there is no such gift.
        MoveRefused
            If it is not held (any more).
        IdempotencyConflict
            If the key was used with another body.
        PolicyError, LedgerUnavailable
            If no trustworthy answer can be given; it stays held.
        """
        begun = time.perf_counter_ns()
        with self._database.reading() as unit:
            found = gifts.find(unit, gift)
            if found is None:
                raise unknown_gift()
            # By a clock that was set back, a friendship could be too new and an item not on sale.
            at = max(at, found.occurred_at)
            [reading] = self._policy.read_pairs(unit, [(found.sender, found.recipient)], at)
        with self._database.writing() as unit:
            stored = None if key is None else idempotency.claim(unit, key, at)
            if stored is not None:
                return self._from_json(unit, stored)
            locked = gifts.lock(unit, gift)
            if locked is None:
                raise unknown_gift()
            caps.lock(unit, CounterKeys.of_gift(locked), locked.item)
            at = later(at, clock)
            moved(locked, Move.APPROVE if approve else Move.REJECT, at)
            again = self._decided(unit, locked, reading, at, begun) if approve else None
            sends = again is not None and again.verdict.effect is not Effect.DENY
            decision_id = None if again is None else again.decision_id
            after = _sent(unit, locked, decision_id, at) if sends else _cancelled(unit, locked, at)
            review = Review(gift, after.state, decision_id, reviewer.key_id, reviewer.name, at)
            reviews.record(unit, review)
            if key is not None:
                idempotency.answer(unit, key, _as_json(after, decision_id))
        return Reviewed(after, None if again is None else self._explained(again))

    def _decided(
        self, unit: Unit, gift: Gift, reading: PairReading, at: int, begun: int
    ) -> DecisionRecord:
        """Decide on a held gift as if it were not there, and record the decision."""
        asked = GiftRequest(
            gift.sender,
            gift.recipient,
            gift.item,
            gift.relation,
            gift.scene,
            _moderation(decisions.find(unit, gift.decision_id or "")),
        )
        readings = [on_its_days(reading, gift)]
        with gifts.set_aside(unit, gift):
            [decided] = self._policy.decide(unit, [asked], readings, at, gift.price_fen)
        record = record_of("review", decided, at, begun)
        decisions.record(unit, [record])
        return record

    def _explained(self, record: DecisionRecord) -> Explained:
        try:
            traces = self._policy.engine.explain(record.verdict, record.facts)
        except PolicyError:
            # A version of before that this process never loaded: which rules fired is recorded.
            traces = [RuleTrace(fired.rule, "", ()) for fired in record.verdict.fired]
        return Explained(record, tuple(traces))

    def _from_json(self, unit: Unit, stored: str) -> Reviewed:
        told = orjson.loads(stored)
        record = decisions.find(unit, told["decision_id"] or "")
        gift = gifts.from_json(told["gift"])
        return Reviewed(gift, None if record is None else self._explained(record))


def _as_json(gift: Gift, decision_id: str | None) -> str:
    return orjson.dumps({"gift": gifts.as_json(gift), "decision_id": decision_id}).decode()


def _moderation(held_for: DecisionRecord | None) -> Moderation | None:
    """Return what the first decision knew of a picture on the gift: the gift does not say."""
    known = {} if held_for is None else held_for.facts.values
    told = known.get("gift.moderation") if known.get("gift.moderation_known") else None
    return None if told is None else Moderation(str(told))


def _sent(unit: Unit, gift: Gift, decision_id: str | None, at: int) -> Gift:
    """Send a held gift: its 24 hours begin now, and only now the recipient hears of it."""
    after = replace(sent(gift, at), decision_id=decision_id)
    after = tell(unit, after, GiftEventKind.REVIEWED, at, at)
    after = tell(unit, after, GiftEventKind.SENT, at, at)
    ties.append(unit, [given(after)])
    return after


def _cancelled(unit: Unit, gift: Gift, at: int) -> Gift:
    """Give back all that a held gift had reserved; its recipient never hears of it."""
    caps.uncount(unit, gift)
    caps.return_stock(unit, gift)
    payment = give_back(unit, gift, at)
    after = replace(gift, state=moved(gift, Move.REJECT, at))
    return tell(unit, after, GiftEventKind.REVIEWED, at, at, payment)
