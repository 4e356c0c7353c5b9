"""The paired bootstrap over people: what it covers, what cancels, and what it cannot tell."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.benchmark.tie_bootstrap import Gain, gains, measured
from training.benchmark.tie_measures import MEASURES, MeasuredScore, PairOutcomes, Weights

PEOPLE = 60


def _network(seed: int, people: int = PEOPLE) -> tuple[PairOutcomes, np.ndarray, np.ndarray]:
    """Return pairs whose volumes follow people's and pairs' own rates, a good and a poor score."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(people, 1)
    kept = rng.random(len(first)) < 8 / people
    first, second = first[kept], second[kept]
    person = rng.normal(0, 0.5, people)
    rate = person[first] + person[second] + rng.normal(0, 1, len(first)) - 0.5
    outcomes = PairOutcomes.of(first, second, rng.poisson(np.exp(rate)))
    return outcomes, rate + rng.normal(0, 0.7, len(rate)), rate + rng.normal(0, 2.0, len(rate))


def _gain(seed: int, people: int = PEOPLE, draws: int = 200) -> dict[str, Gain]:
    outcomes, good, poor = _network(seed, people)
    scores = {name: [MeasuredScore.of(outcomes, s)] for name, s in (("a", good), ("b", poor))}
    return gains([outcomes], scores, [("a", "b")], people, seed, draws)["a", "b"]


def test_gains_intervals_cover_the_gain_of_the_whole_population() -> None:
    truth = _gain(99, people=2_000, draws=1)
    covered = dict.fromkeys(MEASURES, 0)
    for seed in range(40):
        for name, gain in _gain(seed).items():
            assert gain.low < gain.high
            covered[name] += gain.low <= truth[name].value <= gain.high
    # 38 of 40 are meant; fewer than 33 would come about less than once in a thousand times.
    assert min(covered[name] for name in ("auc_any", "spearman", "ego_ndcg")) >= 33, covered


def test_gains_of_a_score_over_itself_are_nought_exactly() -> None:
    outcomes, good, _ = _network(1)
    # The same order in other numbers is the same score.
    scores = {"a": [MeasuredScore.of(outcomes, good)], "b": [MeasuredScore.of(outcomes, 3 * good)]}
    found = gains([outcomes], scores, [("a", "b")], PEOPLE, 1, 50)["a", "b"]
    assert set(found.values()) == {Gain(0.0, 0.0, 0.0)}


def test_gains_are_paired_so_that_noise_of_both_cancels() -> None:
    outcomes, good, _ = _network(2)
    nearly = good.copy()
    nearly[:3] += 0.1
    score = [MeasuredScore.of(outcomes, good)]
    scores = {
        "a": score,
        "b": [MeasuredScore.of(outcomes, nearly)],
        "flat": [MeasuredScore.of(outcomes, np.zeros(len(good)))],
    }
    found = gains([outcomes], scores, [("a", "b"), ("a", "flat")], PEOPLE, 2, 200)
    paired, alone = found["a", "b"]["auc_any"], found["a", "flat"]["auc_any"]
    assert paired.high - paired.low < 0.1 * (alone.high - alone.low)
    # A constant score has no rank correlation: no gain over it either.
    assert math.isnan(found["a", "flat"]["spearman"].value)
    assert math.isnan(found["a", "flat"]["spearman"].low)


def test_gains_are_averaged_over_cutoffs_and_repeat_with_the_seed() -> None:
    one, good, poor = _network(3)
    other, well, badly = _network(4)
    scores = {
        "a": [MeasuredScore.of(one, good), MeasuredScore.of(other, well)],
        "b": [MeasuredScore.of(one, poor), MeasuredScore.of(other, badly)],
    }
    both = gains([one, other], scores, [("a", "b")], PEOPLE, 5, 60)
    assert both == gains([one, other], scores, [("a", "b")], PEOPLE, 5, 60)
    assert both != gains([one, other], scores, [("a", "b")], PEOPLE, 6, 60)
    apart = [
        measured([outcome], [scores[name][i]], PEOPLE)["auc_any"]
        for i, outcome in enumerate((one, other))
        for name in ("a", "b")
    ]
    assert both["a", "b"]["auc_any"].value == pytest.approx(
        (apart[0] - apart[1] + apart[2] - apart[3]) / 2
    )


def test_gains_weigh_a_pair_by_the_product_of_its_ends() -> None:
    """The draws, made again by hand: the interval is that of people's multiplicities."""
    outcomes, good, poor = _network(6)
    scores = {"a": [MeasuredScore.of(outcomes, good)], "b": [MeasuredScore.of(outcomes, poor)]}
    found = gains([outcomes], scores, [("a", "b")], PEOPLE, 7, 40)["a", "b"]["auc_any"]
    times = np.random.default_rng(7).multinomial(PEOPLE, np.full(PEOPLE, 1 / PEOPLE), 40)
    given = Weights.of(
        outcomes, (times[:, outcomes.first] * times[:, outcomes.second]).astype(float), times * 1.0
    )
    a, b = (scores[name][0].measures(given)["auc_any"] for name in ("a", "b"))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(a - b, (2.5, 97.5))))


def test_gains_without_any_exchange_have_no_value() -> None:
    silent = PairOutcomes.of([0, 0, 1], [1, 2, 2], [0.0, 0.0, 0.0])
    scores = {name: [MeasuredScore.of(silent, [1.0, 2.0, 3.0])] for name in ("a", "b")}
    for gain in gains([silent], scores, [("a", "b")], 3, 1, 20)["a", "b"].values():
        assert math.isnan(gain.value)
        assert math.isnan(gain.low)
        assert math.isnan(gain.high)
