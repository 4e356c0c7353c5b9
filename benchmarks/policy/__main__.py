"""Measure our engine beside others on one bench: `python -m benchmarks.policy`."""

from __future__ import annotations

import importlib.util
import json
from importlib.metadata import version
from pathlib import Path

import click

EXTRAS = {"zen": "zen-engine", "cedarpy": "cedarpy", "rule_engine": "rule-engine"}
VERSIONS = (*EXTRAS.values(), "durable_rules", "orjson")


@click.command()
@click.option(
    "--bench-path",
    default=Path("../shared/policy_bench"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="A folder with rules.json and cases.jsonl.",
)
@click.option(
    "--out",
    default=Path("benchmarks/results/policy.json"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Write the figures here.",
)
@click.option("--rounds", default=21, show_default=True, type=click.IntRange(min=5))
@click.option("--checks", default=500_000, show_default=True, help="Checks to watch memory over.")
@click.option("--swaps", default=1_000, show_default=True, help="Swaps to watch memory over.")
@click.option("--most-rules", default=300, show_default=True, type=click.IntRange(min=30))
def main(
    bench_path: Path, out: Path, rounds: int, checks: int, swaps: int, most_rules: int
) -> None:
    """Decide the bench with every engine in interleaved rounds, and print the rates.

    Ends with status 1 if ours is not exact.
    """
    absent = [name for module, name in EXTRAS.items() if not importlib.util.find_spec(module)]
    if absent:
        raise click.ClickException(f"not installed: {', '.join(absent)}; make install-benchmark")
    from benchmarks.policy.measuring import measure  # noqa: PLC0415  # needs the extras
    from training.benchmark.report import as_json, emit  # noqa: PLC0415  # slow to load

    found = measure(bench_path, rounds, checks, swaps, most_rules)
    emit(found.report)
    for name in found.inexact:
        click.echo(f"NOT EXACT: {name}", err=True)
    content = {
        **json.loads(as_json(found.report)),
        "versions": {name: version(name) for name in VERSIONS},
        "not_exact": list(found.inexact),
        "raw": found.raw,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if found.ours_inexact:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
