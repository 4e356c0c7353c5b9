"""Compiled trees predict what the booster does, or the booster predicts."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.domain.errors import ModelError
from engine.domain.pair_state import Floats
from models.boosting import predict, save_booster, train_booster
from models.compiled_trees import (
    TOLERANCE,
    Trees,
    compile_trees,
    compiled_files,
    is_compiled,
    stored_trees,
)

NAMES = ("volume", "balance", "recency", "constant", "gap")
OBJECTIVES = ("binary", "poisson", "regression", "lambdarank")


def _rows(count: int, seed: int) -> Floats:
    """Return rows with skewed, signed, mostly zero, constant and partly absent columns."""
    rng = np.random.default_rng(seed)
    rows = rng.lognormal(0.0, 2.0, (count, len(NAMES)))
    rows[:, 1] = rng.normal(size=count) * (rng.random(count) < 0.5)
    rows[:, 3] = 1.0
    rows[rng.random(count) < 0.3, 4] = np.nan
    return rows


def _fitted(objective: str, seed: int = 0, **params: float | int | str | bool) -> lgb.Booster:
    rng = np.random.default_rng(seed)
    rows = _rows(600, seed)
    liking = np.log(rows[:, 0]) + rows[:, 1] + np.isnan(rows[:, 4])
    label = {
        "binary": (liking > rng.normal(size=600)).astype(float),
        "poisson": rng.poisson(np.exp(np.clip(liking, -3.0, 3.0))).astype(float),
        "regression": liking,
        "lambdarank": np.clip(np.round(liking), 0, 4),
    }[objective]
    return train_booster(
        {"objective": objective, "num_leaves": 6, "min_data_in_leaf": 10, **params},
        rows,
        label,
        names=NAMES,
        seed=seed,
        rounds=30,
        group=np.full(30, 20) if objective == "lambdarank" else None,
    )


@pytest.fixture(scope="module")
def boosters() -> dict[str, lgb.Booster]:
    return {objective: _fitted(objective) for objective in OBJECTIVES}


@pytest.fixture(scope="module")
def stored(boosters: dict[str, lgb.Booster], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a compiled booster of each objective."""
    folder = tmp_path_factory.mktemp("stored")
    for objective, booster in boosters.items():
        save_booster(booster, folder / f"{objective}.txt")
        compile_trees(folder / f"{objective}.txt")
    return folder


@pytest.fixture(scope="module")
def poisson(stored: Path) -> Trees:
    return Trees.load(stored / "poisson.txt", NAMES)


@pytest.fixture
def own(stored: Path, tmp_path: Path) -> Path:
    """A compiled booster that the test may damage."""
    for path in stored.glob("binary.*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "binary.txt"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_trees_compiled_predict_what_the_booster_does(
    objective: str, boosters: dict[str, lgb.Booster], stored: Path
) -> None:
    trees = Trees.load(stored / f"{objective}.txt", NAMES)
    assert trees.compiled
    for count in (1, 150, 5_000):
        rows = _rows(count, seed=count)
        wanted = predict(boosters[objective], rows)
        np.testing.assert_allclose(trees.predict(rows), wanted, TOLERANCE, TOLERANCE)


@given(
    rows=arrays(
        np.float64,
        (4, len(NAMES)),
        elements=st.floats(allow_nan=True) | st.sampled_from([0.0, -0.0, 1e-35, 5e-324, np.inf]),
    )
)
def test_trees_compiled_agree_on_any_numbers(rows: Floats, poisson: Trees) -> None:
    wanted = predict(poisson.booster, rows)
    assert poisson.compiled
    np.testing.assert_allclose(poisson.predict(rows), wanted, TOLERANCE, TOLERANCE)


def test_trees_compiled_take_rows_in_any_layout_and_none(stored: Path) -> None:
    trees = Trees.load(stored / "binary.txt", NAMES)
    rows = np.round(_rows(40, seed=3))
    rows[np.isnan(rows)] = 0.0
    wanted = trees.predict(rows)
    for same in (np.asfortranarray(rows), np.repeat(rows, 2, axis=0)[::2], rows.astype(np.int64)):
        assert trees.predict(same).tolist() == wanted.tolist()
    assert trees.predict(rows[:0]).shape == (0,)


def test_trees_compiled_predict_in_threads_at_once(stored: Path) -> None:
    trees = Trees.load(stored / "binary.txt", NAMES)
    blocks = [_rows(2_000, seed) for seed in range(8)]
    alone = [trees.predict(block).tolist() for block in blocks]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            together = list(pool.map(lambda block: trees.predict(block).tolist(), blocks))
            assert together == alone


def test_trees_compiled_predict_after_a_fork(stored: Path) -> None:
    trees = Trees.load(stored / "binary.txt", NAMES)
    rows = _rows(50, seed=1)
    wanted = trees.predict(rows).tolist()
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=lambda: answers.put(trees.predict(rows).tolist()))
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert answers.get() == wanted


def test_trees_never_compiled_are_predicted_by_the_booster(
    boosters: dict[str, lgb.Booster], tmp_path: Path
) -> None:
    save_booster(boosters["binary"], tmp_path / "trees.txt")
    trees = Trees.load(tmp_path / "trees.txt", NAMES)
    assert not trees.compiled
    rows = _rows(20, seed=2)
    assert trees.predict(rows).tolist() == predict(boosters["binary"], rows).tolist()


