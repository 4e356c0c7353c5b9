"""Which versions of the libraries a model was fitted with, for its manifest."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

MODEL_LIBRARIES = ("lightgbm", "numpy", "scipy", "scikit-learn")
"""Those whose change may change a fit."""


def library_versions(names: Sequence[str] = MODEL_LIBRARIES) -> dict[str, str]:
    """Return the installed version of each library."""
    return {name: version(name) for name in names}
