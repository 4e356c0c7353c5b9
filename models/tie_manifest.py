"""What a tie model writes down of itself beside its members: weights, scale, layout, beginning."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TypeVar

from engine.domain.clock import now
from engine.domain.errors import ManifestMismatch
from engine.domain.pair_state import Layout
from models.features.pair_view import PairView
from models.features.registry import FeatureSet
from models.manifest import Manifest, features_hash, library_versions, read_manifest
from models.tie_blend import Blend
from models.tie_scale import Scale

NAME = "ties"

_Numbers = TypeVar("_Numbers", Blend, Scale)


def tie_manifest(
    features: FeatureSet[PairView],
    layout: Layout,
    blend: Blend,
    scale: Scale,
    *,
    begins: int,
    cutoff: int,
    horizon_us: int,
    seed: int,
) -> Manifest:
    """Return the manifest of a model just fitted on a log since `begins`; times in microseconds."""
    return Manifest(
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
            "begins": begins,
            "half_lives_days": _half_lives(layout),
        },
        metrics={},
        libraries=library_versions("lightgbm", "scikit-learn", "scipy", "numpy"),
    )


def read_tie_manifest(folder: Path, features: FeatureSet[PairView], layout: Layout) -> Manifest:
    """Return the manifest stored in `folder`.

    Raises
    ------
    ManifestMismatch
        If the model was fitted on other features, or on states of another layout.
    ModelError
        If it is missing or unreadable.
    """
    manifest = read_manifest(folder, NAME, features.names)
    found, wanted = manifest.params.get("half_lives_days"), _half_lives(layout)
    if found != wanted:
        raise ManifestMismatch(
            f"the ties model at {folder} reads half-lives of {found} days, not {wanted}",
            "train the model again: lishang train ties",
        )
    return manifest


def numbers_of(manifest: Manifest, kind: type[_Numbers]) -> _Numbers:
    """Return the weights or the scale that a manifest holds.

    Raises
    ------
    ManifestMismatch
        If one of its numbers is missing.
    """
    return kind(*(number_of(manifest, field.name) for field in fields(kind)))


def number_of(manifest: Manifest, name: str) -> float:
    """Return the parameter called `name`.

    Raises
    ------
    ManifestMismatch
        If it is missing or no number.
    """
    value = manifest.params.get(name)
    if not isinstance(value, int | float):
        raise ManifestMismatch(f"the ties model's manifest lacks {name}", "train the model again")
    return float(value)


def _half_lives(layout: Layout) -> str:
    return ",".join(f"{half_life:g}" for half_life in layout.half_lives_days)