def _cut_short(path: Path) -> None:
    code = compiled_files(path)[0]
    code.write_bytes(code.read_bytes()[:-100])


def _flip_a_byte(path: Path) -> None:
    code = compiled_files(path)[0]
    held = bytearray(code.read_bytes())
    held[len(held) // 2] ^= 0xFF
    code.write_bytes(held)


def _lose_the_code(path: Path) -> None:
    compiled_files(path)[0].unlink()


def _lose_the_description(path: Path) -> None:
    compiled_files(path)[1].unlink()


def _halve_the_description(path: Path) -> None:
    form = compiled_files(path)[1]
    form.write_text(form.read_text()[:40])


def _describe(path: Path, **changed: str) -> None:
    form = compiled_files(path)[1]
    form.write_text(json.dumps({**json.loads(form.read_text()), **changed}))


def _come_from_elsewhere(path: Path) -> None:
    _describe(path, machine="sparc-sun-solaris generic lleaves 1.3.0 llvmlite 0.44.0")


def _be_fitted_again(path: Path) -> None:
    path.write_text(path.read_text() + "\n")


@pytest.mark.parametrize(
    "damage",
    [
        _cut_short,
        _flip_a_byte,
        _lose_the_code,
        _lose_the_description,
        _halve_the_description,
        _come_from_elsewhere,
        _be_fitted_again,
    ],
)
def test_trees_whose_code_does_not_belong_fall_back_to_the_booster(
    damage: Callable[[Path], None], own: Path, boosters: dict[str, lgb.Booster]
) -> None:
    assert Trees.load(own, NAMES).compiled
    damage(own)
    trees = Trees.load(own, NAMES)
    assert not trees.compiled
    rows = _rows(20, seed=4)
    assert trees.predict(rows).tolist() == predict(boosters["binary"], rows).tolist()


def test_trees_with_the_code_of_another_model_are_refused(
    own: Path, boosters: dict[str, lgb.Booster], tmp_path: Path
) -> None:
    # All hashes are right and the other model is nearly the same: only predicting tells.
    near = lgb.Booster(model_str=own.read_text())
    near.set_leaf_output(12, 3, near.get_leaf_output(12, 3) + 1e-6)
    save_booster(near, tmp_path / "near.txt")
    code, form = compiled_files(compile_trees(tmp_path / "near.txt"))
    shutil.copy(code, compiled_files(own)[0])
    _describe(own, code_sha256=json.loads(form.read_text())["code_sha256"])
    assert is_compiled(own)
    trees = Trees.load(own, NAMES)
    assert not trees.compiled
    rows = _rows(20, seed=5)
    assert trees.predict(rows).tolist() == predict(boosters["binary"], rows).tolist()


def test_trees_of_other_columns_are_a_model_error(stored: Path) -> None:
    with pytest.raises(ModelError, match="other columns"):
        Trees.load(stored / "binary.txt", NAMES[::-1])


def test_compile_trees_that_never_split_gives_their_constant(tmp_path: Path) -> None:
    booster = _fitted("poisson", min_data_in_leaf=500)
    save_booster(booster, tmp_path / "trees.txt")
    compile_trees(tmp_path / "trees.txt")
    trees = Trees.load(tmp_path / "trees.txt", NAMES)
    assert trees.compiled
    assert trees.predict(_rows(3, 0)) == pytest.approx(predict(booster, _rows(3, 0)), rel=1e-12)


def test_compile_trees_leaves_three_files_and_does_it_again(own: Path) -> None:
    compile_trees(own)
    compile_trees(own)
    names = {path.name for path in own.parent.iterdir()}
    assert names == {"binary.txt", "binary.o", "binary.compiled.json"}


@pytest.mark.parametrize("text", ["", "tree\n", "tree\nversion=v4\nnum_class=1\n\nend of trees\n"])
def test_compile_trees_of_no_booster_is_a_model_error_and_leaves_nothing(
    text: str, tmp_path: Path
) -> None:
    path = tmp_path / "trees.txt"
    with pytest.raises(ModelError):
        compile_trees(path)
    path.write_text(text)
    with pytest.raises(ModelError):
        compile_trees(path)
    assert [found.name for found in tmp_path.iterdir()] == ["trees.txt"]


def test_compile_trees_refuses_what_lleaves_compiles_wrongly(tmp_path: Path) -> None:
    # lleaves overlooks that a leaf of linear trees holds a line.
    save_booster(_fitted("regression", linear_tree=True), tmp_path / "trees.txt")
    with pytest.raises(ModelError, match="do not predict"):
        compile_trees(tmp_path / "trees.txt")
    assert [found.name for found in tmp_path.iterdir()] == ["trees.txt"]


def test_compile_trees_that_fails_keeps_what_was_there(own: Path) -> None:
    save_booster(_fitted("regression", linear_tree=True), own)
    before = {path: path.read_bytes() for path in own.parent.iterdir()}
    with pytest.raises(ModelError):
        compile_trees(own)
    assert {path: path.read_bytes() for path in own.parent.iterdir()} == before


def test_stored_trees_are_the_boosters_alone(own: Path) -> None:
    inner = own.parent / "parts"
    inner.mkdir()
    shutil.copy(own, inner / "other.txt")
    (own.parent / "notes.txt").write_text("a tree\n")
    (own.parent / "folder.txt").mkdir()
    assert stored_trees(own.parent) == [own, inner / "other.txt"]
