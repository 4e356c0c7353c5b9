"""The gifting job: may this gift be sent, and if so, record it.

Read facts → decide → record. A check and a send differ only in what is locked and written.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from engine.domain.clock import DAYS_BEGIN_EVERY, Clock, later
from engine.domain.errors import UnknownReference
from engine.domain.gift_events import GiftEventKind
from engine.domain.gifts import Gift, GiftRequest, GiftState, Origin
from engine.domain.ids import new_id
from engine.domain.money import Entry, EntryKind, escrow
from engine.domain.ports import ModelRef
from engine.domain.verdicts import DecisionRecord, Effect, PackRef, RuleTrace
from engine.gift_policy import DecidedGift, GiftPolicy, unknown_item
from engine.gift_records import event_of, given, record_of, sent
from engine.gift_terms import GiftTerms
from engine.ledger import caps, decisions, gifts, idempotency, outbox, postings, ties
from engine.ledger.caps import CounterKeys
from engine.ledger.database import Database, Unit
from engine.ledger.decision_queue import DecisionQueue
from engine.ledger.idempotency import RequestKey
from engine.ledger.statements import pipelined

_MOST_BEGINNINGS: Final = 3
"""How often a send begins anew at most because a day may have ended while it waited."""


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


@dataclass(frozen=True, slots=True)
class _Asked:
    """A send as it was asked for; `begun_ns` of the performance counter."""

    request: GiftRequest
    occasion: str
    payment_ref: str
    key: RequestKey
    begun_ns: int


class _DayMayHaveChanged(Exception):
    """While a send waited for its locks, the local day of a side may have ended."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at


