"""The tie model: learns, keeps, refuses, and knows strangers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import DAY
from engine.domain.errors import ManifestMismatch, ModelError, NotEnoughData
from engine.domain.pair_state import DEFAULT_LAYOUT, Kind, Layout, closed_form
from engine.domain.ports import TieClass, TieScorer
from models.manifest import read_manifest
from models.tie_rows import TieRows
from models.ties import TieModel

START = 1_700_000_000_000_000
AT = START + 60 * DAY
HORIZON = 14 * DAY


def _rows(pairs: int, seed: int) -> TieRows:
    """Return pairs that message at a steady rate of their own, before the instant and after it."""
    rng = np.random.default_rng(seed)
    rate = rng.lognormal(-3.0, 1.2, pairs)  # messages a day
    before = rng.poisson(rate * 60) + 1
    pair = np.repeat(np.arange(pairs), before)
    at = START + rng.integers(0, 60 * DAY, len(pair))
    ahead = rng.random(len(pair)) < 0.5
    kind = np.full(len(pair), int(Kind.MESSAGE))
    out, back = (
        closed_form(DEFAULT_LAYOUT, pair[m], kind[m], np.ones(m.sum()), at[m], pairs)
        for m in (ahead, ~ahead)
    )
    amount = rng.poisson(rate * 14).astype(np.float64)
    return TieRows(out, back, np.full(pairs, AT), amount, np.arange(pairs))


@pytest.fixture(scope="module")
def model() -> TieModel:
    return TieModel.fit(_rows(600, 0), _rows(600, 1), HORIZON, AT + HORIZON, seed=3)


def test_tie_model_on_new_pairs_ranks_by_what_they_exchange_and_is_calibrated(
    model: TieModel,
) -> None:
    rows = _rows(2_000, 2)
    found = model.predict(rows.out, rows.back, rows.at)
    order = np.argsort(found.strength)
    weak, strong = rows.amount[order[:500]], rows.amount[order[-500:]]
    assert strong.mean() > 5 * weak.mean()
    # Standard error of a mean of 2,000 outcomes: .011.
    assert abs(found.p_exchange.mean() - rows.exchanged.mean()) < 0.05
    likely = found.p_exchange > 0.7
    assert abs(found.p_exchange[likely].mean() - rows.exchanged[likely].mean()) < 0.08
    assert ((found.strength >= 0) & (found.strength <= 1)).all()


def test_tie_model_is_a_tie_scorer_that_gives_every_class(model: TieModel) -> None:
    scorer: TieScorer = model
    rows = _rows(300, 4)
    scores = scorer.score(rows.out, rows.back, AT)
    found = model.predict(rows.out, rows.back, AT)
    assert [score.strength for score in scores] == found.strength.tolist()
    assert [score.p_exchange for score in scores] == found.p_exchange.tolist()
    by_class = {c: [s.strength for s in scores if s.tie_class is c] for c in TieClass}
    assert min(by_class[TieClass.CLOSE]) >= max(by_class[TieClass.FRIEND])
    assert min(by_class[TieClass.FRIEND]) >= max(by_class[TieClass.ACQUAINTANCE])
    later = scorer.score(rows.out, rows.back, AT + 2_000 * DAY)
    assert sum(score.tie_class is TieClass.DORMANT for score in later) > len(later) / 2
    assert np.mean([s.strength for s in later]) < found.strength.mean()
    assert scorer.score(rows.out[:0], rows.back[:0], AT) == []


def test_tie_model_strangers_score_nothing_and_are_dormant(model: TieModel) -> None:
    empty = DEFAULT_LAYOUT.empty(2)
    for score in model.score(empty, empty, AT):
        assert score.strength == 0.0
        assert score.p_exchange <= 1e-6
        assert score.tie_class is TieClass.DORMANT
    assert model.explain(empty, empty, AT) == [(), ()]
    rows = _rows(200, 5)
    assert model.predict(rows.out, rows.back, rows.at).strength.min() > 0.0


def test_tie_model_scores_do_not_depend_on_direction_or_company(model: TieModel) -> None:
    rows = _rows(50, 6)
    whole = model.predict(rows.out, rows.back, rows.at)
    swapped = model.predict(rows.back, rows.out, rows.at)
    np.testing.assert_array_equal(whole.strength, swapped.strength)
    alone = model.predict(rows.out[7:8], rows.back[7:8], AT)
    assert alone.strength[0] == whole.strength[7]
    assert alone.p_exchange[0] == whole.p_exchange[7]


def test_tie_model_saved_and_loaded_scores_identically(model: TieModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    loaded = TieModel.load(tmp_path, version="7")
    assert (loaded.ref.name, loaded.ref.version) == ("ties", "7")
    rows = _rows(200, 7)
    assert loaded.score(rows.out, rows.back, AT) == model.score(rows.out, rows.back, AT)
    assert loaded.explain(rows.out, rows.back, AT) == model.explain(rows.out, rows.back, AT)
    assert loaded.manifest == model.manifest


def test_tie_model_same_seed_gives_the_same_model(model: TieModel) -> None:
    again = TieModel.fit(_rows(600, 0), _rows(600, 1), HORIZON, AT + HORIZON, seed=3)
    rows = _rows(100, 8)
    assert again.score(rows.out, rows.back, AT) == model.score(rows.out, rows.back, AT)


def test_tie_model_fitted_without_held_out_pairs_is_calibrated_too() -> None:
    model = TieModel.fit(_rows(400, 9), None, HORIZON, AT + HORIZON, seed=3)
    rows = _rows(2_000, 10)
    found = model.predict(rows.out, rows.back, rows.at)
    assert abs(found.p_exchange.mean() - rows.exchanged.mean()) < 0.06


def test_tie_model_reasons_name_features_with_their_values(model: TieModel) -> None:
    rows = _rows(20, 11)
    reasons = model.explain(rows.out, rows.back, AT, limit=2)
    matrix = dict(zip(model.features.names, range(len(model.features)), strict=True))
    assert all(1 <= len(found) <= 2 for found in reasons)
    for found in reasons:
        assert all(reason.feature in matrix for reason in found)
        sizes = [abs(reason.share) for reason in found]
        assert sizes == sorted(sizes, reverse=True)


def test_tie_model_with_other_features_is_refused_by_name(model: TieModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    path = tmp_path / "manifest.json"
    stored = json.loads(path.read_text())
    stored["features"][0] = "gift_9d"
    path.write_text(json.dumps(stored))
    with pytest.raises(ManifestMismatch, match=r"unknown here: gift_9d.*lacks: gift_7d"):
        TieModel.load(tmp_path)
    with pytest.raises(ManifestMismatch, match=r"gift_0\.5d"):
        TieModel.load(tmp_path, layout=Layout((0.5, 30.0, 180.0)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features_hash": "0" * 64}, "features_hash"),
        ({"model": "gifts"}, "'gifts' model where 'ties'"),
        ({"seed": "3"}, "seed"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_manifest_that_does_not_fit_is_refused(
    model: TieModel, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    model.save(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ManifestMismatch, match=message):
        read_manifest(tmp_path, "ties", model.features.names)


def test_manifest_that_is_absent_or_files_that_are_lost_are_model_errors(
    model: TieModel, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no manifest"):
        TieModel.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "tree_odds.txt").write_text("nonsense")
    with pytest.raises(ModelError, match=r"tree_odds\.txt"):
        TieModel.load(tmp_path)


def test_tie_model_of_too_little_is_refused() -> None:
    with pytest.raises(NotEnoughData):
        TieModel.fit(_rows(20, 0), None, HORIZON, AT + HORIZON, seed=0)
    rows = _rows(200, 0)
    silent = TieRows(rows.out, rows.back, rows.at, np.zeros(200), rows.pair)
    with pytest.raises(NotEnoughData, match="all alike"):
        TieModel.fit(silent, None, HORIZON, AT + HORIZON, seed=0)


def test_tie_rows_parted_share_no_pair_and_lose_none() -> None:
    once = _rows(100, 12)
    rows = TieRows.joined([once, once])
    most, few = rows.parted(5, seed=1)
    assert (len(most), len(few)) == (160, 40)
    assert not set(most.pair) & set(few.pair)
    assert set(most.pair) | set(few.pair) == set(range(100))
