"""Our sends in one thread beside the same rows from the raw driver, turn by turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.ledger.asking import FRIENDS, send
from benchmarks.ledger.ledgers import Ledgers
from benchmarks.ledger.raw_sends import RawWriter, require_same_rows, sent_rows
from engine.domain.clock import now
from engine.domain.errors import InvalidInput
from engine.domain.ports import GiftRanker, OfferScorer, TieScorer
from engine.domain.verdicts import Effect
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import Gifting
from engine.ledger.database import Database
from engine.ledger.idempotency import RequestKey
from engine.policy.engine import PolicyEngine

RULES = Path(__file__).resolve().parents[2] / "rules"
_TURN = 50
"""Sends in one go: whatever disturbs the machine for longer disturbs both alike."""


class NoModels:
    """A service before its first training: what is measured is the ledger and the rules."""

    ties: TieScorer | None = None
    gifts: GiftRanker | None = None
    offers: OfferScorer | None = None


@contextmanager
def gift_policy() -> Iterator[GiftPolicy]:
    """Yield the shipped rules, ready to decide."""
    engine = PolicyEngine.from_folder(RULES)
    yield GiftPolicy(engine, NoModels())
    engine.close()


class SendsAndRaw:
    """Sends into one ledger, and what they left into another, as fast as either goes."""

    def __init__(self, ledgers: Ledgers, policy: GiftPolicy, people: int) -> None:
        self._ours = Database(ledgers.copy("ours"))
        self._raw_url = ledgers.copy("raw")
        self._raw = RawWriter(self._raw_url)
        self._gifting = Gifting(self._ours, policy, GiftTerms(policy.engine))
        self._people = people
        self._numbers = count()

    def round(self, seconds: float) -> tuple[float, float]:
        """Send for about so many seconds; return the sends a second of `Gifting.send`, and of the
        raw driver, which writes the same rows in turns of fifty.

        Raises
        ------
        InvalidInput
            If a send is not allowed.
        """
        ours = raw = 0.0
        sent = 0
        while ours < seconds:
            begun = time.perf_counter()
            gifts = [self._send(next(self._numbers)) for _ in range(_TURN)]
            ours += time.perf_counter() - begun
            left = sent_rows(self._ours, gifts)
            begun = time.perf_counter()
            for one in left:
                self._raw.write(one)
            raw += time.perf_counter() - begun
            sent += _TURN
        return sent / ours, sent / raw

    def _send(self, number: int) -> tuple[str, str]:
        """Send the n-th gift; return its id and the idempotency key it was sent under."""
        if number >= self._people * FRIENDS:
            raise InvalidInput("nothing is left to send", "give the benchmark more people")
        key = f"send-{number:024d}"
        answer = self._gifting.send(
            send(number, self._people),
            "none",
            f"pay_{number:024d}",
            RequestKey("benchmark", key, 64 * "0"),
            now(),
        )
        if answer.effect is not Effect.ALLOW or answer.gift is None:
            raise InvalidInput(f"a send was answered {answer.effect}: {answer.reasons}")
        return answer.gift, key

    def close(self) -> int:
        """Return how many rows both ledgers hold, which must be the same, and close them.

        Raises
        ------
        InvalidInput
            If the raw driver wrote other rows than the sends.
        """
        self._raw.close()
        raw = Database(self._raw_url)
        rows = require_same_rows(self._ours, raw)
        raw.close()
        self._ours.close()
        return rows
