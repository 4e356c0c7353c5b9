"""Tie strength: how much a pair may be expected to exchange, and how likely anything at all."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.domain.clock import DAY
from engine.domain.errors import NotEnoughData
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Ints, Layout
from engine.domain.ports import ModelRef, TieReason, TieScore
from engine.domain.structure import Structure
from models.calibration import Calibrator
from models.features.pair import pair_features
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from models.manifest import Manifest, write_manifest
from models.tie_blend import NO_TREES, Blend
from models.tie_lines import TieLines
from models.tie_manifest import NAME, number_of, numbers_of, read_tie_manifest, tie_manifest
from models.tie_matrix import TieMatrix
from models.tie_reasons import reasons_of
from models.tie_rows import TieRows
from models.tie_scale import Scale
from models.tie_silence import Silence
from models.tie_trees import TieTrees

UNREGISTERED = "unregistered"
"""The version of a model that no registry has numbered."""

_FEWEST_ROWS = 50
FADE_DAYS = 180.0
"""Half of every expectation is left after so many days of a silence longer than any seen."""
_NO_CHANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TiePredictions:
    """`strength` in 0…1 and calibrated `p_exchange`, n of each."""

    strength: Floats
    p_exchange: Floats


class TieModel:
    """Scores pairs from their two directed states; a `TieScorer`.

    Parameters
    ----------
    layout
        Of the states it scores; what is served uses the default layout.
    """

    def __init__(
        self,
        layout: Layout,
        lines: TieLines,
        trees: TieTrees | None,
        silence: Silence | None,
        blend: Blend,
        calibrator: Calibrator,
        scale: Scale,
        manifest: Manifest,
        version: str = UNREGISTERED,
    ) -> None:
        self.layout = layout
        self.features = pair_features(layout)
        self.manifest = manifest
        self._lines = lines
        self._trees = trees
        self._silence = silence
        self._blend = blend
        self._calibrator = calibrator
        self._scale = scale
        self._begins = int(number_of(manifest, "begins"))
        self._version = version

    @property
    def ref(self) -> ModelRef:
        """Which model this is."""
        return ModelRef(NAME, self._version)

    @classmethod
    def fit(
        cls,
        train: TieRows,
        held_out: TieRows | None,
        horizon_us: int,
        begins: int,
        cutoff: int,
        seed: int,
        layout: Layout = DEFAULT_LAYOUT,
    ) -> TieModel:
        """Fit on `train`; weigh, scale and calibrate on rows that were not fitted on.

        Parameters
        ----------
        train
            Pairs at one or more instants, those without events among them.
        held_out
            Pairs at a later instant: what weighs the trees against the lines. None for logs too
            short or too small for that: there lines alone are fitted, and their own probabilities
            hold. (On Copenhagen, 300 to 600 pairs, trees looked better on other pairs of the same
            weeks and ranked worse in later ones; and a second calibration on the windows of the
            fit drew every probability to the mean of those.)
        horizon_us
            Over which the rows' amounts were added up.
        begins
            Since when the log has been written (microseconds).
        cutoff
            The instant by which all of the rows' horizons had ended.
        seed
            Of every random choice.
        layout
            Of the rows' states.

        Raises
        ------
        NotEnoughData
            If there are too few rows, or all of them exchanged something, or none did.
        """
        features = pair_features(layout)
        known = train.known(layout)
        silent, train = train.take(~known), train.take(known)
        if len(train) < _FEWEST_ROWS:
            raise NotEnoughData(
                f"{len(train)} pairs to learn ties from", "use a longer log or a shorter horizon"
            )
        matrix = TieMatrix.of_rows(features, layout, train, begins)
        lines = TieLines.fit(features, matrix, train.amount)
        if held_out is None:
            unseen, later, trees = train, matrix, None
            line_scores, tree_scores = lines.scores(matrix), NO_TREES
            blend, calibrator = Blend.of_lines(train.amount), Calibrator.identity()
        else:
            unseen = held_out.take(held_out.known(layout))
            later = TieMatrix.of_rows(features, layout, unseen, begins)
            trees = TieTrees.fit(features, matrix, train.amount, later, unseen.amount, seed)
            line_scores, tree_scores = lines.scores(later), trees.scores(later)
            blend = Blend.choose(line_scores, tree_scores, unseen.amount)
            calibrator = Calibrator.fit(blend.chance(line_scores, tree_scores), unseen.exchanged)
        latest = unseen.at == unseen.at.max()
        expected = blend.expected(line_scores, tree_scores, _volume(features, later))
        # A log may end in a window in which nobody exchanged anything.
        scaled = latest if unseen.exchanged[latest].any() else np.ones_like(latest)
        scale = Scale.fit(
            expected[scaled],
            unseen.amount[scaled],
            oldest_days=float(matrix.raw[:, features.column("age")].max()),
            fade_days=FADE_DAYS,
        )
        silence = Silence.fit(
            features, TieMatrix.of_rows(features, layout, silent, begins), silent.amount
        )
        times = {"begins": begins, "cutoff": cutoff, "horizon_us": horizon_us}
        manifest = tie_manifest(features, layout, blend, scale, seed=seed, **times)
        return cls(layout, lines, trees, silence, blend, calibrator, scale, manifest)

    def with_metrics(self, metrics: dict[str, float]) -> TieModel:
        """Return this model with `metrics` in its manifest."""
        judged = copy(self)
        judged.manifest = self.manifest.model_copy(update={"metrics": dict(metrics)})
        return judged

    def predict(
        self, out: Floats, back: Floats, structure: Floats, at: int | Ints
    ) -> TiePredictions:
        """Return strength and chance for n pairs of states (n × width each) as of `at`.

        The two states may be swapped without a change. Of a pair that never exchanged anything
        only the structure (n × `engine.domain.structure.WIDTH`) tells.
        """
        view = PairView.of(self.layout, out, back, structure, at)
        return self._predicted(view, TieMatrix.of(self.features, view, self._begins))

    def score(self, out: Floats, back: Floats, structure: Floats, at: int) -> list[TieScore]:
        """Return the scores of n pairs, as `TieScorer` says."""
        if len(out) == 0:
            return []
        view = PairView.of(self.layout, out, back, structure, at)
        matrix = TieMatrix.of(self.features, view, self._begins)
        found = self._predicted(view, matrix)
        silent = matrix.raw[:, self.features.column("age")] * DAY >= self.manifest.horizon_us
        dormant = silent & (found.p_exchange < self._scale.dormant_below)
        rows = zip(
            found.strength.tolist(),
            found.p_exchange.tolist(),
            dormant.tolist(),
            view.asymmetry().tolist(),
            view.observations().tolist(),
            strict=True,
        )
        classed = self._scale.tie_class
        return [TieScore(s, p, classed(s, asleep), a, n) for s, p, asleep, a, n in rows]

    def explain(
        self, out: Floats, back: Floats, structure: Floats, at: int
    ) -> list[tuple[TieReason, ...]]:
        """Return for each of n pairs up to three reasons, as `TieScorer` says.

        Their shares are exact parts of the log odds that the strength reads: the line's own terms
        and the SHAP values of the trees, in the blend's proportion.
        """
        view = PairView.of(self.layout, out, back, structure, at)
        matrix = TieMatrix.of(self.features, view, self._begins)
        shares = self._lines.odds.contributions(matrix.logs)
        part = self._blend.odds_trees
        if self._trees is not None and part > 0.0:
            shares = (1.0 - part) * shares + part * self._trees.odds_contributions(matrix)
        never = view.events() == 0
        shares[never] = 0.0
        if self._silence is not None:
            shares[never] = self._silence.contributions(matrix)[never]
        return reasons_of(self.features, view, shares)

    def save(self, folder: Path) -> None:
        """Write the model and its manifest into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lines.save(folder)
        if self._trees is not None:
            self._trees.save(folder)
        if self._silence is not None:
            self._silence.save(folder)
        self._calibrator.save(folder / "calibration.json")
        write_manifest(folder, self.manifest)

    @classmethod
    def load(
        cls, folder: Path, version: str = UNREGISTERED, layout: Layout = DEFAULT_LAYOUT
    ) -> TieModel:
        """Return the model stored in `folder`, called `version`.

        Raises
        ------
        ManifestMismatch
            If it was fitted on other features, or on states of another layout.
        ModelError
            If a file is missing or unreadable.
        """
        features = pair_features(layout)
        manifest = read_tie_manifest(folder, features, layout)
        return cls(
            layout,
            TieLines.load(folder, features),
            TieTrees.load(folder, features),
            Silence.load(folder, features),
            numbers_of(manifest, Blend),
            Calibrator.load(folder / "calibration.json"),
            numbers_of(manifest, Scale),
            manifest,
            version,
        )

    def _predicted(self, view: PairView, matrix: TieMatrix) -> TiePredictions:
        blend, lines, trees = self._blend, self._lines.scores(matrix), NO_TREES
        if self._trees is not None:
            trees = self._trees.scores(
                matrix,
                odds=blend.odds_trees > 0.0 or blend.chance_trees > 0.0,
                amount=blend.amount_trees > 0.0,
            )
        known = view.events() > 0
        left = np.where(known, self._scale.faded(matrix.raw[:, self.features.column("age")]), 0.0)
        expected = blend.expected(lines, trees, _volume(self.features, matrix)) * left
        chance = np.maximum(self._calibrator.predict(blend.chance(lines, trees)) * left, _NO_CHANCE)
        if self._silence is not None:
            # However long ago: who once exchanged is no less likely to than who never did.
            # Of strangers nothing is known, nor expected.
            seen = view.around(Structure.AS_OF) > 0
            expected = np.maximum(expected, np.where(seen, self._silence.expected(matrix), 0.0))
            chance = np.maximum(chance, np.where(seen, self._silence.chance(matrix), 0.0))
        return TiePredictions(self._scale.strength(expected), chance)


def _volume(features: FeatureSet[PairView], matrix: TieMatrix) -> Floats:
    """Return log(1 + all that each pair ever exchanged)."""
    return matrix.logs[:, features.column("volume")]
