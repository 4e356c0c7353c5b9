"""Training from the ledger to the registry: export, fit, judge, save, register."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from engine.domain.errors import NotEnoughData
from engine.ledger.database import Database
from engine.ledger.export import export_log
from training.fit_gifts import fit_gifts
from training.fit_offers import fit_offers
from training.fit_ties import fit_ties
from training.fitted import Fitted
from training.log import ExportedLog
from training.registry import ModelRegistry, ModelVersion

FITS: Mapping[str, Callable[[ExportedLog, int], Fitted]] = MappingProxyType(
    {"ties": fit_ties, "gifts": fit_gifts, "offers": fit_offers}
)
"""How each model is fitted: from the exported log, with a seed."""


@dataclass(frozen=True, slots=True)
class Trained:
    """One model's training: its registered version, or why there is none."""

    model: str
    version: ModelVersion | None
    refused: NotEnoughData | None
    metrics: Mapping[str, float]


def train(
    database: Database,
    registry: ModelRegistry,
    models: Sequence[str],
    seed: int,
    promote: bool,
    before: int,
) -> Iterator[Trained]:
    """Fit each of `models` on what was recorded before `before` (microseconds); register it.

    A model for which the log holds too little is reported and the others are still trained.

    Raises
    ------
    ModelError
        If the registry cannot store a model.
    """
    with tempfile.TemporaryDirectory(prefix="lishang-train-") as scratch:
        folder = Path(scratch)
        export_log(database, folder / "log", before)
        log = ExportedLog(folder / "log")
        for model in models:
            try:
                fitted = FITS[model](log, seed)
            except NotEnoughData as error:
                yield Trained(model, None, error, {})
                continue
            fitted.model.save(folder / model)
            params = {"seed": seed, "cutoff": fitted.cutoff, **fitted.params}
            version = registry.publish(model, folder / model, params, fitted.metrics, promote)
            yield Trained(model, version, None, fitted.metrics)
