"""The lines keep their directions, and without any are those of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from engine.domain.errors import ModelError, NotEnoughData
from engine.domain.pair_state import Floats
from models.linear import LinearScore

FREE = (0, 0, 0, 0)


def _rows(seed: int, rows: int = 400) -> tuple[Floats, Floats, Floats]:
    """Return logs (n × 4), outcomes and targets that rise with some and fall with others."""
    rng = np.random.default_rng(seed)
    logs = np.log1p(rng.lognormal(0.0, 1.0, (rows, 4)))
    logs[:, 3] = logs[:, 0] + 0.3 * rng.normal(size=rows)
    score = logs @ np.array([1.5, -1.0, 0.0, 0.2])
    outcomes = (rng.random(rows) < 1 / (1 + np.exp(0.5 - score))).astype(np.float64)
    return logs, outcomes, score + rng.normal(size=rows)


def _standardised(logs: Floats) -> Floats:
    return np.clip((logs - logs.mean(axis=0)) / logs.std(axis=0), -4.0, 4.0)


def test_linear_odds_without_directions_are_those_of_a_logistic_regression() -> None:
    logs, outcomes, _ = _rows(0)
    found = LinearScore.fit_odds(logs, outcomes, 0.1, FREE)
    peer = LogisticRegression(C=0.1, tol=1e-8, max_iter=10_000).fit(_standardised(logs), outcomes)
    np.testing.assert_allclose(found.weights, peer.coef_[0], atol=1e-3)
    np.testing.assert_allclose(
        found.predict(logs), peer.decision_function(_standardised(logs)), atol=5e-3
    )


def test_linear_mean_without_directions_is_that_of_a_ridge_regression() -> None:
    logs, _, target = _rows(1)
    found = LinearScore.fit_mean(logs, target, 30.0, FREE)
    peer = Ridge(alpha=30.0).fit(_standardised(logs), target)
    np.testing.assert_allclose(found.weights, peer.coef_, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.predict(logs), peer.predict(_standardised(logs)), rtol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), signs=st.tuples(*[st.sampled_from([-1, 0, 1])] * 4))
@settings(max_examples=20)
def test_linear_weights_keep_to_their_directions_and_lose_no_more_than_they_must(
    seed: int, signs: tuple[int, ...]
) -> None:
    logs, outcomes, target = _rows(seed, 120)
    for found in (
        LinearScore.fit_odds(logs, outcomes, 0.1, signs),
        LinearScore.fit_mean(logs, target, 10.0, signs),
    ):
        assert (found.weights * np.array(signs) >= 0.0).all()
    # A weight of the bound fit that is not held at nought has no slope left.
    rows, weights = _standardised(logs), found.weights
    slope = rows.T @ (rows @ weights - (target - found.intercept)) + 10.0 * weights
    np.testing.assert_allclose(slope[weights != 0.0], 0.0, atol=1e-6)
    held = (weights == 0.0) & (np.array(signs) != 0)
    assert (slope[held] * np.array(signs)[held] >= -1e-6).all()


def test_linear_contributions_are_the_whole_score_against_an_average_row() -> None:
    logs, outcomes, _ = _rows(2)
    found = LinearScore.fit_odds(logs, outcomes, 0.1, FREE)
    whole = found.intercept + found.contributions(logs).sum(axis=1)
    np.testing.assert_allclose(whole, found.predict(logs), rtol=1e-12, atol=1e-12)


def test_linear_score_is_the_same_to_the_bit_alone_in_bulk_and_in_any_memory_order() -> None:
    rng = np.random.default_rng(3)
    logs = rng.lognormal(0.0, 1.0, (300, 21))
    found = LinearScore(logs.mean(axis=0), logs.std(axis=0), rng.normal(size=21), 0.1)
    whole = found.predict(logs)
    alone = np.concatenate([found.predict(row[None]) for row in logs])
    assert alone.tobytes() == whole.tobytes()
    assert found.predict(np.asfortranarray(logs)).tobytes() == whole.tobytes()
    assert found.predict(logs[:, tuple(range(21))]).tobytes() == whole.tobytes()


def test_linear_score_beyond_what_was_seen_bends_no_further() -> None:
    logs, outcomes, _ = _rows(4)
    found = LinearScore.fit_odds(logs, outcomes, 0.1, (1, 0, 0, 0))
    far, farther = logs[:1].copy(), logs[:1].copy()
    far[0, 0], farther[0, 0] = 1e3, 1e6
    assert found.predict(far)[0] == found.predict(farther)[0] > found.predict(logs[:1])[0]


def test_linear_model_is_kept_as_it_was_and_refused_when_damaged(tmp_path: Path) -> None:
    logs, outcomes, target = _rows(5)
    found, path = LinearScore.fit_odds(logs, outcomes, 0.1, FREE), tmp_path / "line.json"
    found.save(path)
    assert LinearScore.load(path, 4).predict(logs).tobytes() == found.predict(logs).tobytes()
    with pytest.raises(ModelError, match="other columns"):
        LinearScore.load(path, 5)
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ModelError, match="cannot read"):
        LinearScore.load(path, 4)
    with pytest.raises(NotEnoughData, match="alike"):
        LinearScore.fit_odds(logs, np.ones(len(target)), 0.1, FREE)
