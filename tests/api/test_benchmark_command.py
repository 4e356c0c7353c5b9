"""`lishang benchmark` reads a plain log of contacts, writes its numbers and says what it lacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from api.cli import main


def _run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        main, ["benchmark", *arguments], env={"LISHANG_HOME": str(tmp_path / "home")}
    )


def test_benchmark_ties_on_a_log_without_kinds_or_weights_tells_gains_and_what_is_left_out(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(0)
    pair = np.repeat(np.arange(150), rng.poisson(rng.lognormal(1.0, 1.2, 150)))
    rows = [
        f"u{one % 40},v{one},{day:.4f}"
        for one, day in zip(pair.tolist(), rng.uniform(0, 28, len(pair)).tolist(), strict=True)
    ]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["sender,recipient,occurred_at", *rows]) + "\n")
    done = _run(
        *(tmp_path, "ties", "--interactions", str(log), "--cutoffs", "21", "--horizon", "7"),
        *("--time-unit", "d", "--json", str(tmp_path / "out.json")),
    )
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out.json").read_text())
    for measure in ("auc_any", "auc_heavy", "spearman", "ego_ndcg"):
        for name in ("gain", "gain_low", "gain_high"):
            assert isinstance(written["metrics"][f"{measure}_{name}"], float)
        assert {f"count_{measure}", f"volume_{measure}"} <= set(written["baselines"])
    # Only one side ever writes here, so that nobody is left for a slice of mutual pairs.
    assert written["metrics"]["pairs_slice_mutual"] == 0
    assert "slice mutual: 0 pairs" in done.stderr


def test_benchmark_town_ties_of_no_possible_town_is_refused(tmp_path: Path) -> None:
    done = _run(tmp_path, "town-ties", "--people", "3")
    assert done.exit_code == 2
    assert "a town of 3 people" in done.stderr
