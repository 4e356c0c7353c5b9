"""A running server follows the registry: promotions, refusals and rollbacks within five seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.shelf import POLL_SECONDS
from training.registry import ModelRegistry

SECONDS = 5.0


@pytest.fixture(scope="module")
def lishang(install):
    """A small town with its first tie model."""
    made = install("models")
    made.run("simulate", "--people", "300", "--days", "60", "--seed", "5", "--load")
    made.run("train", "ties")
    return made


@pytest.fixture(scope="module")
def client(lishang):
    key = lishang.key()
    with lishang.serving(workers=2) as address:
        yield lishang.client(address, key)


def _version(client) -> str:
    status, answer = client.post(
        "/v1/ties/scores", {"pairs": [{"sender": "p000001", "recipient": "p000002"}]}
    )
    assert status == 200, answer
    return answer["model"]["version"]


def _settles_within_seconds(holds: Callable[[], bool]) -> bool:
    """Whether every worker follows in time and stays there.

    Two workers answer in no fixed order and look for champions at moments of their own, so a few
    answers in a row may all be one worker's: it has to hold without a break for longer than the
    time between two looks.
    """
    until = time.monotonic() + SECONDS
    since = None
    while since is not None or time.monotonic() < until:
        if not holds():
            since = None
        elif since is None:
            since = time.monotonic()
        elif time.monotonic() - since > POLL_SECONDS + 0.5:
            return True
        time.sleep(0.02)
    return False


def _models_check(client) -> dict:
    status, answer = client.get("/readyz")
    assert status == 200, answer
    return next(check for check in answer["checks"] if check["name"] == "models")


def test_server_follows_promotion_refusal_and_rollback(lishang, client, tmp_path: Path) -> None:
    assert _version(client) == "1"

    registry = ModelRegistry(None, lishang.home)
    registry.publish("ties", registry.fetch("ties", "1", tmp_path), {}, {})
    assert _settles_within_seconds(lambda: _version(client) == "1")  # a challenger does not serve
    lishang.run("models", "promote", "ties")
    assert _settles_within_seconds(lambda: _version(client) == "2")

    folder = registry.fetch("ties", "2", tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["features"] = [*manifest["features"][1:], "invented"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert registry.publish("ties", folder, {}, {}, promote=True).version == "3"
    assert _settles_within_seconds(lambda: "MANIFEST_MISMATCH" in _models_check(client)["message"])
    assert "invented" in _models_check(client)["message"]
    assert _version(client) == "2"

    lishang.run("models", "rollback", "ties")
    assert _settles_within_seconds(lambda: "MANIFEST" not in _models_check(client)["message"])
    lishang.run("models", "rollback", "ties")
    assert _settles_within_seconds(lambda: _version(client) == "1")

    # What was refused once is refused again, and said again.
    registry.promote("ties", "3")
    assert _settles_within_seconds(lambda: "MANIFEST_MISMATCH" in _models_check(client)["message"])
    assert _version(client) == "1"


def test_models_list_shows_versions_roles_and_measures(lishang, client) -> None:
    listed = lishang.run("models", "list")
    assert "champion" in listed
    assert "auc=" in listed


@pytest.mark.slow
def test_training_without_offers_says_so_and_trains_the_rest(lishang, tmp_path: Path) -> None:
    # Nothing but messages in this ledger: ties can be learned, gifts and offers cannot.
    interactions = lishang.home / "town" / "interactions.csv"
    bare = type(lishang)(tmp_path)
    bare.run("import", "--interactions", str(interactions))
    told = bare.run("train", "all")
    assert "ties: version 1 (challenger, champion)" in told
    assert "gifts: version" not in told
    assert "offers: version" not in told
