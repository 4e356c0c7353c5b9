"""What each feature of a pair is worth: the lines of the tie model fitted without it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.ties.ablation_windows import Figures, Window, copenhagen, town
from benchmarks.ties.tried_features import all_features
from engine.domain.pair_state import DEFAULT_LAYOUT
from models.features.pair import pair_features
from training.benchmark.report import environment
from training.benchmark.town_ties import Town

IDLE = 0.0003
"""By how much no figure may worsen when an idle feature is left out."""
LOG_LOSS = "log_loss"
"""The one figure of which less is better."""
READ = ("volume", "age")
"""What the strength reads beside the lines: no feature to leave out, whatever lines make of it."""
RESULTS = Path(__file__).parents[1] / "results" / "ties_ablation.json"

Windows = Mapping[str, Sequence[Sequence[Window]]]
"""By data, windows grouped by horizon; each group counts alike."""
Worsened = dict[str, Figures]
"""By data, how much each figure worsened."""


class Ablation(BaseModel):
    """`full` are the figures with every feature that was tried, by data; all others are by how much
    they worsen (positive is worse) without a family, without a feature, without all `idle` ones."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    full: dict[str, Figures]
    families: dict[str, Worsened]
    features: dict[str, Worsened]
    idle: list[str]
    without_idle: Worsened
    environment: dict[str, str | int]

    def as_markdown(self) -> str:
        """Return the table for the documentation: figures, and in ten-thousandths what is lost."""
        columns = [(data, name) for data, figures in self.full.items() for name in figures]
        head = ["left out", *(f"{data} {name.replace('_', ' ')}" for data, name in columns)]
        whole = [f"{self.full[data][name]:.4f}" for data, name in columns]
        lost = {
            **{f"family {family}": found for family, found in self.families.items()},
            **{f"`{feature}`": found for feature, found in self.features.items()},
            "all that are idle": self.without_idle,
        }
        kept = pair_features().names
        rows = [["nothing", *whole]]
        for what, found in lost.items():
            gone = what.startswith("`") and what.strip("`") not in kept
            cells = [f"{1e4 * found[data][name]:+.0f}" for data, name in columns]
            rows.append([f"{what} (not read)" if gone else what, *cells])
        lines = [head, ["---"] * len(head), *rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def ablated(windows: Windows) -> Ablation:
    """Leave out each family and each feature, then more and more of those that are idle alone."""
    full = _figures(windows, ())
    defined = all_features(DEFAULT_LAYOUT).features

    def worsened(left_out: Sequence[str]) -> Worsened:
        found = _figures(windows, left_out)
        return {
            data: {
                name: found[data][name] - value if name == LOG_LOSS else value - found[data][name]
                for name, value in figures.items()
            }
            for data, figures in full.items()
        }

    families = {
        family: worsened([f.name for f in defined if f.family == family])
        for family in dict.fromkeys(f.family for f in defined)
    }
    features = {f.name: worsened([f.name]) for f in defined}
    alone = sorted((_most(found), name) for name, found in features.items() if name not in READ)
    idle: list[str] = []
    # Of two features that say the same each is idle, but not both: who is missed least goes first.
    for missed, name in alone:
        if missed <= IDLE and _most(worsened([*idle, name])) <= IDLE:
            idle.append(name)
    return Ablation(
        full=full,
        families=families,
        features=features,
        idle=idle,
        without_idle=worsened(idle),
        environment=environment(),
    )


def _most(found: Worsened) -> float:
    return max(value for figures in found.values() for value in figures.values())


def _figures(windows: Windows, left_out: Sequence[str]) -> dict[str, Figures]:
    """Return the figures by data, averaged over the windows of a horizon, then over horizons."""
    found = {}
    for data, groups in windows.items():
        judged = [[window.without(left_out) for window in group] for group in groups]
        found[data] = {
            name: float(np.mean([np.mean([one[name] for one in group]) for group in judged]))
            for name in judged[0][0]
        }
    return found


@click.command()
@click.argument("contacts", type=click.Path(exists=True, path_type=Path))
@click.option("--people", default=2_000, show_default=True, help="Of the generated town.")
@click.option("--days", default=120, show_default=True, help="Of its log.")
@click.option("--seed", default=1, show_default=True, help="Of the town.")
@click.option("--json", "out", default=RESULTS, show_default=False, type=click.Path(path_type=Path))
def main(contacts: Path, people: int, days: int, seed: int, out: Path) -> None:
    """Ablate on CONTACTS (Copenhagen's sms.csv) and on a town, and print the table."""
    windows = {
        "copenhagen": copenhagen(contacts, all_features),
        "town": town(Town(people, days, seed), seed, all_features),
    }
    found = ablated(windows)
    out.parent.mkdir(parents=True, exist_ok=True)
    stored = json.dumps(found.model_dump(), indent=2)
    out.write_text(stored + "\n", encoding="utf-8")
    click.echo(found.as_markdown())
    click.echo(f"idle: {', '.join(found.idle)}")


if __name__ == "__main__":
    main()
