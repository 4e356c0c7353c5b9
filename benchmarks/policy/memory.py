"""Memory over many checks and many swaps of rules, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import click
import numpy as np

from benchmarks.policy.bench import DECISION, EVER, Bench, engine_of, pack_of, read_bench

SAMPLES = 20
_VERSIONS = 100


@dataclass(frozen=True, slots=True)
class Grown:
    """Resident memory in KiB before and after, and by least squares in bytes a step."""

    steps: int
    before_kib: int
    after_kib: int
    bytes_per_step: float


def grown(kind: str, folder: Path, steps: int) -> Grown:
    """Measure `checks` or `swaps` in a fresh process.

    Raises
    ------
    subprocess.CalledProcessError
        If that process fails.
    """
    command = [sys.executable, "-m", "benchmarks.policy.memory", kind, str(folder), str(steps)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return Grown(**json.loads(shown.stdout))


def checking(bench: Bench) -> Callable[[int], None]:
    """Return what makes so many checks, one call each."""
    catalogue, given = bench.catalogue(), bench.fact_sets()
    engine = engine_of(pack_of(bench.rules, catalogue), catalogue)

    def check(count: int) -> None:
        for number in range(count):
            engine.decide_many(DECISION, [given[number % len(given)]], EVER)

    return check


def swapping(bench: Bench) -> Callable[[int], None]:
    """Return what swaps versions so many times, and checks with each.

    Each names its rules in another order, so that none is compiled to what another was.
    """
    catalogue, given = bench.catalogue(), bench.fact_sets()[:20]
    chance = Random(1)
    packs = [
        pack_of(chance.sample(bench.rules, len(bench.rules)), catalogue, version)
        for version in range(1, _VERSIONS + 1)
    ]
    engine = engine_of(packs[0], catalogue)

    def swap(count: int) -> None:
        for number in range(count):
            engine.swap([packs[(number + 1) % _VERSIONS]])
            engine.decide_many(DECISION, given, EVER)

    return swap


def _resident_kib() -> int:
    """Return what Linux says is resident of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4


@click.command()
@click.argument("kind", type=click.Choice(["checks", "swaps"]))
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("steps", type=int)
def main(kind: str, folder: Path, steps: int) -> None:
    """Print the growth over STEPS, after a tenth as many to warm up, as JSON."""
    bench = read_bench(folder)
    act = checking(bench) if kind == "checks" else swapping(bench)
    act(max(steps // 10, 1))
    each = max(steps // SAMPLES, 1)
    resident = [_resident_kib()]
    for _ in range(SAMPLES):
        act(each)
        resident.append(_resident_kib())
    slope = np.polyfit(np.arange(SAMPLES + 1) * each, np.asarray(resident) * 1024.0, 1)[0]
    found = Grown(each * SAMPLES, resident[0], resident[-1], float(slope))
    click.echo(json.dumps({name: getattr(found, name) for name in Grown.__slots__}))


if __name__ == "__main__":
    main()
