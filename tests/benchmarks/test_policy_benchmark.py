"""The policy benchmark compares engines that all do the same work, and measures what it says."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.policy.__main__ import EXTRAS, main
from benchmarks.policy.bench import Bench, BenchRule, more_rules, read_bench
from benchmarks.policy.rounds import percentile, ratio
from engine.domain.errors import InvalidInput
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactType

ABSENT = [name for module, name in EXTRAS.items() if not importlib.util.find_spec(module)]
needs_extras = pytest.mark.skipif(
    bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)} (make install-benchmark)"
)

RULES = [
    {"id": "r1_flag", "when": "gift.blocked == true"},
    {"id": "r2_price", "when": "gift.price_cents > 500"},
    {"id": "r3_wallet", "when": "gift.price_cents > gift.wallet_cents"},
    {"id": "r4_kind", "when": 'gift.kind == "lottery" || gift.kind == "box" || gift.days < 2'},
    {"id": "r5_both", "when": "gift.days < 7 && gift.blocked == false && gift.days > 2"},
]


def violated(facts: dict[str, object]) -> list[str]:
    """Return what the rules above say of `facts`, written a second time by hand."""
    price, days = int(str(facts["price_cents"])), int(str(facts["days"]))
    found = {
        "r1_flag": facts["blocked"],
        "r2_price": price > 500,
        "r3_wallet": price > int(str(facts["wallet_cents"])),
        "r4_kind": facts["kind"] in ("lottery", "box") or days < 2,
        "r5_both": 2 < days < 7 and not facts["blocked"],
    }
    return [name for name, holds in found.items() if holds]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bench of our own."""
    made = tmp_path_factory.mktemp("bench")
    (made / "rules.json").write_text(json.dumps(RULES), encoding="utf-8")
    cases = [
        {"blocked": blocked, "price_cents": price, "wallet_cents": 400, "kind": kind, "days": days}
        for blocked in (True, False)
        for price in (400, 401, 500, 501)
        for kind in ("lottery", "box", "plain, 礼")
        for days in (1, 2, 3, 6, 7)
    ]
    lines = [json.dumps({"facts": case, "violations": violated(case)}) for case in cases]
    (made / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made


@pytest.fixture
def shared_bench() -> Iterator[Bench]:
    """A part of the bench that all engines are compared on."""
    given, data = os.environ.get("LISHANG_POLICY_BENCH"), os.environ.get("LISHANG_DATA")
    if not given and not data:
        pytest.skip("neither LISHANG_POLICY_BENCH nor LISHANG_DATA is set")
    place = Path(given) if given else Path(str(data)).parent / "policy_bench"
    if not (place / "cases.jsonl").is_file():
        pytest.skip(f"the policy bench is not at {place}")
    yield read_bench(place, 200)


def inexact(bench: Bench) -> list[str]:
    from benchmarks.policy.contenders import contenders  # noqa: PLC0415  # needs the extras

    engines = contenders(bench)
    found = [engine.name for engine in engines if not engine.is_exact(bench)]
    for engine in engines:
        engine.close()
    assert len(engines) >= 10
    return found


@needs_extras
def test_contenders_on_the_shared_bench_report_every_violation(shared_bench: Bench) -> None:
    assert inexact(shared_bench) == []


@needs_extras
def test_contenders_on_rules_of_other_shapes_report_every_violation(folder: Path) -> None:
    assert inexact(read_bench(folder)) == []


@needs_extras
def test_contender_that_misses_a_violation_is_not_called_exact(folder: Path) -> None:
    bench = read_bench(folder)
    more = (bench.violations[0] | {"r2_price"}, *bench.violations[1:])
    assert "r2_price" not in bench.violations[0]
    wrong = Bench(bench.rules, bench.facts, more)
    assert len(inexact(wrong)) >= 10


@needs_extras
@pytest.mark.slow
def test_benchmark_writes_figures_raw_numbers_and_versions(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "policy.json"
    few = ["--rounds", "5", "--checks", "400", "--swaps", "20", "--most-rules", "30"]
    shown = CliRunner().invoke(main, ["--bench-path", str(folder), "--out", str(out), *few])
    assert shown.exit_code == 0, shown.output
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["metrics"]["exact"] == 1
    assert content["not_exact"] == []
    for name in ("ratio_to_zen_table", "p50_us", "p99_us", "growth_exponent", "bytes_per_swap"):
        assert name in content["metrics"]
    rates = content["raw"]["decisions_per_second"]
    assert {"lishang", "zen_table", "zen_expressions", "cedarpy", "rule_engine"} <= set(rates)
    assert all(len(found) == 5 and min(found) > 0 for found in rates.values())
    assert set(content["versions"]) >= {"zen-engine", "cedarpy", "rule-engine", "durable_rules"}
    assert set(content["raw"]["us_a_check_by_rules"]) == {"10", "30"}


def test_benchmark_without_its_extras_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    shown = CliRunner().invoke(main, [])
    assert shown.exit_code == 1
    assert "not installed: zen-engine, cedarpy, rule-engine; make install-benchmark" in shown.output


def test_bench_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no bench at"):
        read_bench(tmp_path)


def test_more_rules_are_all_different_and_readable() -> None:
    rules = [BenchRule(rule["id"], rule["when"]) for rule in RULES]
    found = more_rules(rules, 23, "price_cents")
    assert found[:5] == rules
    assert len({rule.id for rule in found}) == len({rule.when for rule in found}) == 23
    assert found[6].when == "gift.price_cents > 501"
    assert found[9].when == "gift.days < 8 && gift.blocked == false && gift.days > 3"
    assert found[10].when == "(gift.blocked == true) && gift.price_cents >= 2"


def test_bench_types_become_a_catalogue(folder: Path) -> None:
    catalogue = read_bench(folder).catalogue()
    assert isinstance(catalogue, FactCatalogue)
    assert catalogue["gift.blocked"].type is FactType.BOOL
    assert catalogue["gift.kind"].type is FactType.TEXT


def test_ratio_is_the_median_over_rounds_not_over_engines() -> None:
    rates = {"one": [10.0, 1.0, 30.0], "other": [5.0, 1.0, 10.0]}
    assert ratio(rates, "one", "other") == 2


def test_percentile_is_a_value_that_was_measured() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.99, 1.0, 0.0)] == [50, 99, 100, 1]
