"""What an ablation learns from and is judged on: windows of real contacts and of a town."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit

from engine.domain.clock import DAY, SECOND
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Layout
from engine.domain.structure import Structure
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from models.tie_blend import NO_TREES, Blend
from models.tie_lines import TieLines
from models.tie_matrix import TieMatrix
from models.tie_rows import TieRows
from models.tie_silence import Silence
from training.benchmark.tie_bootstrap import measured
from training.benchmark.tie_measures import MEASURES, MeasuredScore, PairOutcomes
from training.benchmark.town_ties import START, Town, exported
from training.benchmark.town_truth import TownTruth
from training.evaluate import auc, log_loss, spearman
from training.fit_ties import LONGEST_HORIZON, learning_rows
from training.frames.tie_events import TieEvents
from training.frames.ties import TieFrame, TieFrames
from training.simulate import write_town
from training.simulate.timeline import Span

COPENHAGEN_DAYS = (
    ((9, 3), (10, 3), (11, 3)),
    ((8, 2), (9, 2), (10, 2), (11, 2), (12, 2)),
    ((10, 4),),
)
"""Cut-offs and horizons in days, by horizon. All have ended by day 14, the first cut-off on which
the benchmark reports: nothing of Copenhagen is decided on what it is judged by. (The town of the
other half is the one that `lishang benchmark town-ties` reports.)"""

_TOWN_ROWS = 16_000
"""Enough for lines: with three times as many no figure moved by .001."""

Figures = dict[str, float]
Features = Callable[[Layout], FeatureSet[PairView]]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Rows to learn from, rows to judge on, and how: from (expected, chance) to figures.

    Only the lines of the tie model are fitted: which features trees draw on changes with every
    seed by more than most features are worth.
    """

    features: FeatureSet[PairView]
    learned: TieMatrix
    amount: Floats
    later: TieMatrix
    judge: Callable[[Floats, Floats], Figures]

    def without(self, left_out: Sequence[str]) -> Figures:
        """Return the figures of lines that do not read the features called `left_out`."""
        columns = [i for i, name in enumerate(self.features.names) if name not in left_out]
        features = FeatureSet([self.features.features[column] for column in columns])
        volume = self.features.column("volume")
        tied = self.learned.raw[:, volume] > 0
        known, silent = np.flatnonzero(tied), np.flatnonzero(~tied)
        learned, later = _columns(self.learned, columns), _columns(self.later, columns)
        lines = TieLines.fit(features, learned.take(known), self.amount[known])
        scores, blend = lines.scores(later), Blend.of_lines(self.amount[known])
        tied = self.later.raw[:, volume] > 0
        expected = blend.expected(scores, NO_TREES, self.later.logs[:, volume])
        expected = np.where(tied, expected, 0.0)
        chance = np.where(tied, expit(scores.rate_odds), 0.0)
        silence = Silence.fit(features, learned.take(silent), self.amount[silent])
        if silence is not None:
            expected = np.maximum(expected, silence.expected(later))
            chance = np.maximum(chance, silence.chance(later))
        return self.judge(expected, chance)


def copenhagen(path: Path, features: Features) -> list[list[Window]]:
    """Return windows of a file of contacts (timestamp in seconds, sender, recipient), by horizon.

    Judged by the four measures of the ties benchmark over counting, and by the log loss of
    the uncalibrated chance.
    """
    at, sender, recipient = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64).T
    kinds = np.full(len(at), "message")
    events = TieEvents(sender, recipient, np.ones(len(at)), kinds, at * SECOND)

    def window(cutoff: int, horizon: int) -> Window:
        layout = Layout.scaled_to(cutoff - events.first())
        all_features = features(layout)

        def rows_at(start: int) -> TieRows:
            return events.at(start, horizon, layout).rows

        learned, _ = learning_rows(rows_at, events.first(), cutoff, horizon, 0, layout)
        present = events.at(cutoff, horizon, layout)
        ends = events.ends(present.rows.pair)
        people, numbers = np.unique(np.concatenate(ends), return_inverse=True)
        first, second = np.split(numbers, 2)
        outcomes = PairOutcomes.of(first, second, present.rows.amount)

        def measures(score: Floats) -> Figures:
            return measured([outcomes], [MeasuredScore.of(outcomes, score)], len(people))

        counted = measures(present.count)

        def judge(expected: Floats, chance: Floats) -> Figures:
            found = measures(expected)
            gains = {f"{name}_gain": found[name] - counted[name] for name in MEASURES}
            return gains | {"log_loss": log_loss(present.rows.exchanged, chance)}

        return Window(
            all_features,
            TieMatrix.of_rows(all_features, layout, learned, events.begins()),
            learned.amount,
            TieMatrix.of_rows(all_features, layout, present.rows, events.begins()),
            judge,
        )

    return [[window(day * DAY, days * DAY) for day, days in same] for same in COPENHAGEN_DAYS]


