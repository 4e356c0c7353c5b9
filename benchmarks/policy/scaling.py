"""How a check grows with the number of rules."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.policy.bench import DECISION, EVER, Bench, engine_of, more_rules, pack_of
from engine.policy.generating import generate

SIZES = (10, 30, 100, 300)


@dataclass(frozen=True, slots=True)
class Growth:
    """Microseconds a check by number of rules, by round; whether every verdict was right."""

    micros: Mapping[int, list[float]]
    exact: bool

    @property
    def medians(self) -> dict[int, float]:
        """The median over rounds."""
        return {size: statistics.median(found) for size, found in self.micros.items()}

    @property
    def exponent(self) -> float:
        """The k of rules^k between the smallest and the largest size: 1 would be linear."""
        least, most = min(self.micros), max(self.micros)
        return math.log(self.medians[most] / self.medians[least]) / math.log(most / least)


def growth(bench: Bench, rounds: int, most: int = max(SIZES)) -> Growth:
    """Measure single checks under 10, 30, 100 and 300 rules (`most` at most), in rounds.

    The rules are the bench's own, then the same with other thresholds; the generated Python
    function says what each check must find.
    """
    catalogue, given = bench.catalogue(), bench.fact_sets()
    number = next(name for name in bench.types if name.endswith("cents"))
    sizes = [size for size in SIZES if size <= most]
    whole = pack_of(more_rules(bench.rules, max(sizes), number), catalogue)
    engines, exact = {}, True
    for size in sizes:
        pack = replace(whole, rules=whole.rules[:size])
        engine = engines[size] = engine_of(pack, catalogue)
        fired = generate(pack).fired
        for facts, verdict in zip(given, engine.decide_many(DECISION, given, EVER), strict=True):
            expected = {pack.rules[index].id for index in fired(facts.values)}
            exact &= {rule.rule for rule in verdict.fired} == expected
    micros: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size, engine in engines.items():
            begun = time.perf_counter()
            for facts in given:
                engine.decide_many(DECISION, [facts], EVER)
            micros[size].append((time.perf_counter() - begun) / len(given) * 1e6)
    for engine in engines.values():
        engine.close()
    return Growth(micros, exact)
