"""Lifestyles: bundles of categories that the same people like, so that tastes can be learned."""

from __future__ import annotations

import numpy as np

from training.simulate.chance import Floats

CATEGORIES = (
    *("coffee", "tea", "cake", "flowers", "snacks", "dining", "books", "stationery"),
    *("toys", "games", "digital", "sports", "skincare", "home", "pets", "cards"),
)
"""What the catalogue is divided into."""

_LIKED: tuple[tuple[str, float, dict[str, float]], ...] = (
    ("office_morning", 1.4, {"coffee": 3.0, "cake": 1.5, "stationery": 1.5}),
    ("tea_and_letters", 0.8, {"tea": 3.3, "books": 2.1, "home": 1.2, "flowers": 0.8}),
    ("sweet_tooth", 1.3, {"cake": 3.0, "snacks": 2.4, "coffee": 0.9}),
    ("evening_out", 1.1, {"dining": 3.3, "flowers": 1.4, "coffee": 1.0}),
    ("gamer", 1.2, {"games": 3.6, "digital": 2.2, "snacks": 1.4}),
    ("runner", 0.9, {"sports": 3.6, "digital": 1.2, "tea": 0.4}),
    ("beauty", 1.2, {"skincare": 3.4, "flowers": 1.7, "cake": 0.8}),
    ("nest", 0.9, {"home": 3.3, "flowers": 1.4, "pets": 1.0, "tea": 0.8}),
    ("pet_keeper", 0.8, {"pets": 3.9, "home": 0.9, "cards": 0.6}),
    ("young_family", 1.0, {"toys": 3.4, "books": 1.5, "snacks": 1.0, "cake": 0.9}),
    ("reader", 0.7, {"books": 3.3, "stationery": 2.4, "coffee": 1.0}),
    ("greeter", 0.9, {"cards": 3.3, "snacks": 1.2, "tea": 0.9}),
)

LIFESTYLES = tuple(name for name, _, _ in _LIKED)
"""Their names."""

POPULARITY = tuple(weight for _, weight, _ in _LIKED)
"""How common each is, relative to the others."""


def leanings() -> Floats:
    """Return the log-weight that each lifestyle gives each category (lifestyles × categories)."""
    lean = np.zeros((len(LIFESTYLES), len(CATEGORIES)))
    for row, (_, _, liked) in enumerate(_LIKED):
        for category, weight in liked.items():
            lean[row, CATEGORIES.index(category)] = weight
    return lean
