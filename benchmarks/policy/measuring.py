"""All figures of the policy benchmark, in one run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from benchmarks.policy.bench import DECISION, EVER, Bench, engine_of, pack_of, read_bench
from benchmarks.policy.contenders import OURS, TABLE, contenders
from benchmarks.policy.memory import grown
from benchmarks.policy.rounds import latencies, measured, percentile, ratio
from benchmarks.policy.scaling import growth
from training.benchmark.report import BenchmarkReport

_LATENCY_ROUNDS = 10
_SIGNIFICANT = 6


@dataclass(frozen=True, slots=True)
class Found:
    """The report, which engines were not exact, and every single measurement."""

    report: BenchmarkReport
    inexact: tuple[str, ...]
    raw: Mapping[str, object]

    @property
    def ours_inexact(self) -> bool:
        """Whether any of our own evaluations missed or invented a violation."""
        ours = (OURS, "generated_python", "scaling")
        return any(name.startswith(ours) for name in self.inexact)


def measure(folder: Path, rounds: int, checks: int, swaps: int, most_rules: int) -> Found:
    """Measure the rates, single checks, growth with rules, and memory.

    Parameters
    ----------
    folder
        Where the bench lies.
    rounds
        In how many interleaved rounds every engine decides on all checks.
    checks, swaps
        Over how many of them memory is watched.
    most_rules
        Up to how many rules growth is measured.

    Raises
    ------
    InvalidInput
        If there is no bench.
    """
    bench = read_bench(folder)
    engines = contenders(bench)
    inexact = [engine.name for engine in engines if not engine.is_exact(bench)]
    rates = measured(engines, len(bench.facts), rounds)
    for engine in engines:
        engine.close()
    single = _single_checks(bench)
    scaled = growth(bench, rounds, most_rules)
    if not scaled.exact:
        inexact.append("scaling")
    steady, swapped = grown("checks", folder, checks), grown("swaps", folder, swaps)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    others = [name for name in medians if name != OURS]
    metrics = {
        "decisions_per_second": medians[OURS],
        **{f"ratio_to_{name}": ratio(rates, OURS, name) for name in others},
        "exact": float(OURS not in inexact),
        "p50_us": percentile(single, 0.5),
        "p99_us": percentile(single, 0.99),
        **{f"us_at_{size}_rules": micros for size, micros in scaled.medians.items()},
        "growth_exponent": scaled.exponent,
        "checks": steady.steps,
        "checks_grown_kib": steady.after_kib - steady.before_kib,
        "bytes_per_check": steady.bytes_per_step,
        "swaps": swapped.steps,
        "swaps_grown_kib": swapped.after_kib - swapped.before_kib,
        "bytes_per_swap": swapped.bytes_per_step,
    }
    baselines = {f"{name}_per_second": medians[name] for name in others}
    raw = {
        "decisions_per_second": {name: _plain(found) for name, found in rates.items()},
        "exact": {engine.name: engine.name not in inexact for engine in engines},
        "us_a_check_by_rules": {size: _plain(found) for size, found in scaled.micros.items()},
        "us_a_check_percentiles": {
            share: percentile(single, share) for share in (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
        },
        "checks": asdict(steady),
        "swaps": asdict(swapped),
        "bench": {"rules": len(bench.rules), "checks": len(bench.facts), "rounds": rounds},
    }
    title = f"{len(bench.rules)} rules, {len(bench.facts)} checks, {rounds} interleaved rounds"
    assert TABLE in others
    return Found(BenchmarkReport(title, metrics, baselines), tuple(inexact), raw)


def _single_checks(bench: Bench) -> list[float]:
    """Return the sorted times in microseconds of single checks, validation included."""
    catalogue = bench.catalogue()
    engine = engine_of(pack_of(bench.rules, catalogue), catalogue)
    decide = engine.decide_many
    found = latencies(
        [partial(decide, DECISION, [facts], EVER) for facts in bench.fact_sets()], _LATENCY_ROUNDS
    )
    engine.close()
    return found


def _plain(numbers: list[float]) -> list[float]:
    return [float(f"{number:.{_SIGNIFICANT}g}") for number in numbers]
