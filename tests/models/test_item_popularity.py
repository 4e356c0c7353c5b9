"""Popularity fades, and occasions shift what is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.domain.clock import DAY
from models.item_catalogue import ItemCatalogue
from models.item_popularity import ItemPopularity, occasion_index

CATALOGUE = ItemCatalogue(
    ("cake", "tea", "pen"), ("food", "food", "desk"), ("cake", "voucher", "thing"), np.full(3, 900)
)
NONE = np.zeros(0, dtype=np.int64)


def _fit(item: list[int], days: list[int], gifts: list[tuple[int, str]] = ()) -> ItemPopularity:
    return ItemPopularity.fit(
        CATALOGUE,
        item=np.array(item, dtype=np.int64),
        weight=np.ones(len(item)),
        at=np.array(days, dtype=np.int64) * DAY,
        gift_item=np.array([item for item, _ in gifts], dtype=np.int64),
        gift_at=np.zeros(len(gifts), dtype=np.int64),
        gift_occasion=np.array([occasion_index(name) for _, name in gifts], dtype=np.int64),
    )


def test_popularity_with_old_and_new_signals_prefers_new_ones_of_late() -> None:
    found = _fit([0, 0, 0, 1, 1], [0, 0, 0, 300, 300])
    assert found.overall[0] > found.overall[1] > found.overall[2]
    assert found.recent[1] > found.recent[0]


def test_popularity_moved_in_time_stays_the_same() -> None:
    early, late = _fit([0, 1, 1], [1, 5, 9]), _fit([0, 1, 1], [401, 405, 409])
    np.testing.assert_allclose(early.recent, late.recent)


def test_occasion_with_its_own_category_lifts_it() -> None:
    gifts = [(0, "birthday")] * 60 + [(2, "teachers_day")] * 60
    found = _fit([0, 2], [0, 0], gifts)
    food, desk = CATALOGUE.category_codes(["food", "desk"])
    birthday = found.category_lift[occasion_index("birthday")]
    teachers = found.category_lift[occasion_index("teachers_day")]
    assert birthday[food] > 0 > birthday[desk]
    assert teachers[desk] > 0 > teachers[food]
    np.testing.assert_allclose(found.category_lift[occasion_index("qixi")], 0.0, atol=1e-12)


def test_occasion_outside_the_calendar_counts_as_none() -> None:
    assert occasion_index("graduation") == occasion_index("none")


def test_popularity_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    found = _fit([0, 1], [0, 3], [(1, "birthday")])
    found.save(tmp_path / "p.npz")
    loaded = ItemPopularity.load(tmp_path / "p.npz")
    for name in ("overall", "recent", "given", "category_lift", "kind_lift"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(found, name))
