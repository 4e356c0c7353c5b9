"""The structure benchmark asks about the graphs it says, and both ways count the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.ties.structure import GRAPHS, by_rows, main, make, people_of
from models.features.common_friends import common_friends

FEW = 10_000


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_made_are_exact_connected_in_triangles_and_told_again_by_seed(name: str) -> None:
    one, other = make(name, FEW, 1)
    people = people_of(FEW)
    assert len({frozenset(edge) for edge in zip(one.tolist(), other.tolist(), strict=True)}) == FEW
    assert not (one == other).any()
    assert 0 <= min(one.min(), other.min()) <= max(one.max(), other.max()) < people == 1_000
    by_chance = FEW * 20 * 20 / people
    shared = common_friends(people, one, other, one, other).count
    assert shared.sum() > 1.5 * by_chance
    np.testing.assert_array_equal(shared, by_rows(people, one, other))
    again, another = make(name, FEW, 1), make(name, FEW, 2)
    np.testing.assert_array_equal(again, (one, other))
    assert (another[0] != one).any()


def test_graphs_differ_in_how_many_friends_the_most_befriended_have() -> None:
    most = {name: int(np.bincount(np.append(*make(name, FEW, 1))).max()) for name in GRAPHS}
    assert most["even"] < 50
    assert most["heavy"] > 200


@pytest.mark.slow
def test_structure_benchmark_tells_seconds_and_memory_of_both_graphs(tmp_path: Path) -> None:
    told = CliRunner().invoke(
        main, ["--friendships", "50000", "--json", str(tmp_path / "structure.json")]
    )
    assert told.exit_code == 0, told.output
    report = json.loads((tmp_path / "structure.json").read_text(encoding="utf-8"))
    metrics, baselines = report["metrics"], report["baselines"]
    for name in GRAPHS:
        assert metrics[f"{name}_differing"] == 0
        assert metrics[f"{name}_shared"] > 1.5 * 50_000 * 20 * 20 / 5_000
        assert metrics[f"{name}_seconds"] > 0
        assert baselines[f"rows_{name}_seconds"] > 0
        assert 0 < metrics[f"{name}_beside_inputs_gb"] < metrics[f"{name}_peak_gb"] < 1
