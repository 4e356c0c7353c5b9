"""Item similarity is the shrunk cosine, keeps the nearest only, and survives its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import ModelError
from models.item_similarity import ItemSimilarity


def _taste(seed: int, people: int = 30, items: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 4, (people, items)) * (rng.random((people, items)) < 0.3)


@given(seed=st.integers(0, 10_000), shrink=st.floats(0.5, 20.0))
@settings(max_examples=40)
def test_similarity_with_room_for_all_is_the_shrunk_cosine(seed: int, shrink: float) -> None:
    taste = _taste(seed).astype(float)
    found = ItemSimilarity.fit(sp.csr_array(taste), neighbours=12, shrink=shrink).matrix.toarray()
    norm = np.linalg.norm(taste, axis=0)
    expected = taste.T @ taste / (np.outer(norm, norm) + shrink)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40)
def test_similarity_score_equals_the_matrix_product(seed: int) -> None:
    similarity = ItemSimilarity.fit(sp.csr_array(_taste(seed)), neighbours=4)
    rng = np.random.default_rng(seed)
    weights = rng.random(12) * (rng.random(12) < 0.4)
    expected = similarity.matrix.toarray().T @ weights
    np.testing.assert_allclose(similarity.score(weights), expected, rtol=1e-5, atol=1e-7)


def test_similarity_with_few_neighbours_keeps_each_items_nearest() -> None:
    taste = sp.csr_array(_taste(3))
    every = ItemSimilarity.fit(taste, neighbours=12).matrix.toarray()
    few = ItemSimilarity.fit(taste, neighbours=3).matrix.toarray()
    for item in range(12):
        kept = np.flatnonzero(few[:, item])
        assert len(kept) <= 3
        dropped = np.setdiff1d(np.flatnonzero(every[:, item]), kept)
        assert every[dropped, item].max(initial=0.0) <= every[kept, item].min()


def test_similarity_of_two_circles_suggests_within_the_circle() -> None:
    rng = np.random.default_rng(1)
    taste = np.zeros((80, 20))
    taste[:40, :10] = rng.random((40, 10)) < 0.4
    taste[40:, 10:] = rng.random((40, 10)) < 0.4
    taste[0, 15] = 1.0
    similarity = ItemSimilarity.fit(sp.csr_array(taste), neighbours=5)
    assert set(similarity.neighbours(2)[:4]) <= set(range(10))
    assert set(similarity.neighbours(12)[:4]) <= set(range(10, 20))


def test_similarity_of_an_empty_log_scores_nought() -> None:
    similarity = ItemSimilarity.fit(sp.csr_array((0, 4)))
    np.testing.assert_array_equal(similarity.score(np.ones(4)), np.zeros(4))


def test_similarity_saved_and_loaded_scores_the_same(tmp_path: Path) -> None:
    similarity = ItemSimilarity.fit(sp.csr_array(_taste(5)))
    similarity.save(tmp_path / "s.npz")
    weights = np.arange(12.0)
    loaded = ItemSimilarity.load(tmp_path / "s.npz")
    np.testing.assert_array_equal(loaded.score(weights), similarity.score(weights))


@pytest.mark.parametrize("content", [None, b"not a zip"])
def test_similarity_of_a_bad_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "s.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError):
        ItemSimilarity.load(path)