class Gifting:
    """Answers gifting flows on one ledger.

    Attributes
    ----------
    log
        Where the decisions of checks wait to be written; to be closed at the end.
    """

    def __init__(self, database: Database, policy: GiftPolicy, terms: GiftTerms) -> None:
        self._database = database
        self._policy = policy
        self._terms = terms
        self.log = DecisionQueue(database)

    def check(self, request: GiftRequest, at: int, explain: bool = False) -> Checked:
        """Answer whether `request` would be allowed at `at` (microseconds); nothing is sent.

        The decision is recorded a moment later (see `log`).

        Raises
        ------
        UnknownReference
            If the item is not in the catalogue.
        PolicyError, LedgerUnavailable
            If no trustworthy answer can be given, or it could not be recorded.
        """
        begun = time.perf_counter_ns()
        with self._database.reading() as unit:
            [(reading, decided)] = self._policy.consider(unit, [request], at)
        if decided is None:
            raise unknown_item(request)
        record = record_of("check", decided, at, begun)
        self.log.put([record])
        traces = self._policy.engine.explain(decided.verdict, decided.facts) if explain else []
        return Checked(_answer(record, reading.model), tuple(traces))

    def check_many(
        self, requests: Sequence[GiftRequest], at: int
    ) -> list[Checked | UnknownReference]:
        """Answer on each of `requests`, in order, as if it were checked alone at `at`.

        None of them counts for another: it is asked what may be sent, not all that may be. The
        number of statements does not depend on how many there are. In the place of a request whose
        item is not in the catalogue stands the error.

        Raises
        ------
        PolicyError, LedgerUnavailable
            If no trustworthy answers can be given, or they could not be recorded.
        """
        begun = time.perf_counter_ns()
        with self._database.reading() as unit:
            found = self._policy.consider(unit, requests, at)
        begun += (time.perf_counter_ns() - begun) * (len(requests) - 1) // max(len(requests), 1)
        answers: list[Checked | UnknownReference] = []
        records: list[DecisionRecord] = []
        for request, (reading, decided) in zip(requests, found, strict=True):
            if decided is None:
                answers.append(unknown_item(request))
                continue
            record = record_of("check", decided, at, begun)
            records.append(record)
            answers.append(Checked(_answer(record, reading.model), ()))
        self.log.put(records)
        return answers

    def send(
        self,
        request: GiftRequest,
        occasion: str,
        payment_ref: str,
        key: RequestKey,
        at: int,
        clock: Clock | None = None,
    ) -> GiftAnswer:
        """Send `request` at `at` (microseconds) if the rules allow it.

        The tie is read first and frozen; everything that others may change meanwhile (counters,
        stock, friendship, blocks) is read under locks, and the gift, its counters, its stock, its
        money, its tie, what its callers are told and the decision are written together or not at
        all. The same key with the same body gives the first answer again, a denial too.

        Parameters
        ----------
        payment_ref
            The caller's authorisation of the price; it pays for one gift.
        clock
            Where it is given, it is asked again once the locks are held: the gift is decided and
            recorded as of then, so that whatever was written before it counts for it.

        Raises
        ------
        IdempotencyConflict
            If the key was used with another body.
        Conflict
            If the payment pays for another gift.
        UnknownReference
            If the item is not in the catalogue.
        PolicyError, LedgerUnavailable
            If no trustworthy answer can be given; nothing is sent.
        """
        asked = _Asked(request, occasion, payment_ref, key, time.perf_counter_ns())
        for _ in range(_MOST_BEGINNINGS):
            try:
                return self._send(asked, at, clock)
            except _DayMayHaveChanged as changed:
                at = changed.at
        # By a clock that leaps on and on: as of the last instant whose day was looked at.
        return self._send(asked, at, None)

    def _send(self, asked: _Asked, at: int, clock: Clock | None) -> GiftAnswer:
        """Send what is asked for at `at`, or as of when its locks are held, if that is later.

        Raises
        ------
        _DayMayHaveChanged
            If the locked counters may not be those of that instant's day; nothing is written.
        """
        request, key = asked.request, asked.key
        with self._database.reading() as unit:
            [reading] = self._policy.read_pairs(unit, [(request.sender, request.recipient)], at)
        counters = CounterKeys.of(request.sender, request.recipient, reading.context)
        with self._database.writing() as unit, pipelined(unit):
            stored = idempotency.claim(unit, key, at)
            if stored is not None:
                return _from_json(stored)
            caps.lock(unit, counters, request.item)
            begun_at, at = at, later(at, clock)
            if at // DAYS_BEGIN_EVERY != begun_at // DAYS_BEGIN_EVERY:
                raise _DayMayHaveChanged(at)
            [decided] = self._policy.decide(unit, [request], [reading], at)
            record = record_of("send", decided, at, asked.begun_ns)
            records = [record]
            answer = _answer(record, reading.model, _new_gift_id(decided, at))
            if answer.gift is not None:
                terms, settled = self._terms.settle(request.relation, decided.item, at)
                records.append(settled)
                limited = decided.item.stock is not None
                gift = Gift(
                    gift=answer.gift,
                    sender=request.sender,
                    recipient=request.recipient,
                    item=request.item,
                    relation=request.relation,
                    scene=request.scene,
                    occasion=asked.occasion,
                    price_fen=decided.item.price_fen,
                    state=GiftState.HELD,
                    origin=Origin.LIVE,
                    occurred_at=at,
                    decision_id=record.decision_id,
                    payment_ref=asked.payment_ref,
                    terms=terms,
                    sender_day=counters.sender_day,
                    recipient_day=counters.recipient_day,
                    events=1,
                    took_piece=limited and caps.take_stock(unit, request.item),
                )
                if record.verdict.effect is Effect.ALLOW:
                    gift = sent(gift, at)
                self._record(unit, gift, at)
            decisions.record(unit, records)
            idempotency.answer(unit, key, orjson.dumps(answer).decode())
        return answer

    def _record(self, unit: Unit, gift: Gift, at: int) -> None:
        """Write a decided gift; a held one reserves everything but is no tie event yet."""
        kind = GiftEventKind.HELD if gift.state is GiftState.HELD else GiftEventKind.SENT
        caps.count(unit, gift)
        held = Entry(1, EntryKind.ESCROW, escrow(gift.gift, gift.sender, gift.price_fen))
        postings.append(unit, gift.gift, [held], at)
        outbox.append(unit, event_of(gift, kind, at), at)
        # After what nobody waits for: its answer tells whether the payment is another gift's.
        gifts.record(unit, gift, at)
        if gift.state is GiftState.SENT:
            ties.append(unit, [given(gift)])

    def find(self, gift: str) -> Gift | None:
        """Return the gift with this id, if there is one."""
        with self._database.reading() as unit:
            return gifts.find(unit, gift)


def _answer(record: DecisionRecord, model: ModelRef | None, gift: str | None = None) -> GiftAnswer:
    verdict = record.verdict
    return GiftAnswer(
        record.decision_id, verdict.effect, verdict.reasons, verdict.pack, model, gift
    )


def _new_gift_id(decided: DecidedGift, at: int) -> str | None:
    return None if decided.verdict.effect is Effect.DENY else new_id("gift", at)


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
