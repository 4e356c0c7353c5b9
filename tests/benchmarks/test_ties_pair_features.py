"""The benchmark of pair features measures logs of the size it says, and tells all it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from benchmarks.ties.__main__ import main, merged
from benchmarks.ties.generated_log import CUTOFF, make
from training.log import ExportedLog

FEW = 10_000


def test_generated_log_is_of_that_size_heavy_tailed_and_made_again_by_seed(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("another", 2)):
        make(tmp_path / name, FEW, seed)
    one, again, another = (
        [pq.read_table(tmp_path / name / f"{table}.parquet") for table in ("gifts", "interactions")]
        for name in ("one", "again", "another")
    )
    assert one == again
    assert one != another
    assert sum(table.num_rows for table in one) == FEW
    pairs: dict[frozenset[str], int] = {}
    for table in one:
        for ends in zip(table["sender"].to_pylist(), table["recipient"].to_pylist(), strict=True):
            pairs[frozenset(ends)] = pairs.get(frozenset(ends), 0) + 1
    assert all(len(pair) == 2 for pair in pairs)
    assert 0.98 * FEW / 5 < len(pairs) <= FEW / 5
    people = {person for pair in pairs for person in pair}
    assert 0.9 * FEW / 10 < len(people) <= FEW / 10
    assert max(pairs.values()) > 20 * FEW / len(pairs)
    first, last = ExportedLog(tmp_path / "one").span()
    assert first < last < CUTOFF


def test_merged_reports_keep_baselines_beside_their_metrics() -> None:
    part = {
        "metrics": {"seconds_10": 1.0, "cpu_seconds_10": 2.0},
        "baselines": {"count_seconds_10": 3.0, "count_cpu_seconds_10": 4.0, "alone": 5.0},
        "environment": {"numpy": "2"},
    }
    found = merged({"fast": part, "slow": {**part, "environment": {"scipy": "1"}}})
    assert found["metrics"]["fast_seconds_10"] == 1.0
    assert found["baselines"]["count_slow_seconds_10"] == 3.0
    assert found["baselines"]["count_fast_cpu_seconds_10"] == 4.0
    assert found["baselines"]["slow_alone"] == 5.0
    assert found["environment"] == {"numpy": "2", "scipy": "1"}


@pytest.mark.slow
def test_ties_benchmark_tells_seconds_and_memory_by_length_of_the_log(tmp_path: Path) -> None:
    out = tmp_path / "ties.json"
    options = ["--parts", "pair_features", "--events", "20000", "--out-of-core", "40000"]
    told = CliRunner().invoke(main, [*options, "--out", str(out)])
    assert told.exit_code == 0, told.output
    report = json.loads(out.read_text(encoding="utf-8"))
    metrics, baselines = report["metrics"], report["baselines"]
    for length in (2_000, 6_000, 20_000, 40_000):
        assert 0.95 * length / 5 < metrics[f"pair_features_pairs_{length}"] <= length / 5
        assert metrics[f"pair_features_seconds_{length}"] > 0
        assert 0 < metrics[f"pair_features_peak_gb_{length}"] < 1
        directed = baselines[f"count_pair_features_pairs_{length}"]
        assert directed > metrics[f"pair_features_pairs_{length}"]
    assert "pair_features_exponent" in metrics
