"""The registry keeps versions, crowns champions and goes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.domain.errors import ModelError
from training.registry import ModelRegistry


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
