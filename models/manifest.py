"""What a stored model says of itself, so that one fitted on other features is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.domain.errors import ManifestMismatch, ModelError

FILE_NAME = "manifest.json"
"""The manifest's name in a model's folder."""


class Manifest(BaseModel):
    """A model's features, its origin in time, and how well it did; times in microseconds."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    model: str
    features: tuple[str, ...]
    features_hash: str
    fitted_at: int
    cutoff: int
    """Nothing recorded at or after this instant was seen in fitting."""
    horizon_us: int
    seed: int
    params: dict[str, float | int | str | bool]
    metrics: dict[str, float]
    libraries: dict[str, str]


def features_hash(model: str, names: Sequence[str]) -> str:
    """Return the SHA-256 (hexadecimal) of the model's name and its feature names, in order."""
    return hashlib.sha256("\n".join((model, *names)).encode()).hexdigest()


def library_versions(*names: str) -> dict[str, str]:
    """Return the installed version of each of the distributions called `names`."""
    return {name: version(name) for name in names}


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` into `folder`, which is made where absent."""
    folder.mkdir(parents=True, exist_ok=True)
    text = manifest.model_dump_json(indent=2)
    (folder / FILE_NAME).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path, model: str, features: Sequence[str]) -> Manifest:
    """Return the manifest in `folder`, provided it belongs to `model` and to `features`.

    Parameters
    ----------
    folder
        Where the model was saved.
    model
        The model that is expected.
    features
        The names this code computes, in the order it computes them.

    Raises
    ------
    ModelError
        If there is no readable manifest.
    ManifestMismatch
        If it names another model or other features; the message says which.
    """
    path = folder / FILE_NAME
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ModelError(
            f"no manifest at {path}", f"train the model: lishang train {model}"
        ) from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ManifestMismatch(
            f"unreadable manifest at {path}: {where}: {problem['msg']}",
            f"train the model again: lishang train {model}",
        ) from error
    if (found := _difference(manifest, model, features)) is not None:
        raise ManifestMismatch(
            f"the stored model at {folder} does not fit this code: {found}",
            f"train the model again: lishang train {model}",
        )
    return manifest


def _difference(manifest: Manifest, model: str, features: Sequence[str]) -> str | None:
    if manifest.model != model:
        return f"it is a {manifest.model!r} model where {model!r} is expected"
    names = tuple(features)
    if manifest.features != names:
        gone = [name for name in manifest.features if name not in names]
        new = [name for name in names if name not in manifest.features]
        parts = [
            f"{label} {', '.join(found)}"
            for label, found in (("features unknown here:", gone), ("features it lacks:", new))
            if found
        ]
        return "; ".join(parts) or "the same features in another order"
    if manifest.features_hash != features_hash(model, names):
        return "its features_hash is not that of its own features"
    return None
