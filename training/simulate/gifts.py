"""Gifts of the town and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from training.simulate.assumptions import GivingAssumptions
from training.simulate.chance import Bools, Floats, Ints, happens, log_normal, sigmoid
from training.simulate.impulses import Impulses
from training.simulate.timeline import DAY, NEVER, Span


class Outcome(IntEnum):
    """What became of a gift by the end of the span."""

    SENT = 0
    """Not answered yet."""
    ACCEPTED = 1
    DECLINED = 2
    EXPIRED = 3
    REDEEMED = 4


@dataclass(frozen=True, slots=True)
class Gifts:
    """One entry a gift; indices, fen and seconds. A creator gift has tie −1."""

    sender: Ints
    recipient: Ints
    tie: Ints
    item: Ints
    price_fen: Ints
    occasion: Ints
    at: Ints
    outcome: Ints
    outcome_at: Ints
    """`NEVER` while unanswered."""
    answered_at: Ints
    """When it was accepted, which a redemption comes after; `NEVER` if it was not."""

    def __len__(self) -> int:
        return len(self.sender)

    def taken(self, chosen: Ints) -> Gifts:
        """Return the entries with the indices `chosen`."""
        return Gifts(*(getattr(self, name)[chosen] for name in Gifts.__slots__))

    @property
    def accepted(self) -> Bools:
        """Which gifts were accepted, redeemed ones included."""
        return self.answered_at < NEVER


def resolve(
    meant: Impulses,
    item: Ints,
    price_fen: Ints,
    close: Floats,
    redeemable: Bools,
    span: Span,
    rng: np.random.Generator,
    given: GivingAssumptions,
) -> Gifts:
    """Return the gifts with what became of them: answered within a day, or expired after it.

    Parameters
    ----------
    meant, item, price_fen
        Who gives what to whom, and when.
    close
        How close the two are at that time, 0…1.
    redeemable
        Whether the gift is a voucher that is redeemed after it was accepted.
    """
    size = len(meant)
    accepts = happens(rng, sigmoid(given.accept_logit[0] + given.accept_logit[1] * close), size)
    declines = ~accepts & happens(rng, given.declined_of_rest, size)
    wait = given.answer_median_s * log_normal(rng, given.answer_log_sd, size)
    answered = meant.at + np.clip(wait, 5, DAY - 1).astype(np.int64)
    used = answered + 60 + rng.exponential(given.redeemed_mean_days * DAY, size).astype(np.int64)
    redeems = accepts & redeemable & happens(rng, given.redeemed, size) & (used < span.ends)
    outcome = np.select(
        [redeems, accepts, declines],
        [int(Outcome.REDEEMED), int(Outcome.ACCEPTED), int(Outcome.DECLINED)],
        int(Outcome.EXPIRED),
    )
    ended = np.select([redeems, accepts | declines], [used, answered], meant.at + DAY)
    pending = ended >= span.ends
    return Gifts(
        sender=meant.sender,
        recipient=meant.recipient,
        tie=meant.tie,
        item=item,
        price_fen=price_fen,
        occasion=meant.occasion,
        at=meant.at,
        outcome=np.where(pending, int(Outcome.SENT), outcome),
        outcome_at=np.where(pending, NEVER, ended),
        answered_at=np.where(accepts & ~pending, answered, NEVER),
    )
