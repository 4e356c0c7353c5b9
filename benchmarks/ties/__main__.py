"""Measure how fast ties are computed and answered: `python -m benchmarks.ties`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

PARTS = ("pair_features", "structure", "scoring", "ego_http")
"""The modules beside this one, each of which measures one thing and can be run by itself."""


def merged(reports: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """Return the reports of parts as one, in which a part's name goes before each of its numbers.

    A baseline's own name stays before that, so that it ends with the name of its metric.
    """
    found: dict[str, dict[str, float]] = {"metrics": {}, "baselines": {}, "environment": {}}
    for part, report in reports.items():
        metrics = report["metrics"]
        found["metrics"] |= {f"{part}_{name}": value for name, value in metrics.items()}
        for name, value in report["baselines"].items():
            # The longest: a metric's name may end with another's.
            fitting = [metric for metric in metrics if name.endswith(f"_{metric}")]
            metric = max(fitting, key=len, default=name)
            found["baselines"][f"{name.removesuffix(metric)}{part}_{metric}"] = value
        found["environment"] |= report["environment"]
    return found


@click.command()
@click.option(
    "--parts",
    default=",".join(PARTS),
    show_default=True,
    help="Which ones, with commas between them.",
)
@click.option("--events", default=10_000_000, show_default=True, help="For features of pairs.")
@click.option(
    "--out-of-core",
    default=100_000_000,
    show_default=True,
    help="Events of the log that nothing holds whole; none if 0.",
)
@click.option("--friendships", default=10_000_000, show_default=True, help="For structure.")
@click.option("--seed", default=1, show_default=True, help="Of all that is drawn.")
@click.option(
    "--out",
    default=Path("benchmarks/results/ties.json"),
    show_default=True,
    type=click.Path(path_type=Path),
    help="Write the figures here.",
)
def main(parts: str, events: int, out_of_core: int, friendships: int, seed: int, out: Path) -> None:
    """Run the parts one after another, each in a process of its own, and write their figures.

    Ends with status 1 if a part did: after all have run, and with the figures of all.
    """
    names = [name for name in parts.split(",") if name]
    if unknown := set(names) - set(PARTS):
        raise click.BadParameter(f"unknown part {', '.join(sorted(unknown))}")
    sizes = {
        "pair_features": {"events": events, "out-of-core": out_of_core},
        "structure": {"friendships": friendships},
    }
    reports, failed = {}, []
    with TemporaryDirectory(prefix="lishang-ties-") as folder:
        for name in names:
            path = Path(folder) / f"{name}.json"
            given = {**sizes.get(name, {}), "seed": seed, "json": path}
            options = [text for key, value in given.items() for text in (f"--{key}", str(value))]
            command = [sys.executable, "-m", f"benchmarks.ties.{name}", *options]
            ended = subprocess.run(command, check=False)
            failed += [name] if ended.returncode else []
            if path.is_file():
                reports[name] = json.loads(path.read_text(encoding="utf-8"))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(merged(reports), indent=2) + "\n", encoding="utf-8")
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
