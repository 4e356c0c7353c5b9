"""The moving job: a sent gift is answered, redeemed, refunded, or ends by itself.

Lock the gift → may it be moved so → write the gift, its money, its tie and its event together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engine.domain.clock import Clock, later
from engine.domain.errors import CodeRefused, LedgerUnavailable, LishangError, MoveRefused
from engine.domain.gift_events import GiftEventKind
from engine.domain.gift_life import Move, has_ended, moved, state_for_recipient
from engine.domain.gifts import Gift, GiftState
from engine.domain.money import PayOn
from engine.gift_records import (
    accepted,
    give_back,
    of_recipient,
    pay_out,
    tell,
    terms_of,
    unknown_gift,
    voucher_end,
)
from engine.ledger import caps, gifts, idempotency, ties, vouchers
from engine.ledger.caps import CounterKeys
from engine.ledger.database import Database, Unit
from engine.ledger.idempotency import RequestKey

_Step = Callable[[Unit, Gift, int], Gift]
"""Moves a locked gift at an instant (microseconds)."""
_GIFTS_AT_ONCE = 100


class Moving:
    """Moves the gifts of one ledger.

    Every move is written whole or not at all, and of two that exclude each other one comes first:
    the other is refused. With an idempotency key a retry is the same answer; an answer that was a
    refusal is given anew.

    An outcome is never before the sending, whatever a clock says that was set back. Where a move
    is given the `clock`, it asks it again once it has the gift: what its caller was told while the
    move waited for others is so, and a gift whose time ended meanwhile is not answered.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(
        self,
        gift: str,
        person: str,
        address: str | None,
        key: RequestKey | None,
        at: int,
        clock: Clock | None = None,
    ) -> Gift:
        """Let the recipient `person` accept a gift at `at` (microseconds).

        The price is captured if the terms pay on acceptance, and a voucher's time begins.

        Parameters
        ----------
        address
            Where it is wanted, for the recipient's eyes only.

        Raises
        ------
        UnknownReference
            If no such gift is to `person`.
        MoveRefused
            If it cannot be accepted (any more).
        IdempotencyConflict
            If the key was used with another body.
        LedgerUnavailable
            If nothing could be written.
        """

        def step(unit: Unit, found: Gift, at: int) -> Gift:
            of_recipient(found, person)
            state, when = moved(found, Move.ACCEPT, at), max(at, found.occurred_at)
            after = replace(
                found,
                state=state,
                outcome_at=when,
                due_at=voucher_end(found, when),
                address=address,
            )
            payment = None
            if terms_of(found).pay_on is PayOn.ACCEPTANCE:
                payment = pay_out(unit, after, when)
            after = tell(unit, after, GiftEventKind.ACCEPTED, when, at, payment)
            ties.append(unit, [accepted(after, when)])
            return after

        return self._once(gift, key, at, step, clock)

    def decline(
        self,
        gift: str,
        person: str,
        key: RequestKey | None,
        at: int,
        clock: Clock | None = None,
    ) -> Gift:
        """Let the recipient `person` decline a gift at `at` (microseconds).

        Only the recipient can tell until the gift would have expired: `expire_due` does the rest.

        Raises
        ------
        UnknownReference, MoveRefused, IdempotencyConflict, LedgerUnavailable
            As `accept`.
        """

        def step(unit: Unit, found: Gift, at: int) -> Gift:
            of_recipient(found, person)
            state = moved(found, Move.DECLINE, at)
            after = replace(found, state=state, outcome_at=max(at, found.occurred_at))
            gifts.move(unit, after, at)
            return after

        return self._once(gift, key, at, step, clock)

    def redeem(
        self,
        gift: str,
        code: str | None,
        key: RequestKey | None,
        at: int,
        clock: Clock | None = None,
    ) -> Gift:
        """Hand an accepted gift over at `at` (microseconds); a voucher for its code, once.

        The price is captured if the terms pay on redemption.

        Raises
        ------
        UnknownReference
            If there is no such gift.
        MoveRefused
            If it cannot be redeemed, whatever the code.
        CodeRefused
            If the code is not the one that opens it, or is one too many or too few.
        IdempotencyConflict, LedgerUnavailable
            As `accept`.
        """

        def step(unit: Unit, found: Gift, at: int) -> Gift:
            state, when = moved(found, Move.REDEEM, at), _not_before_outcome(found, at)
            terms = terms_of(found)
            opens = code is None
            if terms.is_voucher:
                opens = code is not None and vouchers.redeem(unit, gift, code, when)
            if not opens:
                raise CodeRefused(
                    "this code does not open this gift",
                    "have the recipient ask for a new one; it voids those of before",
                )
            after = replace(found, state=state, due_at=None)
            payment = None
            if terms.pay_on is PayOn.REDEMPTION:
                payment = pay_out(unit, after, when)
            return tell(unit, after, GiftEventKind.REDEEMED, when, at, payment)

        return self._once(gift, key, at, step, clock)

    def refund(self, gift: str, key: RequestKey | None, at: int) -> Gift:
        """Take an accepted gift back at `at` (microseconds) and give its payer the money back.

        Its place in the counters stays taken, its stock is free again, and the tie forgets the
        acceptance.

        Raises
        ------
        UnknownReference
            If there is no such gift.
        MoveRefused
            If it was not accepted, or redeemed.
        IdempotencyConflict, LedgerUnavailable
            As `accept`.
        """
        return self._once(
            gift,
            key,
            at,
            lambda unit, found, at: _refunded(unit, found, _not_before_outcome(found, at), at),
        )

    def issue_voucher(self, gift: str, person: str, at: int, clock: Clock | None = None) -> str:
        """Return a new code for the accepted voucher of `person` at `at` (microseconds).

        A code of before opens it no more. Only its hash is kept: it cannot be shown again.

        Raises
        ------
        UnknownReference
            If no such gift is to `person`.
        MoveRefused
            If it is no voucher, not accepted, redeemed or at its end.
        LedgerUnavailable
            If nothing could be written.
        """
        with self._database.writing() as unit:
            found = of_recipient(gifts.lock(unit, gift), person)
            at = later(at, clock)
            if not terms_of(found).is_voucher:
                raise MoveRefused("this gift is no voucher", "it needs no code")
            if found.state is not GiftState.ACCEPTED or has_ended(found, at):
                seen = "ended" if has_ended(found, at) else state_for_recipient(found, at)
                raise MoveRefused(f"a voucher that is {seen} has no code", "see docs/gift_life.md")
            return vouchers.issue(unit, gift, at)

    def expire_due(self, at: int, go_on: Callable[[], bool] = lambda: True) -> int:
        """Let gifts end whose time is over at `at` (microseconds); return how many did.

        Each in a transaction of its own, the longest due first, as of the instant it was due: an
        unanswered gift expires, a declined one has the same consequences, a voucher that nobody
        redeemed is refunded. Any number of workers may do this at once.

        Parameters
        ----------
        go_on
            Called after each gift that ended, and says whether the rest is to be done now.

        Raises
        ------
        LedgerUnavailable
            If the database refuses; what ended before stays ended.
        LishangError, ValueError, TypeError, KeyError
            The first fault of a gift whose row cannot be read or ended, as after a change by
            hand; the others ended all the same.
        """
        # Rows that somebody changed by hand, however many, must not keep the others waiting for
        # ever: after each page it goes on with what was due after it.
        ended, fault, page = 0, None, self._due(None, at)
        while page:
            for _, gift in page:
                try:
                    if not self._end(gift, at):
                        continue
                except LedgerUnavailable:
                    raise
                except (LishangError, ValueError, TypeError, KeyError) as error:
                    fault = fault or error
                    continue
                ended += 1
                if not go_on():
                    return ended
            page = self._due(page[-1], at)
        if fault is not None:
            raise fault
        return ended

    def _due(self, after: tuple[int, str] | None, at: int) -> list[tuple[int, str]]:
        with self._database.reading() as unit:
            return gifts.due(unit, after, at, _GIFTS_AT_ONCE)

    def _end(self, gift: str, at: int) -> bool:
        with self._database.writing() as unit:
            found = gifts.lock(unit, gift)
            # Somebody else may have moved it meanwhile.
            if found is None or found.due_at is None or found.due_at > at:
                return False
            if found.state is GiftState.ACCEPTED:
                _refunded(unit, found, found.due_at, at)
            else:
                _expired(unit, found, found.due_at, at)
        return True

    def _once(
        self, gift: str, key: RequestKey | None, at: int, step: _Step, clock: Clock | None = None
    ) -> Gift:
        with self._database.writing() as unit:
            stored = None if key is None else idempotency.claim(unit, key, at)
            if stored is not None:
                return gifts.from_json(stored)
            found = gifts.lock(unit, gift)
            if found is None:
                raise unknown_gift()
            after = step(unit, found, later(at, clock))
            if key is not None:
                idempotency.answer(unit, key, gifts.as_json(after))
        return after


def _expired(unit: Unit, gift: Gift, due: int, at: int) -> None:
    """Write what an expiry at `due` changes; a decline changes exactly the same."""
    state = moved(gift, Move.EXPIRE, at)
    outcome_at = due if gift.outcome_at is None else gift.outcome_at
    after = replace(gift, state=state, due_at=None, outcome_at=outcome_at)
    caps.lock(unit, CounterKeys.of_gift(gift), gift.item)
    caps.uncount(unit, gift)
    caps.return_stock(unit, gift)
    payment = give_back(unit, after, due)
    tell(unit, after, GiftEventKind.EXPIRED, due, at, payment)


def _refunded(unit: Unit, gift: Gift, when: int, at: int) -> Gift:
    after = replace(gift, state=moved(gift, Move.REFUND, at), due_at=None)
    caps.return_stock(unit, gift)
    payment = give_back(unit, after, when)
    after = tell(unit, after, GiftEventKind.REFUNDED, when, at, payment)
    # The log counts no acceptance of a refunded gift.
    ties.rebuild_ties(unit, {(gift.recipient, gift.sender)})
    return after


def _not_before_outcome(gift: Gift, at: int) -> int:
    return max(at, gift.outcome_at or gift.occurred_at)
