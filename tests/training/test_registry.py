"""The registry keeps versions, crowns champions, compiles their trees and goes back."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest

from engine.domain.errors import ModelError
from models.boosting import save_booster, train_booster
from models.compiled_trees import Trees, compiled_files, is_compiled
from training.registry import ModelRegistry

NAMES = ("volume", "balance")
"""The columns of the boosters."""


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # One database for the module: laying its tables takes seconds. Tests differ by model name.
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def registry(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRegistry:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return ModelRegistry(None, shared_home)


def _saved(folder: Path, text: str) -> Path:
    (folder / "parts").mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(text)
    (folder / "parts" / "trees.txt").write_text(text * 3)
    return folder


def test_registry_untouched_has_no_champion_and_makes_no_file(tmp_path: Path) -> None:
    registry = ModelRegistry(None, tmp_path / "nothing")
    assert registry.champion("ties") is None
    assert registry.list() == []
    assert not (tmp_path / "nothing").exists()


def test_registry_publish_promote_rollback_round_trip(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    first = registry.publish(
        "ties", _saved(tmp_path / "a", "first"), {"rounds": 3, "fast": True}, {"ndcg@10": 0.5}
    )
    assert first.aliases == ("challenger", "champion")
    assert first.metrics == {"ndcg_at_10": 0.5}
    assert registry.champion("ties") == first.version

    second = registry.publish("ties", _saved(tmp_path / "b", "second"), {}, {"auc": float("nan")})
    assert second.aliases == ("challenger",)
    assert second.metrics == {}
    assert registry.champion("ties") == first.version

    assert registry.promote("ties").version == second.version
    third = registry.publish("ties", _saved(tmp_path / "c", "third"), {}, {}, promote=True)
    assert registry.champion("ties") == third.version

    assert registry.rollback("ties").version == second.version
    assert registry.rollback("ties").version == first.version
    assert registry.champion("ties") == first.version
    with pytest.raises(ModelError, match="no earlier champion"):
        registry.rollback("ties")
    versions = [(v.version, v.aliases) for v in registry.list() if v.model == "ties"]
    assert versions == [
        (third.version, ("challenger",)),
        (second.version, ()),
        (first.version, ("champion",)),
    ]


def test_registry_fetch_returns_the_published_files_and_once_only(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = registry.publish("gifts", _saved(tmp_path / "a", "some"), {}, {}).version
    folder = registry.fetch("gifts", version, tmp_path / "cache")
    assert (folder / "manifest.json").read_text() == "some"
    assert (folder / "parts" / "trees.txt").read_text() == "some" * 3
    (folder / "manifest.json").write_text("kept")
    assert registry.fetch("gifts", version, tmp_path / "cache") == folder
    assert (folder / "manifest.json").read_text() == "kept"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_registry_unknown_version_is_a_model_error(registry: ModelRegistry, tmp_path: Path) -> None:
    registry.publish("offers", _saved(tmp_path / "a", "x"), {}, {})
    with pytest.raises(ModelError):
        registry.fetch("offers", "99", tmp_path / "cache")
    with pytest.raises(ModelError):
        registry.promote("offers", "99")
    assert registry.champion("offers") == "1"
    with pytest.raises(ModelError):
        registry.promote("never_trained")


def _booster(seed: int, **params: bool) -> lgb.Booster:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(300, 2))
    label = rows[:, 0] - rows[:, 1] + rng.normal(size=300)
    settings = {"objective": "regression", "num_leaves": 4, **params}
    return train_booster(settings, rows, label, names=NAMES, seed=seed, rounds=5)


def _saved_trees(folder: Path, seed: int, **params: bool) -> Path:
    save_booster(_booster(seed, **params), folder / "odds.txt")
    save_booster(_booster(seed + 1, **params), folder / "parts" / "amount.txt")
    (folder / "manifest.json").write_text("{}")
    return folder


def _fetched(registry: ModelRegistry, version: str, into: Path, model: str = "ties") -> Path:
    return registry.fetch(model, version, into / model)


def test_compiling_happens_when_a_version_becomes_champion(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = _saved_trees(tmp_path / "a", 0)
    first = registry.publish("ties", folder, {}, {}, promote=True).version
    second = registry.publish("ties", _saved_trees(tmp_path / "b", 7), {}, {}).version
    uncompiled = _fetched(registry, second, tmp_path / "before")
    assert not list(uncompiled.rglob("*.o"))

    registry.promote("ties")
    rows = np.random.default_rng(1).normal(size=(50, 2))
    for version, seed in ((first, 0), (second, 7)):
        fetched = _fetched(registry, version, tmp_path / "after")
        for name, number in (("odds.txt", seed), ("parts/amount.txt", seed + 1)):
            trees = Trees.load(fetched / name, NAMES)
            assert trees.compiled
            wanted = _booster(number).predict(rows, num_threads=1)
            assert trees.predict(rows) == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    assert not list(folder.rglob("*.o"))


def test_compiling_is_done_once_for_a_version(
    registry: ModelRegistry, tmp_path: Path, shared_home: Path
) -> None:
    version = registry.publish(
        "ties", _saved_trees(tmp_path / "a", 3), {}, {}, promote=True
    ).version
    stored = {path: path.stat().st_mtime_ns for path in shared_home.rglob("*.o")}
    assert stored
    registry.promote("ties", version)
    assert {path: path.stat().st_mtime_ns for path in shared_home.rglob("*.o")} == stored


def test_compiling_again_replaces_the_code_of_another_machine(
    registry: ModelRegistry, tmp_path: Path, shared_home: Path
) -> None:
    version = registry.publish(
        "ties", _saved_trees(tmp_path / "a", 5), {}, {}, promote=True
    ).version
    newest = max(shared_home.rglob("odds.txt"), key=lambda path: path.stat().st_mtime_ns)
    form = compiled_files(newest)[1]
    form.write_text(form.read_text().replace("lleaves", "treelite"))
    assert not is_compiled(newest)
    registry.promote("ties", version)
    assert is_compiled(_fetched(registry, version, tmp_path) / "odds.txt")


def test_compiling_that_cannot_be_done_is_a_warning_and_the_version_is_promoted(
    registry: ModelRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = _saved_trees(tmp_path / "a", 11, linear_tree=True)
    with caplog.at_level(logging.WARNING):
        version = registry.publish("ties", folder, {}, {}, promote=True).version
    assert registry.champion("ties") == version
    assert "served uncompiled" in caplog.text
    trees = Trees.load(_fetched(registry, version, tmp_path) / "odds.txt", NAMES)
    assert not trees.compiled


def test_compiling_leaves_models_alone_that_are_not_served_so(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    version = registry.publish("gifts", _saved_trees(tmp_path / "a", 0), {}, {}).version
    registry.promote("gifts", version)
    assert not list(_fetched(registry, version, tmp_path, "gifts").rglob("*.o"))


def test_registry_unreachable_server_is_a_model_error_within_seconds(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from training.registry import ModelRegistry\n"
        "from engine.domain.errors import ModelError\n"
        "try:\n"
        "    ModelRegistry('http://127.0.0.1:9', pathlib.Path(sys.argv[1])).champion('ties')\n"
        "except ModelError as error:\n"
        "    print('MODEL_ERROR', error.code)\n"
    )
    done = _run(code, tmp_path)
    assert done.stdout.strip() == "MODEL_ERROR MODEL_UNAVAILABLE"


def test_registry_in_a_fresh_process_prints_nothing_and_reports_to_nobody(
    tmp_path: Path,
) -> None:
    code = (
        "import sys, pathlib, socket\n"
        "def refuse(*args, **kwargs): raise AssertionError('network used')\n"
        "socket.getaddrinfo = refuse; socket.socket.connect = refuse\n"
        "from training.registry import ModelRegistry\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "(home / 'm').mkdir(); (home / 'm' / 'manifest.json').write_text('{}')\n"
        "registry = ModelRegistry(None, home)\n"
        "version = registry.publish('ties', home / 'm', {'a': 1}, {'auc': .5}).version\n"
        "registry.fetch('ties', version, home / 'cache')\n"
        "import mlflow.telemetry as telemetry\n"
        "assert telemetry.get_telemetry_client() is None\n"
    )
    done = _run(code, tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [
        "cache",
        "m",
        "mlartifacts",
    ]


def _run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "PYTEST_", "CI"))}
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
