"""Lives of gifts from sending to their end, each led by one client that insists on an answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

from moves import move
from sends import send
from storm import Call, Told
from town import Town

Ask = Callable[[Call], Told]
_NUMBERS = count()


@dataclass
class Courses:
    """Leads gifts through their lives and remembers in which state each was acknowledged."""

    name: str
    chance: random.Random = field(default_factory=lambda: random.Random(7))
    ended: dict[str, set[str]] = field(default_factory=dict)
    """By gift, the states in which it may be now."""

    def run(self, ask: Ask) -> None:
        """Lead one gift as far as chance has it."""
        n = f"{self.name}{next(_NUMBERS)}"
        item = self.chance.choice(["coffee", "cake", "watch"])
        sent = self._of(ask(send(f"from-{n}", f"to-{n}", item)), {201, 202})
        gift, person = str(sent.body["gift"]), f"to-{n}"
        self.ended[gift] = {"held" if sent.status == 202 else "sent", "expired"}
        if sent.status == 202 or self.chance.random() < 0.2:
            return
        answer = self.chance.choice(["accept", "accept", "accept", "decline"])
        if not self._move(
            ask, gift, answer, "accepted" if answer == "accept" else "declined", person=person
        ):
            return
        if answer == "decline" or self.chance.random() < 0.2:
            return
        if self.chance.random() < 0.3:
            self._move(ask, gift, "refund", "refunded")
            return
        code = None
        if item == "coffee":
            told = ask(Call(f"/v1/gifts/{gift}:voucher", {"person": person}))
            while told.status == 0:  # unanswered: another code voids the one nobody saw
                told = ask(Call(f"/v1/gifts/{gift}:voucher", {"person": person}))
            code = self._of(told, {200}).body["code"]
        self._move(ask, gift, "redeem", "redeemed", code=code)

    def _move(self, ask: Ask, gift: str, name: str, state: str, **body: object) -> bool:
        told = self._of(ask(move(gift, name, **body)), {200, 409})
        if told.status == 409:
            # Only where its 24 hours are over by a clock that was put right.
            assert told.body["code"] == "MOVE_REFUSED", told
            self.ended[gift] = {"expired"}
            return False
        self.ended[gift] = {state}
        return True

    @staticmethod
    def _of(told: Told, statuses: set[int]) -> Told:
        assert told.status in statuses, told
        return told

    def check(self, town: Town) -> Mapping[str, int]:
        """See that the ledger has every gift in the state that was acknowledged last; return how
        many are in which."""
        kept = dict(tuple(row) for row in town.rows("SELECT gift, state FROM gifts"))
        found: dict[str, int] = {}
        for gift, states in self.ended.items():
            assert kept.get(gift) in states, f"{gift} is {kept.get(gift)}, told was {states}"
            found[kept[gift]] = found.get(kept[gift], 0) + 1
        return found


def refusals(town: Town) -> set[tuple[int, str]]:
    """Return every status and code with which anybody was asked to come back later."""
    return {refusal for told in town.seen for refusal in told.refused}
