"""64 clients send at once: no cap and no stock is passed, nothing is lost, nothing is twice."""

from __future__ import annotations

from collections import Counter

import pytest
from proof import check_acknowledged, check_caps, deadlocks
from sends import fault_of, rounds, sender_hour, sender_month
from town import Town


@pytest.fixture(scope="module")
def town(started) -> Town:
    return started()


@pytest.mark.parametrize(
    "calls",
    [pytest.param(750, id="short"), pytest.param(11_000, id="long", marks=pytest.mark.slow)],
)
def test_sends_at_once_stop_exactly_at_every_cap(town: Town, calls: int) -> None:
    made = 0
    while made < calls:
        groups = [group for _ in range(2) for group in rounds(town, 1)]
        told = town.storm(patient=False).run([call for group in groups for call in group.calls])
        turns = iter(told)
        faults = [fault_of(group, [next(turns) for _ in group.calls]) for group in groups]
        assert Counter(fault for fault in faults if fault) == {}
        assert not [one for one in told if one.broken]
        made += len(told)
    check_acknowledged(town, town.seen)
    check_caps(town)
    assert deadlocks(town) == 0
    town.audit()


def test_sends_of_one_person_at_one_instant_stop_at_the_caps_of_hour_and_month(town: Town) -> None:
    # Who came first has the locks last as often as not, so the instants come in no order.
    faults = []
    for group in rounds(town, 15, only=(sender_hour, sender_month)):
        told = town.storm(patient=False).run(group.calls, clients=len(group.calls))
        faults.append(fault_of(group, told))
    assert Counter(fault for fault in faults if fault) == {}
    check_acknowledged(town, town.seen)
    town.audit()
