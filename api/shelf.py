"""The champions in service: looked for every two seconds, swapped whole, never for a worse fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import structlog

from engine.domain.errors import ModelError
from engine.domain.ports import GiftRanker, OfferScorer, TieScorer
from training.registry import ModelRegistry

Model = TieScorer | GiftRanker | OfferScorer


# What models are made with (LightGBM, scikit-learn, SciPy, pandas) takes as long to import as all
# the rest of a worker: a service that has no model yet starts without it.
def _load_ties(folder: Path, version: str) -> TieScorer:
    from models.ties import TieModel  # noqa: PLC0415

    return TieModel.load(folder, version)


def _load_gifts(folder: Path, version: str) -> GiftRanker:
    from models.gift_ranking import GiftModel  # noqa: PLC0415

    return GiftModel.load(folder, version)


def _load_offers(folder: Path, version: str) -> OfferScorer:
    from models.offers import OfferModel  # noqa: PLC0415

    return OfferModel.load(folder, version)


LOADERS: Mapping[str, Callable[[Path, str], Model]] = {
    "ties": _load_ties,
    "gifts": _load_gifts,
    "offers": _load_offers,
}
"""How a fetched folder becomes a model of that version."""

POLL_SECONDS = 2.0


class Shelf:
    """Holds the champion of each model and follows the registry.

    Parameters
    ----------
    registry
        Where champions are named.
    cache
        A local folder in which fetched versions are kept.
    loaders
        By model name; the default loads all three.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        cache: Path,
        loaders: Mapping[str, Callable[[Path, str], Model]] = LOADERS,
    ) -> None:
        self._registry = registry
        self._cache = cache
        self._loaders = loaders
        self._models: dict[str, Model] = {}
        self._faults: dict[str, str] = {}
        self._refused: dict[str, tuple[str, ModelError]] = {}
        self._stopping = threading.Event()
        self._notify: Callable[[str, str], None] = lambda _name, _version: None

    @property
    def ties(self) -> TieScorer | None:
        """The tie model in service."""
        return cast("TieScorer | None", self._models.get("ties"))

    @property
    def gifts(self) -> GiftRanker | None:
        """The gift ranker in service."""
        return cast("GiftRanker | None", self._models.get("gifts"))

    @property
    def offers(self) -> OfferScorer | None:
        """The offer model in service."""
        return cast("OfferScorer | None", self._models.get("offers"))

    @property
    def versions(self) -> dict[str, str | None]:
        """The version in service of every model; None where there is none."""
        models = self._models
        return {name: models[name].ref.version if name in models else None for name in LOADERS}

    @property
    def faults(self) -> dict[str, str]:
        """Why a champion is not in service, by model; `registry` where that cannot be asked."""
        return dict(self._faults)

    def refresh(self) -> None:
        """Bring every champion into service that is not yet; a bad one leaves the old in place."""
        try:
            champions = self._registry.champions()
        except ModelError as error:
            self._note_fault("registry", error)
            return
        self._faults.pop("registry", None)
        for name, load in self._loaders.items():
            try:
                self._refresh(name, champions.get(name), load)
            except ModelError as error:
                self._note_fault(name, error)

    def follow(self, notify: Callable[[str, str], None]) -> None:
        """Refresh now and then every two seconds, in the background, until `stop`.

        `notify` is told the name and the version of each model that comes into service.
        """
        self._notify = notify
        self.refresh()
        threading.Thread(target=self._follow, name="model-shelf", daemon=True).start()

    def stop(self) -> None:
        """End following."""
        self._stopping.set()

    def _follow(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self.refresh()

    def _note_fault(self, name: str, error: ModelError) -> None:
        if self._faults.get(name) != str(error):
            structlog.get_logger("shelf").error("model refused", model=name, why=str(error))
        self._faults[name] = str(error)

    def _refresh(self, name: str, version: str | None, load: Callable[[Path, str], Model]) -> None:
        current = self._models.get(name)
        if version is None or (current is not None and current.ref.version == version):
            self._faults.pop(name, None)
            return
        refused_version, refusal = self._refused.get(name, (None, None))
        if refusal is not None and refused_version == version:
            # It will not get better: only another version is tried.
            raise type(refusal)(refusal.message, refusal.hint)
        folder = self._registry.fetch(name, version, self._cache)
        try:
            model = load(folder, version)
        except (OSError, MemoryError) as error:
            raise ModelError(f"version {version} of the {name} model: {error!r}") from error
        except Exception as error:
            # Whatever is wrong with a stored model, the one in service stays and following goes on.
            refusal = error if isinstance(error, ModelError) else _unloadable(name, version, error)
            self._refused[name] = version, refusal
            raise refusal from error
        self._models[name] = model
        self._notify(name, version)
        self._faults.pop(name, None)


def _unloadable(name: str, version: str, error: Exception) -> ModelError:
    return ModelError(
        f"version {version} of the {name} model cannot be loaded: {error!r}",
        "train it again or roll back",
    )
