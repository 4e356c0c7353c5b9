"""64 clients move gifts at once: of moves that exclude each other one is made, and once."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from moves import accepted, answers, endings, new_gifts, repeated, reviews, swaps
from proof import check_acknowledged, check_caps, deadlocks
from storm import Call
from town import Town

HOUR = 3_600_000_000


@pytest.fixture(scope="module")
def town(started) -> Town:
    return started(bent=True)


def _run(town: Town, races) -> int:
    told = town.storm(patient=False).run([call for race in races for call in race.calls])
    turns = iter(told)
    faults = [
        (race.name, fault)
        for race in races
        if (fault := race.fault(town, [next(turns) for _ in race.calls]))
    ]
    assert Counter(faults) == {}
    assert not [one for one in told if one.broken]
    return len(told)


def _prove(town: Town) -> None:
    check_acknowledged(town, town.seen)
    check_caps(town)
    assert deadlocks(town) == 0
    town.audit()


@pytest.mark.parametrize(
    "calls", [pytest.param(300, id="short"), pytest.param(9_000, id="long", marks=pytest.mark.slow)]
)
def test_moves_at_once_exclude_each_other(town: Town, calls: int) -> None:
    made = 0
    while made < calls:
        few = f"few-{made}-{calls}"
        town.item(few, 5_000, stock=3)
        made += _run(
            town,
            [
                *(answers(gift, person) for gift, person in new_gifts(town, 12, "coffee")),
                *(answers(gift, person) for gift, person in new_gifts(town, 6, "cake")),
                *(endings(gift, code) for gift, code in accepted(town, 12, "coffee")),
                *(endings(gift, None) for gift, _ in accepted(town, 6, "cake")),
                *(repeated(gift, person) for gift, person in new_gifts(town, 4, "cake")),
                *(reviews(gift) for gift, _ in new_gifts(town, 8, "watch")),
                swaps(new_gifts(town, 8, "cake"), few, 3),
            ],
        )
    _prove(town)


@pytest.mark.parametrize(
    "gifts", [pytest.param(40, id="short"), pytest.param(400, id="long", marks=pytest.mark.slow)]
)
def test_answers_at_the_instant_of_expiry_are_in_time_or_refused(town: Town, gifts: int) -> None:
    sent = new_gifts(town, gifts, "cake")
    races = [answers(gift, person) for gift, person in sent]
    storm = town.storm(patient=False)
    answered = "SELECT count(*) FROM gifts WHERE state IN ('accepted', 'declined')"
    before = town.one(answered)

    def end_the_day() -> None:
        """Let the 24 hours be over in the middle of it, and housekeeping begin to sweep."""
        until = time.monotonic() + 60
        while town.one(answered) < before + gifts // 8 and time.monotonic() < until:
            time.sleep(0.001)
        town.bend_clock(25 * HOUR)

    told = storm.run([call for race in races for call in race.calls], meanwhile=end_the_day)
    turns = iter(told)
    until = time.monotonic() + 60
    due = "SELECT count(*) FROM gifts WHERE due_at IS NOT NULL AND state <> 'accepted'"
    while town.one(due):
        assert time.monotonic() < until, "gifts are due and nobody sweeps"
        time.sleep(0.1)
    states = Counter()
    for race in races:
        [gift] = race.gifts
        mine = [next(turns) for _ in race.calls]
        made = {one.call.about for one in mine if one.status == 200} - {"swap"}
        assert {one.status for one in mine} <= {200, 409}
        state = town.one("SELECT state FROM gifts WHERE gift = :gift", gift=gift)
        assert made == {"accepted": {"accept"}, "declined": {"decline"}, "expired": set()}[state]
        states[state] += 1
        # What ended by itself gave the money back once: the sender sees one expiry.
        view = storm.ask(Call(f"/v1/gifts/{gift}", {}, method="GET")).body["state"]
        assert view == ("accepted" if state == "accepted" else "expired")
    assert states["expired"], states
    town.bend_clock(0)
    _prove(town)
