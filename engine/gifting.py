"""The gifting job: may this gift be sent, and if so, record it.

Read facts → decide → record. A check and a send differ only in what is locked and written.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson

from engine.domain.gifts import Gift, GiftRequest, GiftState, Origin
from engine.domain.ids import new_id
from engine.domain.ports import ModelRef
from engine.domain.verdicts import DecisionRecord, Effect, PackRef, RuleTrace
from engine.gift_policy import DecidedGift, GiftPolicy
from engine.ledger import decisions, gifts, idempotency
from engine.ledger.database import Database
from engine.ledger.gifts import CounterKeys
from engine.ledger.idempotency import RequestKey

_STATE = {Effect.ALLOW: GiftState.SENT, Effect.REVIEW: GiftState.HELD}


@dataclass(frozen=True, slots=True)
class GiftAnswer:
    """What the gifting flow is told; `gift` is None for a check and for a denied send."""

    decision_id: str
    effect: Effect
    reasons: tuple[str, ...]
    pack: PackRef
    model: ModelRef | None
    """The tie model whose class the rules could read."""
    gift: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """A check's answer with the comparisons behind it, which only operators may see."""

    answer: GiftAnswer
    traces: tuple[RuleTrace, ...]


class Gifting:
    """Answers gifting flows on one ledger."""

    def __init__(self, database: Database, policy: GiftPolicy) -> None:
        self._database = database
        self._policy = policy

    def check(self, request: GiftRequest, at: int, explain: bool = False) -> Checked:
        """Answer whether `request` would be allowed at `at` (microseconds); nothing is sent.

        Raises
        ------
        UnknownReference
            If the item is not in the catalogue.
        PolicyError, LedgerUnavailable
            If no trustworthy answer can be given.
        """
        begun = time.perf_counter_ns()
        with self._database.reading() as unit:
            [reading] = self._policy.read_pairs(unit, [(request.sender, request.recipient)], at)
            [decided] = self._policy.decide(unit, [request], [reading], at)
        record = _record("check", decided, at, begun)
        with self._database.writing() as unit:
            decisions.record(unit, [record])
        traces = self._policy.engine.explain(decided.verdict, decided.facts) if explain else []
        return Checked(_answer(record, reading.model), tuple(traces))

    def send(self, request: GiftRequest, occasion: str, key: RequestKey, at: int) -> GiftAnswer:
        """Send `request` at `at` (microseconds) if the rules allow it.

        The tie is read first and frozen; everything that others may change meanwhile (counters,
        stock, friendship, blocks) is read under locks, and the gift, its counters, its stock, its
        tie and the decision are written together or not at all. The same key with the same body
        gives the first answer again, a denial too.

        Raises
        ------
        IdempotencyConflict
            If the key was used with another body.
        UnknownReference
            If the item is not in the catalogue.
        PolicyError, LedgerUnavailable
            If no trustworthy answer can be given; nothing is sent.
        """
        begun = time.perf_counter_ns()
        with self._database.reading() as unit:
            [reading] = self._policy.read_pairs(unit, [(request.sender, request.recipient)], at)
        counters = CounterKeys.of(request, reading.context)
        with self._database.writing() as unit:
            stored = idempotency.claim(unit, key, at)
            if stored is not None:
                return _from_json(stored)
            gifts.lock(unit, request, counters)
            [decided] = self._policy.decide(unit, [request], [reading], at)
            record = _record("send", decided, at, begun)
            decisions.record(unit, [record])
            answer = _answer(record, reading.model, _new_gift_id(decided, at))
            if answer.gift is not None:
                gift = _gift(answer.gift, request, decided, record)
                gifts.record(unit, gift, counters, occasion)
            idempotency.answer(unit, key, orjson.dumps(answer).decode())
        return answer

    def find(self, gift: str) -> Gift | None:
        """Return the gift with this id, if there is one."""
        with self._database.reading() as unit:
            return gifts.find(unit, gift)


def _record(purpose: str, decided: DecidedGift, at: int, begun_ns: int) -> DecisionRecord:
    return DecisionRecord(
        decision_id=new_id("dec", at),
        purpose=purpose,
        occurred_at=at,
        verdict=decided.verdict,
        facts=decided.facts,
        latency_us=(time.perf_counter_ns() - begun_ns) // 1_000,
    )


def _answer(record: DecisionRecord, model: ModelRef | None, gift: str | None = None) -> GiftAnswer:
    verdict = record.verdict
    return GiftAnswer(
        record.decision_id, verdict.effect, verdict.reasons, verdict.pack, model, gift
    )


def _new_gift_id(decided: DecidedGift, at: int) -> str | None:
    return None if decided.verdict.effect is Effect.DENY else new_id("gift", at)


def _gift(gift: str, request: GiftRequest, decided: DecidedGift, record: DecisionRecord) -> Gift:
    return Gift(
        gift=gift,
        sender=request.sender,
        recipient=request.recipient,
        item=request.item,
        relation=request.relation,
        scene=request.scene,
        price_fen=decided.item.price_fen,
        state=_STATE[record.verdict.effect],
        origin=Origin.LIVE,
        occurred_at=record.occurred_at,
        decision_id=record.decision_id,
    )


def _from_json(stored: str) -> GiftAnswer:
    told = orjson.loads(stored)
    return GiftAnswer(
        decision_id=told["decision_id"],
        effect=Effect(told["effect"]),
        reasons=tuple(told["reasons"]),
        pack=PackRef(**told["pack"]),
        model=ModelRef(**told["model"]) if told["model"] else None,
        gift=told["gift"],
    )
