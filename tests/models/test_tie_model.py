"""The tie model: learns, keeps, refuses, and knows strangers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import DAY
from engine.domain.errors import ManifestMismatch, ModelError, NotEnoughData
from engine.domain.pair_state import DEFAULT_LAYOUT, Floats, Kind, Layout, closed_form
from engine.domain.ports import TieClass, TieScorer
from engine.domain.structure import MAX_AGE, Structure, unknown
from models.manifest import read_manifest
from models.tie_rows import TieRows
from models.ties import TieModel

START = 1_700_000_000_000_000
AT = START + 60 * DAY
HORIZON = 14 * DAY
World = Callable[..., TieRows]


def _given(rows: TieRows) -> tuple[Floats, Floats, Floats, int]:
    return rows.out, rows.back, rows.structure, AT


def _silent(rows: TieRows) -> TieRows:
    return rows.take(~rows.known(DEFAULT_LAYOUT))


def test_tie_model_on_new_pairs_ranks_by_what_they_exchange_and_is_calibrated(world: World) -> None:
    model = TieModel.fit(world(160, 0), world(160, 1), HORIZON, START, AT + HORIZON, seed=3)
    rows = world(400, 2)
    found = model.predict(*_given(rows))
    order = np.argsort(found.strength)
    weak, strong = rows.amount[order[:300]], rows.amount[order[-300:]]
    assert strong.mean() > 5 * weak.mean()
    # Standard error of a mean of 1,500 outcomes: .013.
    assert abs(found.p_exchange.mean() - rows.exchanged.mean()) < 0.05
    likely = found.p_exchange > 0.7
    assert abs(found.p_exchange[likely].mean() - rows.exchanged[likely].mean()) < 0.08
    assert ((found.strength >= 0) & (found.strength <= 1)).all()


def test_tie_model_is_a_tie_scorer_that_gives_every_class(
    tie_model: TieModel, world: World
) -> None:
    scorer: TieScorer = tie_model
    rows = world(80, 4)
    scores, found = scorer.score(*_given(rows)), tie_model.predict(*_given(rows))
    assert [score.strength for score in scores] == found.strength.tolist()
    assert [score.p_exchange for score in scores] == found.p_exchange.tolist()
    by_class = {c: [s.strength for s in scores if s.tie_class is c] for c in TieClass}
    assert min(by_class[TieClass.CLOSE]) >= max(by_class[TieClass.FRIEND])
    assert min(by_class[TieClass.FRIEND]) >= max(by_class[TieClass.ACQUAINTANCE])
    known = rows.take(rows.known(DEFAULT_LAYOUT))
    later = scorer.score(known.out, known.back, unknown(len(known)), AT + 2_000 * DAY)
    assert sum(score.tie_class is TieClass.DORMANT for score in later) > len(later) / 2
    assert np.mean([s.strength for s in later]) < found.strength.mean()
    assert scorer.score(rows.out[:0], rows.back[:0], rows.structure[:0], AT) == []


def test_tie_model_strangers_score_nothing_and_are_dormant(
    tie_model: TieModel, world: World
) -> None:
    nobody = DEFAULT_LAYOUT.empty(2)
    old = world(60, 5).structure[:2].copy()
    old[:, Structure.AS_OF] = AT - MAX_AGE - 1
    for around in (unknown(2), old):
        for score in tie_model.score(nobody, nobody, around, AT):
            assert score.strength == 0.0
            assert score.p_exchange <= 1e-6
            assert score.tie_class is TieClass.DORMANT
            assert (score.asymmetry, score.observations) == (0.0, 0.0)
        assert tie_model.explain(nobody, nobody, around, AT) == [(), ()]
    rows = world(60, 5)
    known = rows.take(rows.known(DEFAULT_LAYOUT))
    assert tie_model.predict(known.out, known.back, unknown(len(known)), AT).strength.min() > 0.0


def test_tie_model_silent_friends_are_told_apart_by_whom_both_know(
    tie_model: TieModel, world: World
) -> None:
    rows = _silent(world(600, 6))
    found = tie_model.predict(*_given(rows))
    common = rows.structure[:, Structure.COMMON]
    few, many = common <= np.quantile(common, 0.3), common >= np.quantile(common, 0.7)
    assert found.p_exchange[many].mean() > found.p_exchange[few].mean()
    assert abs(found.p_exchange.mean() - rows.exchanged.mean()) < 0.1


@pytest.mark.parametrize("kinds", [(Kind.MESSAGE, Kind.CALL), (Kind.OTHER,), (Kind.GIFT,)])
def test_tie_model_of_a_log_without_gifts_or_of_one_kind_ranks_by_what_follows(
    world: World, kinds: tuple[Kind, ...]
) -> None:
    model = TieModel.fit(world(120, 0, kinds), None, HORIZON, START, AT + HORIZON, seed=3)
    rows = world(300, 7, kinds)
    found = model.predict(*_given(rows))
    order = np.argsort(found.strength)
    assert rows.amount[order[-200:]].mean() > 4 * rows.amount[order[:200]].mean()
    assert abs(found.p_exchange.mean() - rows.exchanged.mean()) < 0.06


def test_tie_model_scores_do_not_depend_on_direction_or_company(
    tie_model: TieModel, world: World
) -> None:
    rows = world(60, 6)
    whole = tie_model.predict(*_given(rows))
    swapped = tie_model.predict(rows.back, rows.out, rows.structure, AT)
    assert whole.strength.tobytes() == swapped.strength.tobytes()
    assert whole.p_exchange.tobytes() == swapped.p_exchange.tobytes()
    assert 0 < np.count_nonzero(rows.known(DEFAULT_LAYOUT)) < len(rows)
    for place in range(0, len(rows), 3):
        alone = tie_model.predict(*_given(rows.take(np.array([place]))))
        assert alone.strength[0] == whole.strength[place]
        assert alone.p_exchange[0] == whole.p_exchange[place]
    one, other = (
        tie_model.score(*states, rows.structure, AT)
        for states in ((rows.out, rows.back), (rows.back, rows.out))
    )
    assert [replace(score, asymmetry=-score.asymmetry) for score in other] == one


def test_tie_model_saved_and_loaded_scores_identically(
    tie_model: TieModel, world: World, tmp_path: Path
) -> None:
    tie_model.save(tmp_path)
    loaded = TieModel.load(tmp_path, version="7")
    assert (loaded.ref.name, loaded.ref.version) == ("ties", "7")
    rows = world(80, 7)
    assert loaded.score(*_given(rows)) == tie_model.score(*_given(rows))
    assert loaded.explain(*_given(rows)) == tie_model.explain(*_given(rows))
    assert loaded.manifest == tie_model.manifest


def test_tie_model_of_lines_alone_is_saved_without_trees(world: World, tmp_path: Path) -> None:
    model = TieModel.fit(world(120, 0), None, HORIZON, START, AT + HORIZON, seed=3)
    model.save(tmp_path)
    assert not list(tmp_path.glob("tree*"))
    rows = world(60, 8)
    assert TieModel.load(tmp_path).score(*_given(rows)) == model.score(*_given(rows))


def test_tie_model_same_seed_gives_the_same_model(world: World) -> None:
    rows = world(60, 8)
    one, other = (
        TieModel.fit(world(160, 0), world(160, 1), HORIZON, START, AT + HORIZON, seed=3)
        for _ in range(2)
    )
    assert one.score(*_given(rows)) == other.score(*_given(rows))
    assert one.manifest.params == other.manifest.params


def test_tie_model_of_a_latest_window_without_any_exchange_scores(
    world: World,
) -> None:
    # A log that fell silent: what is scaled on must not be nothing at all.
    busy, quiet = world(160, 0), world(160, 0)
    later = TieRows(
        quiet.out, quiet.back, quiet.structure, quiet.at + HORIZON, 0 * quiet.amount, quiet.pair
    )
    rows = TieRows.joined([busy, later])
    model = TieModel.fit(rows, None, HORIZON, START, AT + 2 * HORIZON, seed=3)
    found = model.predict(*_given(busy))
    assert np.isfinite(found.strength).all()
    assert found.strength.std() > 0.0


def test_tie_model_with_other_features_is_refused_by_name(
    tie_model: TieModel, tmp_path: Path
) -> None:
    tie_model.save(tmp_path)
    path = tmp_path / "manifest.json"
    stored = json.loads(path.read_text())
    first = stored["features"][0]
    stored["features"][0] = "gift_9d"
    path.write_text(json.dumps(stored))
    with pytest.raises(ManifestMismatch, match=rf"unknown here: gift_9d.*lacks: {first}"):
        TieModel.load(tmp_path)


def test_tie_model_of_another_layout_is_refused(tie_model: TieModel, tmp_path: Path) -> None:
    tie_model.save(tmp_path)
    with pytest.raises(ManifestMismatch, match=r"7,30,180.*not 0\.5,30,180"):
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
    tie_model: TieModel, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    tie_model.save(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ManifestMismatch, match=message):
        read_manifest(tmp_path, "ties", tie_model.features.names)


def test_manifest_that_is_absent_or_files_that_are_lost_are_model_errors(
    tie_model: TieModel, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no manifest"):
        TieModel.load(tmp_path)
    tie_model.save(tmp_path)
    (tmp_path / "tree_odds.txt").write_text("nonsense")
    with pytest.raises(ModelError, match=r"tree_odds\.txt"):
        TieModel.load(tmp_path)


def test_tie_model_of_too_little_is_refused(world: World) -> None:
    with pytest.raises(NotEnoughData):
        TieModel.fit(world(160, 0).take(np.arange(30)), None, HORIZON, START, AT, seed=0)
    rows = world(160, 0)
    never = TieRows(rows.out, rows.back, rows.structure, rows.at, np.zeros(len(rows)), rows.pair)
    with pytest.raises(NotEnoughData, match="all alike"):
        TieModel.fit(never, None, HORIZON, START, AT + HORIZON, seed=0)


def test_exchanges_of_no_weight_are_exchanges_all_the_same(tie_model: TieModel) -> None:
    days = np.arange(40) * DAY + AT - 40 * DAY
    out = closed_form(
        tie_model.layout, np.zeros(40, dtype=np.int64), np.full(40, int(Kind.MESSAGE)),
        np.zeros(40), days, 1,
    )  # fmt: skip
    empty, around = tie_model.layout.empty(1), unknown(1)
    told = tie_model.predict(out, empty, around, AT)
    assert told.strength[0] > tie_model.predict(empty, empty, around, AT).strength[0]
    assert told.p_exchange[0] > 0.2