def town(which: Town, seed: int, features: Features) -> list[list[Window]]:
    """Return the last window of a generated town's log, judged as of its beginning.

    By the rank correlation of strength with latent closeness over all two-way friendships, and over
    those of them that had exchanged nothing; by the area under the curve of any exchange in the
    window, the rank correlation with its amount and the log loss, over pairs that had exchanged.
    """
    all_features = features(DEFAULT_LAYOUT)
    with tempfile.TemporaryDirectory(prefix="lishang-town-") as scratch:
        folder = Path(scratch)
        write_town(folder / "town", which.people, which.days, which.seed, START)
        truth = TownTruth.read(folder / "town", Span(START, which.days))
        log = exported(folder)
        first, last = log.span()
        horizon = min(LONGEST_HORIZON, (last + 1 - first) // 8)
        cutoff = last + 1 - horizon
        frames = TieFrames(log)

        def rows_at(start: int) -> TieRows:
            return frames.at(start, horizon, labelled_by=start + horizon).rows

        learned, _ = learning_rows(rows_at, first, cutoff, horizon, seed)
        frame = frames.at(cutoff, horizon)
    drawn = np.random.default_rng(seed).permutation(len(learned))[:_TOWN_ROWS]
    learned = learned.take(np.sort(drawn))
    rows, known = frame.rows, np.arange(frame.known)
    closeness = _closeness(frame, truth, cutoff)
    friends = np.flatnonzero((rows.structure[:, Structure.SINCE] > 0) & np.isfinite(closeness))
    silent = friends[friends >= frame.known]
    exchanged = rows.exchanged[known]

    def judge(expected: Floats, chance: Floats) -> Figures:
        return {
            "spearman_closeness": spearman(expected[friends], closeness[friends]),
            "spearman_closeness_silent": spearman(expected[silent], closeness[silent]),
            "auc_any": auc(exchanged, expected[known]),
            "spearman": spearman(expected[known], rows.amount[known]),
            "log_loss": log_loss(exchanged, chance[known]),
        }

    matrix = TieMatrix.of_rows(all_features, DEFAULT_LAYOUT, learned, first)
    later = TieMatrix.of_rows(all_features, DEFAULT_LAYOUT, rows, first)
    return [[Window(all_features, matrix, learned.amount, later, judge)]]


def _columns(matrix: TieMatrix, columns: Sequence[int]) -> TieMatrix:
    parts = (matrix.raw, matrix.logs, matrix.rates, matrix.log_rates)
    return TieMatrix(*(np.ascontiguousarray(part[:, columns]) for part in parts))


def _closeness(frame: TieFrame, truth: TownTruth, at: int) -> Floats:
    """Return the closeness (n) of a frame's pairs at an instant; NaN of what is no pair."""
    people = len(truth.born)
    first, second = (
        np.array([int(person[1:]) - 1 for person in ends.tolist()], dtype=np.int64)
        for ends in (frame.first, frame.second)
    )
    told = truth.a * people + truth.b
    order = np.argsort(told)
    asked = first * people + second
    place = order[np.minimum(np.searchsorted(told[order], asked), len(told) - 1)]
    found = truth.closeness_at(at // SECOND)[place]
    return np.where(told[place] == asked, found, np.nan)
