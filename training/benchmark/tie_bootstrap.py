"""How sure a gain over a baseline is: the same people drawn again for both, a thousand times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.domain.pair_state import Floats
from training.benchmark.tie_measures import MEASURES, MeasuredScore, PairOutcomes, Weights

DRAWS = 1_000
_COVERED = (2.5, 97.5)
_BLOCK = 250_000
"""Weights of pairs drawn at a time: a few megabytes, which a processor holds near itself."""


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much one score's measure exceeds another's, and the 95 % interval of that."""

    value: float
    low: float
    high: float


def measured(
    outcomes: Sequence[PairOutcomes], scores: Sequence[MeasuredScore], people: int
) -> dict[str, float]:
    """Return each measure of one score (prepared at each cut-off), averaged over the cut-offs.

    A cut-off at which a measure has no value makes the average have none.
    """
    once = [
        score.measures(Weights.of(one, np.ones((1, len(one))), np.ones((1, people))))
        for one, score in zip(outcomes, scores, strict=True)
    ]
    return {name: float(np.mean([found[name][0] for found in once])) for name in MEASURES}


def gains(
    outcomes: Sequence[PairOutcomes],
    scores: Mapping[str, Sequence[MeasuredScore]],
    against: Sequence[tuple[str, str]],
    people: int,
    seed: int,
    draws: int = DRAWS,
) -> dict[tuple[str, str], dict[str, Gain]]:
    """Return the gains of scores over others with intervals of a paired bootstrap over people.

    Each draw takes `people` of the people with replacement. A pair is there as often as both of
    its ends together allow: the product of their multiplicities (the vertex bootstrap of Snijders
    and Borgatti, "Non-parametric standard errors and tests for network statistics", Connections
    22(2), 1999; nobody is tied to their own copy, so no dyad has to be made up). All ties of a
    person come and go together, which pairs drawn one by one would not show. Where the noise of
    pairs outweighs that of people these intervals are too wide rather than too narrow (Owen, "The
    pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007). One draw serves all scores and
    all cut-offs, so that what they share cancels. Who is heavy stays as in the whole sample.

    Parameters
    ----------
    outcomes
        What followed, one entry a cut-off; people numbered 0…`people`−1 alike in all.
    scores
        By name, the scores prepared at each cut-off.
    against
        Which score is compared with which.
    people
        How many there are, one at least.
    seed
        Of the draws.

    Returns
    -------
    dict
        For each comparison and measure the gain in the sample and the interval between the 2.5th
        and 97.5th percentile. A draw that leaves a cut-off nothing to measure is left out; NaN
        when all are.
    """
    sample = {name: measured(outcomes, prepared, people) for name, prepared in scores.items()}
    drawn = _drawn(outcomes, scores, people, seed, draws)
    return {
        (one, other): {
            name: Gain(
                sample[one][name] - sample[other][name],
                *_interval(drawn[one][name] - drawn[other][name]),
            )
            for name in MEASURES
        }
        for one, other in against
    }


def _drawn(
    outcomes: Sequence[PairOutcomes],
    scores: Mapping[str, Sequence[MeasuredScore]],
    people: int,
    seed: int,
    draws: int,
) -> dict[str, dict[str, Floats]]:
    """Return each measure of each score (draws), averaged over the cut-offs."""
    rng = np.random.default_rng(seed)
    found = {name: {m: np.empty(draws) for m in MEASURES} for name in scores}
    chance = np.full(people, 1.0 / people)
    block = max(1, _BLOCK // max([len(one) for one in outcomes] + [people]))
    for begin in range(0, draws, block):
        rows = slice(begin, min(begin + block, draws))
        size = rows.stop - rows.start
        times = rng.multinomial(people, chance, size).astype(np.float64)
        given = [
            Weights.of(one, times.take(one.first, axis=1) * times.take(one.second, axis=1), times)
            for one in outcomes
        ]
        for name, prepared in scores.items():
            parts = [score.measures(own) for score, own in zip(prepared, given, strict=True)]
            for measure in MEASURES:
                found[name][measure][rows] = np.mean([part[measure] for part in parts], axis=0)
    return found


def _interval(differences: Floats) -> tuple[float, float]:
    known = differences[np.isfinite(differences)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.percentile(known, _COVERED)
    return float(low), float(high)
