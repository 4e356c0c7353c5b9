"""The swapping job: before accepting, a recipient may take another item of the same price.

Read the pair → lock → decide as if the gift were not there → write the other item, or nothing.
"""

from __future__ import annotations

import time
from dataclasses import replace

from engine.domain.clock import Clock, later
from engine.domain.errors import Conflict, PriceDiffers, SwapRefused
from engine.domain.gift_events import GiftEventKind
from engine.domain.gift_life import Move, moved
from engine.domain.gifts import Gift, GiftRequest
from engine.domain.verdicts import Effect
from engine.gift_policy import GiftPolicy, PairReading
from engine.gift_records import of_recipient, on_its_days, record_of, tell
from engine.gift_terms import GiftTerms
from engine.ledger import caps, decisions, gifts, idempotency
from engine.ledger.caps import CounterKeys
from engine.ledger.database import Database, Unit
from engine.ledger.idempotency import RequestKey

_REFUSED = "null"
"""What is kept under an idempotency key of a swap that the rules refused."""


class Swapping:
    """Swaps the items of sent gifts on one ledger."""

    def __init__(self, database: Database, policy: GiftPolicy, terms: GiftTerms) -> None:
        self._database = database
        self._policy = policy
        self._terms = terms

    def swap(
        self,
        gift: str,
        person: str,
        item: str,
        key: RequestKey | None,
        at: int,
        clock: Clock | None = None,
    ) -> Gift:
        """Let the recipient `person` have `item` instead at `at` (microseconds).

        The rules decide on it as they would on a gift of `item` in the place of this one. Its 24
        hours, its days and its escrow stay; who gets what is settled anew. The decision is
        recorded either way, and with a key a refusal by the rules is the same answer again. Where
        the `clock` is given it is asked again once the locks are held.

        Raises
        ------
        UnknownReference
            If no such gift is to `person`, or no such item is in the catalogue.
        MoveRefused
            If it cannot be swapped (any more).
        PriceDiffers
            If `item` has another price.
        SwapRefused
            If the rules would not let it be sent, or not before somebody looked at it.
        Conflict
            If it is `item` already.
        IdempotencyConflict
            If the key was used with another body.
        PolicyError, LedgerUnavailable
            If no trustworthy answer can be given; nothing is swapped.
        """
        begun = time.perf_counter_ns()
        with self._database.reading() as unit:
            found = of_recipient(gifts.find(unit, gift), person)
            # By a clock that was set back, a friendship could be too new and an item not on sale.
            at = max(at, found.occurred_at)
            [reading] = self._policy.read_pairs(unit, [(found.sender, found.recipient)], at)
        with self._database.writing() as unit:
            stored = None if key is None else idempotency.claim(unit, key, at)
            if stored is None:
                locked = of_recipient(gifts.lock(unit, gift), person)
                # Asked when all is locked: what was committed before the swap counts for it.
                caps.lock(unit, CounterKeys.of_gift(locked), locked.item, item)
                after = self._swapped(unit, locked, item, reading, later(at, clock), begun)
                if key is not None:
                    answer = _REFUSED if after is None else gifts.as_json(after)
                    idempotency.answer(unit, key, answer)
            else:
                after = None if stored == _REFUSED else gifts.from_json(stored)
        if after is None:
            # After the commit: the decision stays. Why is the sender's and the rules' business.
            raise SwapRefused(
                "this gift cannot be swapped for that item", "choose another, or accept this one"
            )
        return after

    def _swapped(
        self, unit: Unit, gift: Gift, item: str, reading: PairReading, at: int, begun: int
    ) -> Gift | None:
        """Return the gift as it is written with its new item; None if the rules refuse."""
        state = moved(gift, Move.SWAP, at)
        if item == gift.item:
            raise Conflict("this gift is that item already", "choose another item")
        asked = GiftRequest(gift.sender, gift.recipient, item, gift.relation, gift.scene)
        with gifts.set_aside(unit, gift):
            [decided] = self._policy.decide(unit, [asked], [on_its_days(reading, gift)], at)
        if decided.item.price_fen != gift.price_fen:
            raise PriceDiffers("that item has another price", "choose one of the same price")
        record = record_of("swap", decided, at, begun)
        if record.verdict.effect is not Effect.ALLOW:
            decisions.record(unit, [record])
            return None
        terms, settled = self._terms.settle(gift.relation, decided.item, at)
        decisions.record(unit, [record, settled])
        caps.return_stock(unit, gift)
        after = replace(
            gift,
            state=state,
            item=item,
            terms=terms,
            decision_id=record.decision_id,
            took_piece=caps.take_stock(unit, item),
        )
        return tell(unit, after, GiftEventKind.SWAPPED, at, at)
