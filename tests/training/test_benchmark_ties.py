"""The ties benchmark: its protocol, its floor on real data, and that the model beats counting."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from engine.domain.clock import DAY, SECOND
from engine.domain.errors import InvalidInput, NotEnoughData
from training.benchmark.report import BenchmarkReport, as_json, emit
from training.benchmark.ties import TieBenchmark, benchmark_ties, compared, write_scores
from training.evaluate import auc, calibration_error, spearman

HORIZON = 7 * DAY


@pytest.fixture(scope="module")
def sms(lishang_data: Path) -> NDArray[np.int64]:
    path = lishang_data / "copenhagen" / "sms.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64)


@pytest.fixture(scope="module")
def measured(sms: NDArray[np.int64]) -> TieBenchmark:
    return _judged(sms, [21 * DAY])


def _judged(rows: NDArray[np.int64], cutoffs: list[int], seed: int = 0) -> TieBenchmark:
    at, sender, recipient = rows.T
    kind = np.full(len(rows), "message")
    weight = np.ones(len(rows))
    return benchmark_ties(sender, recipient, weight, kind, at * SECOND, cutoffs, HORIZON, seed)


def test_benchmark_ties_counting_on_copenhagen_sms_is_the_measured_floor(
    measured: TieBenchmark,
) -> None:
    floor = {
        "count_auc_any": 0.731,
        "count_auc_heavy": 0.911,
        "count_spearman": 0.472,
        "count_ego_ndcg": 0.856,
    }
    assert {name: round(measured.baselines[name], 3) for name in floor} == floor
    assert (measured.metrics["pairs"], measured.metrics["exchanged"]) == (623.0, 271.0)


def test_benchmark_ties_model_on_copenhagen_sms_beats_counting(measured: TieBenchmark) -> None:
    metrics, counting = measured.metrics, measured.baselines
    assert metrics["auc_any"] > counting["count_auc_any"] + 0.005
    for measure in ("auc_any", "auc_heavy", "spearman", "ego_ndcg"):
        for over, baseline in (("", "count"), ("_over_volume", "volume")):
            gain = metrics[f"{measure}_gain{over}"]
            assert gain == metrics[measure] - counting[f"{baseline}_{measure}"]
            assert metrics[f"{measure}_gain{over}_low"] < metrics[f"{measure}_gain{over}_high"]
    assert metrics["spearman"] > counting["count_spearman"]
    assert metrics["log_loss"] < 0.65  # the base rate alone gives .685


def test_benchmark_ties_volume_is_the_long_run_sum_of_both_sides(
    sms: NDArray[np.int64], measured: TieBenchmark
) -> None:
    past = sms[sms[:, 0] * SECOND < 21 * DAY]
    left = 0.5 ** ((21 * DAY - past[:, 0] * SECOND) / (180 * DAY))
    expected: dict[tuple[int, int], float] = {}
    for (_, *ends), weight in zip(past.tolist(), left.tolist(), strict=True):
        pair = min(ends), max(ends)
        expected[pair] = expected.get(pair, 0.0) + weight
    scored = measured.scored[0]
    pairs = zip(scored.first.tolist(), scored.second.tolist(), strict=True)
    np.testing.assert_allclose(scored.past.volume, [expected[pair] for pair in pairs], rtol=1e-9)
    auc_any = measured.baselines["volume_auc_any"]
    assert auc_any == pytest.approx(auc(scored.future_volume > 0, scored.past.volume))


def test_benchmark_ties_counting_in_the_models_place_gains_nothing(measured: TieBenchmark) -> None:
    counting = tuple(replace(scored, strength=scored.count) for scored in measured.scored)
    metrics, baselines = compared(counting, 1)
    for measure in ("auc_any", "auc_heavy", "spearman", "ego_ndcg"):
        assert metrics[measure] == baselines[f"count_{measure}"]
        for end in ("", "_low", "_high"):
            assert metrics[f"{measure}_gain{end}"] == 0.0


def test_benchmark_ties_calibration_is_set_beside_a_perfect_models(measured: TieBenchmark) -> None:
    scored, metrics = measured.scored[0], measured.metrics
    assert metrics["calibration_ratio"] == pytest.approx(
        metrics["calibration_error"] / metrics["calibration_error_if_perfect"]
    )
    rng = np.random.default_rng(5)
    drawn = rng.random((400, len(scored.p_exchange))) < scored.p_exchange
    perfect = np.mean([calibration_error(outcomes, scored.p_exchange) for outcomes in drawn])
    assert metrics["calibration_error_if_perfect"] == pytest.approx(perfect, rel=0.06)


def test_benchmark_ties_slices_are_those_of_the_log_and_small_ones_are_named(
    sms: NDArray[np.int64], measured: TieBenchmark, once: TieBenchmark
) -> None:
    past = sms[sms[:, 0] * SECOND < 21 * DAY].tolist()
    first: dict[tuple[int, int], int] = {}
    for at, *ends in sorted(past):
        first.setdefault((min(ends), max(ends)), at)
    new = {pair for pair, at in first.items() if at * SECOND >= 14 * DAY}
    directions = {(sender, recipient) for _, sender, recipient in past}
    one_sided = {(a, b) for a, b in first if not {(a, b), (b, a)} <= directions}
    metrics, scored = measured.metrics, measured.scored[0]
    assert metrics["pairs_slice_new"] == len(new)
    assert metrics["pairs_slice_one_sided"] == len(one_sided)
    pairs = list(zip(scored.first.tolist(), scored.second.tolist(), strict=True))
    among = np.array([pair in new for pair in pairs])
    outcome = scored.future_volume[among] > 0
    assert metrics["auc_any_slice_new"] == auc(outcome, scored.strength[among])
    assert measured.baselines["count_auc_any_slice_new"] == auc(outcome, scored.count[among])
    for parts in (("new", "known"), ("one_sided", "mutual"), ("account_young", "account_old")):
        assert sum(metrics[f"pairs_slice_{part}"] for part in parts) == metrics["pairs"]
    # In the generated log everybody appears early on: nobody is young.
    assert once.metrics["pairs_slice_account_young"] < 10
    assert "auc_any_slice_account_young" not in once.metrics
    assert any(remark.startswith("slice account_young: ") for remark in once.remarks)


def test_benchmark_ties_model_sees_nothing_after_its_cutoff(
    sms: NDArray[np.int64], measured: TieBenchmark
) -> None:
    known = sms[sms[:, 0] < 21 * DAY // SECOND]
    rng = np.random.default_rng(0)
    planted = np.column_stack(
        [
            rng.integers(21 * DAY // SECOND, 60 * DAY // SECOND, 5_000),
            *rng.choice(np.unique(known[:, 1:]), (2, 5_000)),
        ]
    )
    other = _judged(np.concatenate([planted, known]), [21 * DAY])
    np.testing.assert_array_equal(measured.scored[0].strength, other.scored[0].strength)
    np.testing.assert_array_equal(measured.scored[0].p_exchange, other.scored[0].p_exchange)
    np.testing.assert_array_equal(measured.scored[0].past.volume, other.scored[0].past.volume)
    sizes = [name for name in measured.metrics if name.startswith("pairs_slice_")]
    assert sizes
    assert all(measured.metrics[name] == other.metrics[name] for name in sizes)
    assert measured.scored[0].future_volume.sum() != other.scored[0].future_volume.sum()


def _contacts(seed: int = 0) -> NDArray[np.int64]:
    """Return a log of 300 pairs that meet at steady rates of their own over 28 days."""
    rng = np.random.default_rng(seed)
    pair = np.repeat(np.arange(300), rng.poisson(rng.lognormal(1.0, 1.3, 300)))
    at = rng.integers(0, 28 * DAY // SECOND, len(pair))
    ends = np.sort(np.column_stack([pair % 60, 60 + pair // 3]), axis=1)
    turned = rng.random(len(pair)) < 0.5
    ends[turned] = ends[turned][:, ::-1]
    return np.column_stack([at, ends])


@pytest.fixture(scope="module")
def once() -> TieBenchmark:
    return _judged(_contacts(), [21 * DAY])


def test_benchmark_ties_equal_rows_are_events_of_their_own(once: TieBenchmark) -> None:
    rows = _contacts()
    twice = _judged(np.concatenate([rows, rows]), [21 * DAY])
    np.testing.assert_array_equal(2 * once.scored[0].count, twice.scored[0].count)
    np.testing.assert_array_equal(2 * once.scored[0].future_volume, twice.scored[0].future_volume)


def test_benchmark_ties_does_not_depend_on_row_order_or_origin_of_time(
    once: TieBenchmark,
) -> None:
    rows = _contacts()
    moved = rows[np.random.default_rng(1).permutation(len(rows))] - [5_000_000, 0, 0]
    there = _judged(moved, [21 * DAY - 5_000_000 * SECOND])
    np.testing.assert_allclose(once.scored[0].strength, there.scored[0].strength, rtol=1e-9)
    assert once.baselines == there.baselines


def test_benchmark_ties_averages_cutoffs_and_writes_every_score(tmp_path: Path) -> None:
    both = _judged(_contacts(), [16 * DAY, 21 * DAY])
    any_ = [auc(scored.future_volume > 0, scored.strength) for scored in both.scored]
    assert both.metrics["auc_any"] == pytest.approx(np.mean(any_))
    counted = [spearman(scored.count, scored.future_volume) for scored in both.scored]
    assert both.baselines["count_spearman"] == pytest.approx(np.mean(counted))
    write_scores(both, tmp_path / "scores.csv", unit_us=SECOND)
    with (tmp_path / "scores.csv").open() as lines:
        written = list(csv.DictReader(lines))
    assert list(written[0]) == [
        "cutoff",
        "a",
        "b",
        "strength",
        "p_exchange",
        "count",
        "exchanged",
        "future_volume",
    ]
    assert {row["cutoff"] for row in written} == {"1382400", "1814400"}
    assert len(written) == both.metrics["pairs"]
    last = [row for row in written if row["cutoff"] == "1814400"]
    assert [float(row["strength"]) for row in last] == both.scored[1].strength.tolist()
    assert all((row["exchanged"] == "1") == (float(row["future_volume"]) > 0) for row in written)


def test_benchmark_ties_without_a_passed_window_is_refused() -> None:
    with pytest.raises(NotEnoughData, match="no window"):
        _judged(_contacts(), [7 * DAY])
    with pytest.raises(InvalidInput):
        _judged(_contacts(), [])


def test_report_writes_flat_numbers_and_prints_baselines_beside(tmp_path: Path) -> None:
    report = BenchmarkReport(
        "ties", {"auc_any": 0.75, "pairs": 623.0, "gap": float("nan")}, {"count_auc_any": 0.731}
    )
    console = Console(record=True, width=100, file=(tmp_path / "out.txt").open("w"))
    emit(report, tmp_path / "deep" / "out.json", console)
    written = json.loads((tmp_path / "deep" / "out.json").read_text())
    assert written["metrics"] == {"auc_any": 0.75, "pairs": 623.0, "gap": None}
    assert written["baselines"] == {"count_auc_any": 0.731}
    assert {"python", "platform", "cpu_count", "numpy", "lightgbm"} <= set(written["environment"])
    shown = console.export_text()
    line = next(line for line in shown.splitlines() if "auc_any" in line)
    assert "0.7500" in line
    assert "0.7310" in line
    assert as_json(report) + "\n" == (tmp_path / "deep" / "out.json").read_text()


def test_report_with_a_loud_name_is_refused() -> None:
    with pytest.raises(InvalidInput, match="AUC"):
        emit(BenchmarkReport("ties", {"AUC": 1.0}, {}))
