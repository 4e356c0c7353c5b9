"""Orders gift ideas: LightGBM lambdarank over what is known of recipient, friends and sender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import lightgbm as lgb
import numpy as np

from engine.domain.gifts import Item
from engine.domain.pair_state import Floats, Ints
from engine.domain.ports import GiftCandidate, GiftContext, ModelRef, RankedGift
from models.boosting import load_booster, predict, save_booster, train_booster
from models.features.gift import GIFT_FEATURES, MONOTONE, gift_features
from models.gift_reasons import gift_reasons
from models.gift_retrieval import GiftRetrieval
from models.manifest import Manifest, read_manifest, write_manifest

NAME = "gifts"
"""The model's name in the registry."""

RANKER_PARAMS: dict[str, float | int | str | bool] = {
    "objective": "lambdarank",
    "learning_rate": 0.08,
    "num_leaves": 7,
    "min_data_in_leaf": 100,
    "lambda_l2": 1.0,
    "max_bin": 63,
    "lambdarank_truncation_level": 20,
    "monotone_constraints": ",".join(str(direction) for direction in MONOTONE),
}
ROUNDS = 100

_BOOSTER = "ranker.txt"
_REPEATS = "repeats"


@dataclass(frozen=True, slots=True, eq=False)
class GiftModel:
    """Finds, orders and explains gift ideas; implements `GiftRanker`."""

    retrieval: GiftRetrieval
    booster: lgb.Booster
    manifest: Manifest
    version: str = ""

    @property
    def ref(self) -> ModelRef:
        """Which model this is."""
        return ModelRef(NAME, self.version)

    def candidates(self, context: GiftContext, limit: int) -> list[GiftCandidate]:
        """Return up to `limit` distinct items, the best of each source in turn."""
        return self.retrieval.candidates(self.retrieval.evidence(context), limit)

    def rank(
        self, context: GiftContext, candidates: Sequence[GiftCandidate], items: Sequence[Item]
    ) -> list[RankedGift]:
        """Order the candidates, best first; those above the budget come after all others.

        Parameters
        ----------
        context
            Whom the gift is for.
        candidates
            The ideas, m.
        items
            Their catalogue entries, in the same order; they tell price, category and kind.
        """
        if not candidates:
            return []
        features = gift_features(self.retrieval, self.retrieval.evidence(context), items)
        scores = predict(self.booster, features)
        budget = context.budget_fen
        price = np.array([item.price_fen for item in items], dtype=np.int64)
        above = np.zeros(len(items), dtype=bool) if budget is None else price > budget
        reasons = gift_reasons(
            features,
            scores,
            partial(predict, self.booster),
            np.full(len(items), budget is not None) & ~above,
            context.occasion != "none",
        )
        order = np.lexsort((-scores, above))
        return [RankedGift(candidates[row].item, float(scores[row]), reasons[row]) for row in order]

    def save(self, folder: Path) -> None:
        """Write the model and its manifest into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.retrieval.save(folder)
        save_booster(self.booster, folder / _BOOSTER)
        params = {**self.manifest.params, _REPEATS: self.retrieval.repeats}
        write_manifest(folder, self.manifest.model_copy(update={"params": params}))

    @classmethod
    def load(cls, folder: Path, version: str) -> GiftModel:
        """Return the model stored in `folder`.

        Raises
        ------
        ModelError
            If a part is absent or unreadable.
        ManifestMismatch
            If it was fitted on other features than this code computes.
        """
        manifest = read_manifest(folder, NAME, GIFT_FEATURES)
        retrieval = GiftRetrieval.load(folder, bool(manifest.params.get(_REPEATS, False)))
        return cls(retrieval, load_booster(folder / _BOOSTER, GIFT_FEATURES), manifest, version)


def fit_ranker(features: Floats, chosen: Floats, group: Ints, seed: int) -> lgb.Booster:
    """Fit the ranker.

    Parameters
    ----------
    features
        Rows × `len(GIFT_FEATURES)`, query after query.
    chosen
        1 for what was chosen, else 0; one a row.
    group
        Rows of each query.
    seed
        Of every random choice.
    """
    return train_booster(
        RANKER_PARAMS,
        features,
        chosen,
        names=GIFT_FEATURES,
        seed=seed,
        rounds=ROUNDS,
        group=group,
    )
