"""Interleaved rounds: whatever disturbs the machine disturbs every engine alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the contenders themselves need the benchmark extras
    from benchmarks.policy.contenders import Contender


def measured(contenders: Sequence[Contender], checks: int, rounds: int) -> dict[str, list[float]]:
    """Return each engine's decisions a second in every round.

    In a round each engine decides on all checks once, in an order that turns by one each round.
    """
    for contender in contenders:
        contender.run()
    found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):
            gc.collect()
            begun = time.perf_counter()
            contender.run()
            found[contender.name].append(checks / (time.perf_counter() - begun))
    return found


def ratio(rates: Mapping[str, Sequence[float]], one: str, other: str) -> float:
    """Return how many times as fast one engine is: the median over rounds of their ratio."""
    return statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True))


def latencies(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Return the sorted times of single calls in microseconds."""
    clock = time.perf_counter_ns
    found = []
    for _ in range(rounds):
        for call in calls:
            begun = clock()
            call()
            found.append((clock() - begun) / 1_000)
    return sorted(found)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of the ordered values do not exceed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
