"""All figures of the ledger benchmark, in one run."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import click

from benchmarks.ledger import growth
from benchmarks.ledger.clients import Driven, percentile
from benchmarks.ledger.in_process import SendsAndRaw, gift_policy
from benchmarks.ledger.ledgers import SQLITE, durability, ledgers
from benchmarks.ledger.over_http import BATCH, BATCH_CLIENTS, CHECK, ECHO, SEND, HttpSizes, OverHttp
from benchmarks.policy.rounds import ratio
from engine.domain.clock import now
from engine.gift_policy import GiftPolicy
from training.benchmark.report import BenchmarkReport, as_json, emit

LIBRARIES = ("granian", "flask", "pydantic", "sqlalchemy", "psycopg", "orjson", "durable_rules")
_SIGNIFICANT = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how long."""

    databases: Sequence[str]
    postgres_url: str | None
    clients: Sequence[int]
    seconds: float
    rounds: int
    workers: int
    people: int
    batch: int
    sizes: Sequence[int]


@dataclass(slots=True)
class Found:
    """The figures so far, and every single measurement."""

    metrics: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, float] = field(default_factory=dict)
    raw: dict[str, object] = field(default_factory=dict)


def measure(plan: Plan, folder: Path | None, out: Path) -> None:
    """Measure everything in `plan`, print it and write it to `out`.

    Parameters
    ----------
    folder
        Where the databases lie meanwhile; None for a temporary folder.

    Raises
    ------
    InvalidInput
        If an answer is wrong, or the ledger holds other than what was answered.
    """
    found = Found()
    with ExitStack() as until_the_end:
        place = Path(
            until_the_end.enter_context(
                tempfile.TemporaryDirectory(prefix="lishang-ledger-", dir=folder)
            )
        )
        policy = until_the_end.enter_context(gift_policy())
        for kind in plan.databases:
            click.echo(f"{kind}: {plan.rounds} rounds", err=True)
            _measure_database(kind, place / kind, plan, policy, found)
        if plan.sizes:
            _measure_growth(place, plan, policy, found)
    title = f"{plan.workers} workers and the client on one machine, {plan.rounds} rounds"
    report = BenchmarkReport(title, found.metrics, found.baselines, LIBRARIES)
    emit(report)
    content = {**json.loads(as_json(report)), "raw": found.raw}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _measure_database(
    kind: str, folder: Path, plan: Plan, policy: GiftPolicy, found: Found
) -> None:
    folder.mkdir()
    asked = [SEND, CHECK, ECHO] if kind == SQLITE else [SEND]
    kinds = [*asked, BATCH] if CHECK in asked and plan.batch else asked
    sizes = HttpSizes(kinds, plan.clients, plan.seconds, plan.workers, plan.people, plan.batch)
    rates: dict[str, list[float]] = {"ours": [], "raw": []}
    with ledgers(kind, folder, plan.postgres_url, plan.people, now()) as made:
        sending = SendsAndRaw(made, policy, plan.people)
        with OverHttp.started(made, folder, sizes) as over:
            for number in range(plan.rounds + 1):  # the first warms up and does not count
                over.round()
                ours, raw = sending.round(plan.seconds)
                if number:
                    rates["ours"].append(ours)
                    rates["raw"].append(raw)
        safety = durability(made.copy("asked"))
        rows = sending.close()
    found.metrics |= {
        f"{kind}_send_to_raw_ratio": ratio(rates, "ours", "raw"),
        f"{kind}_in_process_sends_per_second": statistics.median(rates["ours"]),
    }
    found.baselines[f"raw_{kind}_in_process_sends_per_second"] = statistics.median(rates["raw"])
    counted = {key: all_[1:] for key, all_ in over.found.items()}
    for clients in plan.clients:
        for kind_of in asked:
            names = {SEND: f"{kind}_send", CHECK: "check", ECHO: "echo_check"}
            into = found.baselines if kind_of == ECHO else found.metrics
            into |= _figures(names[kind_of], clients, counted[kind_of, clients])
        if ECHO in kinds:
            each = {k: [one.rate for one in counted[k, clients]] for k in (CHECK, ECHO)}
            found.metrics[f"check_to_echo_ratio_at_{clients}"] = ratio(each, CHECK, ECHO)
    if BATCH in kinds:
        batches = counted[BATCH, BATCH_CLIENTS]
        found.metrics["batch_checks_per_second"] = plan.batch * statistics.median(
            one.rate for one in batches
        )
        found.metrics["batch_p99_ms"] = _p99(batches)
    found.raw[kind] = {
        "durability": safety,
        "rows_written_twice_and_equal": rows,
        "in_process_sends_per_second": {name: _plain(all_) for name, all_ in rates.items()},
        "http": {
            f"{kind_of}_at_{clients}": {
                "requests_per_second": _plain([one.rate for one in all_]),
                "client_cpu_us_per_request": _plain(
                    [1e6 * one.client_cpu_seconds / one.answered for one in all_]
                ),
            }
            for (kind_of, clients), all_ in counted.items()
        },
    }


def _figures(name: str, clients: int, all_: Sequence[Driven]) -> dict[str, float]:
    latencies = [latency for one in all_ for latency in one.latencies_ms]
    return {
        f"{name}s_per_second_at_{clients}": statistics.median(one.rate for one in all_),
        f"{name}_p50_ms_at_{clients}": percentile(latencies, 0.5),
        f"{name}_p99_ms_at_{clients}": percentile(latencies, 0.99),
    }


def _p99(all_: Sequence[Driven]) -> float:
    return percentile([latency for one in all_ for latency in one.latencies_ms], 0.99)


def _measure_growth(place: Path, plan: Plan, policy: GiftPolicy, found: Found) -> None:
    at = now()
    paths: dict[int, Path] = {}
    loaded: dict[int, Mapping[str, float]] = {}
    for size in sorted(plan.sizes):
        paths[size] = place / f"{size}.db"
        seconds = growth.load(paths[size], size, at)
        mib = paths[size].stat().st_size / 2**20
        loaded[size] = {"load_seconds": seconds, "file_mib": mib}
        click.echo(f"{size:,} gifts: {mib:,.0f} MiB in {seconds:,.0f} s", err=True)
    costs = growth.measure(paths, policy, at, plan.rounds)
    least, most = min(paths), max(paths)
    for name, by_size in (("", costs.warm), ("cold_", costs.cold)):
        medians = {size: statistics.median(all_) for size, all_ in by_size.items()}
        found.metrics |= {f"{name}check_us_at_{size}_gifts": us for size, us in medians.items()}
        found.metrics[f"{name}check_growth"] = medians[most] / medians[least]
    found.raw["growth"] = {
        size: {
            **{name: float(f"{number:.{_SIGNIFICANT}g}") for name, number in of.items()},
            "warm_us": _plain(costs.warm[size]),
            "cold_us": _plain(costs.cold[size]),
        }
        for size, of in loaded.items()
    }


def _plain(numbers: Sequence[float]) -> list[float]:
    return [float(f"{number:.{_SIGNIFICANT}g}") for number in numbers]
