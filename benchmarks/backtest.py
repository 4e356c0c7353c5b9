"""How long a backtest of a million recorded decisions takes: `python -m benchmarks.backtest`."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import orjson
import yaml

from benchmarks.recorded_gifts import fill
from engine.ledger.database import Database
from engine.ledger.decision_log import RecordedDecisions
from engine.ledger.migration import ensure
from engine.policy.backtest import backtest
from engine.policy.backtest_report import BacktestReport
from engine.policy.decisions import CATALOGUES
from engine.policy.differing import Change
from engine.policy.folder import packs_in
from engine.policy.packs import Pack, read_pack
from training.benchmark.report import BenchmarkReport, emit

RULES = Path(__file__).parents[1] / "rules"


def candidate_of(pack: Pack) -> Pack:
    """Return a next version that drops a rule, adds one and lowers every number by a fifth."""
    said = yaml.safe_load(pack.text)
    said["version"] += 1
    for name, value in said["params"].items():
        if type(value) is int:
            said["params"][name] = value * 4 // 5
    del said["rules"][0]
    said["rules"].append(
        {
            "id": "many_within_the_hour",
            "description": "A person looks at many gifts within one hour.",
            "when": "sender.hour_gifts_after > 5",
            "then": "review",
            "reason": "HELD_FOR_REVIEW",
            "cite": {"source": "the benchmark", "verified": False},
        }
    )
    return read_pack(yaml.safe_dump(said, sort_keys=False), "candidate.yaml", CATALOGUES)


def fetch(path: Path, parse: bool) -> int:
    """Fetch the same rows in the same order with sqlite3 and, if asked, parse their facts."""
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT decision_id, occurred_at, effect, fired, facts, pack, pack_version, pack_hash"
        " FROM decisions WHERE decision = 'gift_send' ORDER BY occurred_at"
    )
    fetched = 0
    while part := rows.fetchmany(1_000):
        fetched += len(part)
        if parse:
            for row in part:
                orjson.loads(row[4])
    connection.close()
    return fetched


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the wall and the processor seconds of `work`."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(path: Path, pack: Pack, runs: int) -> tuple[BacktestReport, dict[str, list[float]]]:
    """Return a report and, by name, the seconds of each run; the ways take turns."""
    database = Database(f"sqlite:///{path}")
    candidate, log = candidate_of(pack), RecordedDecisions(database)
    reports: list[BacktestReport] = []
    ways: dict[str, Callable[[], object]] = {
        "fetch": lambda: fetch(path, parse=False),
        "fetch_and_parse": lambda: fetch(path, parse=True),
        "backtest": lambda: reports.append(backtest(candidate, log, None, None)),
    }
    seconds: dict[str, list[float]] = {}
    for _ in range(runs):
        for name, work in ways.items():
            wall, processor = timed(work)
            seconds.setdefault(f"{name}_seconds", []).append(wall)
            seconds.setdefault(f"{name}_processor_seconds", []).append(processor)
    database.close()
    if any(report != reports[0] for report in reports):
        raise click.ClickException("two backtests of one log differ")
    return reports[0], seconds


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Recorded decisions.")
@click.option("--runs", default=3, show_default=True, help="Runs of which the median is told.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path), help="Write the figures here.")
def main(rows: int, runs: int, seed: int, out: Path | None) -> None:
    """Record decisions, backtest them, and fetch the same rows as plainly as it goes."""
    [pack] = [pack for pack in packs_in(RULES) if pack.decides == "gift_send"]
    with tempfile.TemporaryDirectory(prefix="lishang-backtest-") as name:
        path = Path(name) / "lishang.db"
        database = Database(f"sqlite:///{path}")
        ensure(database)
        filling, _ = timed(lambda: fill(database, pack, rows, seed))
        database.close()
        size = path.stat().st_size
        report, seconds = measure(path, pack, runs)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    raw = {
        f"{name}_run_{number}": value
        for name, values in seconds.items()
        for number, value in enumerate(values, 1)
    }
    ours = medians["backtest_processor_seconds"]
    metrics = {
        "decisions": report.decisions,
        "rules": len(pack.rules),
        "facts": len(CATALOGUES["gift_send"].names),
        "bytes_per_decision": size / rows,
        "filling_seconds": filling,
        "decisions_per_second": rows / medians["backtest_seconds"],
        "ratio_to_fetch_and_parse": ours / medians["fetch_and_parse_processor_seconds"],
        **{change.value: report.changes[change] for change in Change},
        **{name: value for name, value in medians.items() if name.startswith("backtest_")},
        **{name: value for name, value in raw.items() if name.startswith("backtest_")},
    }
    beside = {k: v for k, v in (medians | raw).items() if not k.startswith("backtest_")}
    emit(BenchmarkReport(f"backtest of {rows:,} recorded decisions", metrics, beside), out)


if __name__ == "__main__":
    main()
