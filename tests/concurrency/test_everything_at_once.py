"""Sends, moves and sweeps of the same people and things at once, by many workers: no deadlock."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest
from moves import move, review
from proof import check_acknowledged, check_caps, deadlocks
from sends import send
from storm import Call, Told
from town import Town

HOUR = 3_600_000_000
PEOPLE = [f"p{n}" for n in range(24)]
MOVES = ["accept", "decline", "swap", "swap", "voucher", "refund", "redeem", "review"]
ITEMS = ["coffee", "tea", "cake", "pie", "few", "watch"]


@pytest.fixture(scope="module")
def town(started) -> Town:
    made = started(workers=6, bent=True)
    made.item("few", 5_000, stock=4)
    return made


class Crowd:
    """Clients that do whatever they like with each other's gifts."""

    def __init__(self) -> None:
        self._chance = random.Random(23)
        self._lock = threading.Lock()
        self._gifts: list[tuple[str, str]] = []
        self.told: Counter[tuple[str, int]] = Counter()
        self.last: dict[str, set[str]] = {}

    def act(self, ask) -> None:
        """Send a gift or move one that somebody sent."""
        with self._lock:
            call, gift = self._next()
        told: Told = ask(call)
        with self._lock:
            self._note(told, gift)

    def _next(self) -> tuple[Call, str | None]:
        chance = self._chance
        if not self._gifts or chance.random() < 0.4:
            sender, recipient = chance.sample(PEOPLE, 2)
            return send(sender, recipient, chance.choice(ITEMS)), None
        gift, person = chance.choice(self._gifts[-60:])
        what = chance.choice(MOVES)
        if what == "review":
            return review(gift, chance.random() < 0.7), gift
        if what in {"refund", "redeem"}:
            return move(gift, what), gift
        more = {"item": chance.choice(ITEMS)} if what == "swap" else {}
        return move(gift, what, person=person, **more), gift

    def _note(self, told: Told, gift: str | None) -> None:
        self.told[told.call.about or "send", told.status] += 1
        if told.status in {201, 202}:
            self._gifts.append((str(told.body["gift"]), str(told.call.body["recipient"])))
        elif told.status == 200 and gift is not None:
            self.last.setdefault(gift, set()).add(told.call.about)


_ONLY_ONE_OF = ("accept", "decline", "reject")
_STATES = {
    "accept": {"accepted", "redeemed", "refunded"},
    "decline": {"declined"},
    "redeem": {"redeemed"},
    "refund": {"refunded"},
    "reject": {"cancelled"},
}


@pytest.mark.slow
def test_everything_at_once_leaves_no_deadlock_and_a_clean_ledger(town: Town) -> None:
    crowd = Crowd()

    def days() -> None:
        # Each new day brings new room in the caps, and sweeps of what nobody answered.
        for day in range(1, 13):
            time.sleep(4)
            town.bend_clock(day * 25 * HOUR)

    attempts = town.storm(patient=False).besiege(crowd.act, days, clients=64)
    assert not [one for one in town.seen if one.broken or one.status >= 500]
    assert deadlocks(town) == 0
    kept = dict(tuple(row) for row in town.rows("SELECT gift, state FROM gifts"))
    for gift, made in crowd.last.items():
        assert len([name for name in _ONLY_ONE_OF if name in made]) <= 1, (gift, made)
        for name in made & _STATES.keys():
            assert kept[gift] in _STATES[name], (gift, kept[gift], made)
    assert attempts > 1_000
    # Whatever was refused was so for the state of its gift, never for how it was asked for.
    assert {status for _, status in crowd.told} <= {200, 201, 202, 404, 409}, crowd.told
    for name in {*MOVES, "approve", "reject"} - {"review"}:
        assert crowd.told[name, 200], f"no {name} went through: {crowd.told}"
    assert "expired" in kept.values()
    check_acknowledged(town, town.seen)
    check_caps(town)
    town.audit()
