"""Seconds and memory of friends in common, on even and on heavy-tailed friendships."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from scipy import sparse

from benchmarks.ties.processes import fresh, resident_gb
from engine.domain.pair_state import Floats, Ints
from models.features.common_friends import common_friends

DEGREE = 20
"""Friends a person has on average."""
BASELINE = "rows"
"""Whole rows of the graph beside one another: what costs both degrees of a pair."""
_BASELINE_BLOCK = 20_000
_NEAR = 40
"""How far on the ring half of the even friendships reach at most."""
_TAIL = 1.5
"""Exponent of the tail of degrees (share with more than d friends ~ d^−1.5)."""
_MOST = 700.0
"""The largest weight a person is drawn with; a million people then have up to some 5,000."""
_CLOSED = 0.3
"""Share of heavy-tailed friendships between two friends of one person."""

Edges = tuple[Ints, Ints]


def even(people: int, friendships: int, chance: np.random.Generator) -> Edges:
    """Draw friendships with degrees about the average, half of them among ring neighbours.

    After D. J. Watts, S. H. Strogatz, Nature 393 (1998) 440–442: the near half closes triangles.
    """
    one = chance.integers(people, size=friendships)
    near = (one + chance.integers(1, _NEAR + 1, size=friendships)) % people
    far = chance.integers(people, size=friendships)
    return one, np.where(chance.random(friendships) < 0.5, near, far)


def heavy(people: int, friendships: int, chance: np.random.Generator) -> Edges:
    """Draw friendships with power-law degrees, some of which close a triangle.

    Ends are drawn by weight (F. Chung, L. Lu, PNAS 99 (2002) 15879–15882); then friends of a
    person, found through a friendship (so mostly of hubs), become friends.
    """
    weight = np.minimum((1 - chance.random(people)) ** (-1 / _TAIL), _MOST)
    share = np.cumsum(weight) / weight.sum()
    closing = int(friendships * _CLOSED)
    plain = (2, friendships - closing)
    drawn = np.searchsorted(share, chance.random(plain)).clip(max=people - 1)
    one, other = drawn[:, np.argsort(drawn[0], kind="stable")]
    begin = np.searchsorted(one, np.arange(people))
    degree = np.bincount(one, minlength=people)
    through = chance.integers(plain[1], size=closing)
    person = one[through]
    beside = begin[person] + (chance.random(closing) * degree[person]).astype(np.int64)
    return np.append(one, other[through]), np.append(other, other[beside])


GRAPHS: dict[str, Callable[[int, int, np.random.Generator], Edges]] = {"even": even, "heavy": heavy}


def make(name: str, friendships: int, seed: int) -> Edges:
    """Return exactly so many different friendships of `friendships / 10` people.

    People are numbered and friendships ordered at random, which is the hardest on a cache.
    """
    people, chance = people_of(friendships), np.random.default_rng(seed)
    found = np.empty(0, dtype=np.int64)
    while len(found) < friendships:
        one, other = GRAPHS[name](people, friendships * 6 // 5, chance)
        key = np.minimum(one, other) * people + np.maximum(one, other)
        found = np.unique(np.append(found, key[one != other]))
    kept = chance.permutation(found)[:friendships]
    number = chance.permutation(people)
    return number[kept // people], number[kept % people]


def people_of(friendships: int) -> int:
    """Return how many people so many friendships are among."""
    return 2 * friendships // DEGREE


def by_rows(people: int, one: Ints, other: Ints) -> Floats:
    """Count the friends in common of all friends, by multiplying rows of the graph."""
    told = np.ones(2 * len(one), dtype=np.bool_)
    ends = (np.append(one, other), np.append(other, one))
    graph = sparse.csr_array((told, ends), shape=(people, people))
    count = np.zeros(len(one))
    for begin in range(0, len(one), _BASELINE_BLOCK):
        block = slice(begin, begin + _BASELINE_BLOCK)
        count[block] = np.diff(graph[one[block]].multiply(graph[other[block]]).indptr)
    return count


def measure(friendships: int, seed: int) -> dict[str, float]:
    """Ask for the friends in common of all friends, in a process of its own each time.

    Parameters
    ----------
    friendships
        How many, 10,000 at least, among a tenth as many people.
    seed
        Of the graphs.

    Returns
    -------
    dict of str to float
        By graph (`even_…`, `heavy_…`): `seconds`, `peak_gb` (resident, of the process),
        `beside_inputs_gb` (without what it held before), `most_friends`, `shared` (friends in
        common, all told) and `differing` (pairs of which the baseline counts otherwise). Before
        the first three, the baseline's under `rows_`.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        If such a process dies, as one that has no memory left does.
    """
    found: dict[str, float] = {}
    with TemporaryDirectory(prefix="lishang-structure-") as folder, fresh() as processes:
        for name in GRAPHS:
            path = Path(folder) / name
            ours, theirs = path.with_suffix(".ours.npy"), path.with_suffix(".rows.npy")
            most = processes.submit(_make, path, name, friendships, seed).result()
            for way, prefix, counts in (("", "", ours), (BASELINE, f"{BASELINE}_", theirs)):
                spent = processes.submit(_ask, path, way, counts).result()
                found |= {f"{prefix}{name}_{key}": value for key, value in spent.items()}
            counted = np.load(ours)
            found[f"{name}_most_friends"] = float(most)
            found[f"{name}_shared"] = float(counted.sum())
            found[f"{name}_differing"] = float((counted != np.load(theirs)).sum())
    return found


def _make(path: Path, name: str, friendships: int, seed: int) -> int:
    """Write a graph; return the most friends anyone has."""
    edges = np.array(make(name, friendships, seed))
    np.save(path.with_suffix(".npy"), edges)
    return int(np.bincount(edges.ravel()).max())


def _ask(path: Path, way: str, counts: Path) -> dict[str, float]:
    """Count on a written graph, write the counts, and return what that took."""
    one, other = np.load(path.with_suffix(".npy"))
    people = people_of(len(one))
    held = resident_gb("VmRSS")
    begun = time.perf_counter()
    if way == BASELINE:
        count = by_rows(people, one, other)
    else:
        count = common_friends(people, one, other, one, other).count
    seconds = time.perf_counter() - begun
    peak = resident_gb("VmHWM")
    np.save(counts, count)
    return {"seconds": seconds, "peak_gb": peak, "beside_inputs_gb": peak - held}


@click.command()
@click.option(
    "--friendships", default=10_000_000, show_default=True, type=click.IntRange(min=10_000)
)
@click.option("--seed", default=1, show_default=True, help="Of the graphs.")
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(friendships: int, seed: int, out: Path | None) -> None:
    """Measure friends in common of so many friends, and print the figures.

    Ends with status 1 if any pair was counted otherwise than by the baseline.
    """
    from training.benchmark.report import BenchmarkReport, emit  # noqa: PLC0415  # slow to load

    found = measure(friendships, seed)
    metrics = {name: value for name, value in found.items() if not name.startswith(BASELINE)}
    baselines = {name: found[name] for name in found if name not in metrics}
    title = f"friends in common of {friendships:,} friendships"
    emit(BenchmarkReport(title, metrics, baselines, ("numpy", "scipy")), out)
    if any(found[f"{name}_differing"] for name in GRAPHS):
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
