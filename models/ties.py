"""Tie strength: how much a pair may be expected to exchange, and how likely anything at all."""

from __future__ import annotations

from copy import copy
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from engine.domain.clock import DAY, now
from engine.domain.errors import ManifestMismatch, NotEnoughData
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Ints, Layout
from engine.domain.ports import ModelRef, TieScore
from models.calibration import Calibrator
from models.features.pair import PairView, pair_features
from models.features.registry import FeatureSet
from models.manifest import (
    Manifest,
    features_hash,
    library_versions,
    read_manifest,
    write_manifest,
)
from models.tie_blend import FOLDS, Blend, TieMembers, cross_fitted
from models.tie_rows import TieRows
from models.tie_scale import Scale

NAME = "ties"
UNREGISTERED = "unregistered"
"""The version of a model that no registry has numbered."""

_FEW_ROWS = 2_000
_MANY_ROWS = 20_000
_NO_CHANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TiePredictions:
    """`strength` in 0…1 and calibrated `p_exchange`, n of each."""

    strength: Floats
    p_exchange: Floats


@dataclass(frozen=True, slots=True)
class TieReason:
    """A feature that moved a pair's odds, most moving first; `share` is in log odds."""

    feature: str
    value: float
    share: float
    meaning: str


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
        members: TieMembers,
        blend: Blend,
        calibrator: Calibrator,
        scale: Scale,
        manifest: Manifest,
        version: str = UNREGISTERED,
    ) -> None:
        self.layout = layout
        self.features = pair_features(layout)
        self.manifest = manifest
        self._members = members
        self._blend = blend
        self._calibrator = calibrator
        self._scale = scale
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
        cutoff: int,
        seed: int,
        layout: Layout = DEFAULT_LAYOUT,
    ) -> TieModel:
        """Fit members on `train`; weigh, scale and calibrate them on rows they have not seen.

        Parameters
        ----------
        train
            Pairs at one or more instants.
        held_out
            Pairs at a later instant. When None, the unseen rows are those of `train` itself, each
            scored by members fitted on other pairs (five folds), or a fifth of the pairs if there
            are many: right for short logs.
        horizon_us
            Over which the rows' amounts were added up.
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
        if len(train) < FOLDS * 10:
            raise NotEnoughData(
                f"{len(train)} pairs to learn ties from", "use a longer log or a shorter horizon"
            )
        if held_out is None and len(train) >= _MANY_ROWS:
            train, held_out = train.parted(FOLDS, seed)
        features = pair_features(layout)
        matrix = _matrix(features, layout, train)
        if held_out is None:
            unseen = train
            scores = cross_fitted(features, matrix, train.amount, train.pair, seed)
            members = TieMembers.fit(features, matrix, train.amount, seed)
            volume = _volume(features, matrix)
        else:
            unseen = held_out
            later = _matrix(features, layout, held_out)
            members = TieMembers.fit(features, matrix, train.amount, seed, (later, held_out.amount))
            scores = members.scores(later)
            volume = _volume(features, later)
        blend = Blend.choose(scores, unseen.amount, volume)
        # How often pairs come back drifts while a log grows, so only the latest say how often.
        latest = unseen.at == unseen.at.max()
        calibrator = Calibrator.fit(
            scores.odds(blend.odds_trees)[latest],
            unseen.exchanged[latest],
            "platt" if np.count_nonzero(latest) < _FEW_ROWS else "isotonic",
        )
        scale = Scale.fit(
            blend.expected(scores, volume)[latest],
            unseen.amount[latest],
            oldest_days=float(matrix[:, features.column("age")].max()),
            fade_days=layout.half_lives_days[-1],
        )
        manifest = Manifest(
            model=NAME,
            features=features.names,
            features_hash=features_hash(NAME, features.names),
            fitted_at=now(),
            cutoff=cutoff,
            horizon_us=horizon_us,
            seed=seed,
            params={
                **asdict(blend),
                **asdict(scale),
                "half_lives_days": _half_lives(layout),
            },
            metrics={},
            libraries=library_versions("lightgbm", "scikit-learn", "numpy"),
        )
        return cls(layout, members, blend, calibrator, scale, manifest)

    def with_metrics(self, metrics: dict[str, float]) -> TieModel:
        """Return this model with `metrics` in its manifest."""
        judged = copy(self)
        judged.manifest = self.manifest.model_copy(update={"metrics": dict(metrics)})
        return judged

    def predict(self, out: Floats, back: Floats, at: int | Ints) -> TiePredictions:
        """Return strength and chance for n pairs of states (n × width each) as of `at`.

        The two states may be swapped without a change. A pair that never exchanged anything has
        strength 0 and as good as no chance.
        """
        view = PairView.of(self.layout, out, back, at)
        return self._predicted(self.features.compute(view, len(out)))

    def score(self, out: Floats, back: Floats, at: int) -> list[TieScore]:
        """Return the scores of n pairs, as `TieScorer` says."""
        if len(out) == 0:
            return []
        matrix = self.features.compute(PairView.of(self.layout, out, back, at), len(out))
        found = self._predicted(matrix)
        silent = matrix[:, self.features.column("age")] * DAY >= self.manifest.horizon_us
        dormant = silent & (found.p_exchange < self._scale.dormant_below)
        rows = zip(
            found.strength.tolist(), found.p_exchange.tolist(), dormant.tolist(), strict=True
        )
        return [TieScore(s, p, self._scale.tie_class(s, asleep)) for s, p, asleep in rows]

    def explain(
        self, out: Floats, back: Floats, at: int, limit: int = 3
    ) -> list[tuple[TieReason, ...]]:
        """Return for each of n pairs up to `limit` features that moved its odds most.

        The shares are exact parts of the log odds: SHAP values of the trees and the line's own
        terms, in the blend's proportion. A pair without events has no reasons.
        """
        matrix = self.features.compute(PairView.of(self.layout, out, back, at), len(out))
        shares = self._members.odds_contributions(matrix, self._blend.odds_trees)
        events = matrix[:, self.features.column("events")]
        found: list[tuple[TieReason, ...]] = []
        for row in range(len(matrix)):
            order = np.argsort(-np.abs(shares[row]), kind="stable")[:limit]
            reasons = [
                TieReason(
                    self.features.names[column],
                    float(matrix[row, column]),
                    float(shares[row, column]),
                    self.features.features[column].meaning,
                )
                for column in order
                if shares[row, column] != 0.0
            ]
            found.append(tuple(reasons) if events[row] > 0 else ())
        return found

    def save(self, folder: Path) -> None:
        """Write the model and its manifest into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._members.save(folder)
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
        manifest = read_manifest(folder, NAME, features.names)
        if manifest.params.get("half_lives_days") != _half_lives(layout):
            raise ManifestMismatch(
                f"the ties model at {folder} reads half-lives of "
                f"{manifest.params.get('half_lives_days')} days, not {_half_lives(layout)}",
                "train the model again: lishang train ties",
            )
        return cls(
            layout,
            TieMembers.load(folder, features),
            Blend(*(_number(manifest, field.name) for field in fields(Blend))),
            Calibrator.load(folder / "calibration.json"),
            Scale(*(_number(manifest, field.name) for field in fields(Scale))),
            manifest,
            version,
        )

    def _predicted(self, matrix: Floats) -> TiePredictions:
        scores = self._members.scores(matrix)
        volume = _volume(self.features, matrix)
        left = self._scale.faded(matrix[:, self.features.column("age")])
        strength = self._scale.strength(self._blend.expected(scores, volume) * left)
        chance = self._calibrator.predict(scores.odds(self._blend.odds_trees)) * left
        # However long ago: who once exchanged is no less likely to than who never did.
        chance = np.maximum(chance, _NO_CHANCE)
        known = matrix[:, self.features.column("events")] > 0
        return TiePredictions(np.where(known, strength, 0.0), np.where(known, chance, _NO_CHANCE))


def _matrix(features: FeatureSet[PairView], layout: Layout, rows: TieRows) -> Floats:
    return features.compute(PairView.of(layout, rows.out, rows.back, rows.at), len(rows))


def _volume(features: FeatureSet[PairView], matrix: Floats) -> Floats:
    """Return log(1 + all that each pair ever exchanged)."""
    return np.asarray(np.log1p(matrix[:, features.column("volume")]))


def _half_lives(layout: Layout) -> str:
    return ",".join(f"{half_life:g}" for half_life in layout.half_lives_days)


def _number(manifest: Manifest, name: str) -> float:
    value = manifest.params.get(name)
    if not isinstance(value, int | float):
        raise ManifestMismatch(f"the ties model's manifest lacks {name}", "train the model again")
    return float(value)
