"""Shelves: how somebody of a lifestyle, with a price and an occasion in mind, picks an item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.domain.occasions import OCCASIONS
from training.simulate.assumptions import TasteAssumptions
from training.simulate.catalogue import Catalogue
from training.simulate.chance import Floats, Ints, Urns
from training.simulate.lifestyles import LIFESTYLES
from training.simulate.people import Population
from training.simulate.products import BRANDS

PRICE_POINTS = (500.0, 1_400.0, 3_000.0, 8_000.0, 17_000.0, 40_000.0)
"""The prices people have in mind, in fen."""

CROWD = len(LIFESTYLES)
"""The row of somebody who follows what is popular."""


def price_point(fen: Floats) -> Ints:
    """Return the index of the price point nearest (by ratio) to each budget in fen."""
    log_points = np.log(np.asarray(PRICE_POINTS))
    return np.searchsorted((log_points[1:] + log_points[:-1]) / 2, np.log(fen))


@dataclass(frozen=True, slots=True)
class Shelves:
    """Urns of items by lifestyle × occasion × price point, and by brand × price point."""

    by_lifestyle: Urns
    by_brand: Urns
    lifestyle_of: Urns
    """People's lifestyles (people × lifestyles)."""

    @classmethod
    def arrange(cls, catalogue: Catalogue, people: Population, given: TasteAssumptions) -> Shelves:
        """Fill the shelves from the catalogue's hidden appeal."""
        points = np.log(np.asarray(PRICE_POINTS))[:, None]
        misfit = (np.log(catalogue.price_fen)[None, :] - points) / given.price_log_sd
        price = np.exp(-0.5 * misfit**2) + 1e-9
        appeal = np.exp(np.vstack([catalogue.appeal, np.zeros((1, len(catalogue)))]))
        appeal /= appeal.mean(axis=1, keepdims=True)
        known = np.exp(catalogue.popularity)
        lift = np.exp(given.occasion_lift * catalogue.fits)
        weights = appeal[:, None, None, :] * lift[None, :, None, :] * (price * known)[None, None]
        brand = (catalogue.brand[None, :] == np.arange(len(BRANDS))[:, None]).astype(np.float64)
        loyal = brand[:, None, :] * (price * known)[None]
        return cls(
            by_lifestyle=Urns.of(weights.reshape(-1, len(catalogue))),
            by_brand=Urns.of(loyal.reshape(-1, len(catalogue))),
            lifestyle_of=Urns.of(people.taste),
        )

    def pick(self, rng: np.random.Generator, lifestyle: Ints, occasion: Ints, fen: Floats) -> Ints:
        """Return an item for each lifestyle (or `CROWD`), occasion index and budget in fen."""
        rows = (lifestyle * len(OCCASIONS) + occasion) * len(PRICE_POINTS) + price_point(fen)
        return self.by_lifestyle.draw(rng, rows)

    def pick_of_brand(self, rng: np.random.Generator, brand: Ints, fen: Floats) -> Ints:
        """Return an item of each brand near the budget in fen."""
        return self.by_brand.draw(rng, brand * len(PRICE_POINTS) + price_point(fen))
