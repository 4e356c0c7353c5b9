"""`lishang benchmark`: judge the models on files, beside baselines in the same run."""

from __future__ import annotations

import math
from pathlib import Path

import click

from api.commands.mapping import mapping_option
from engine.domain.errors import InvalidInput
from training.benchmark.report import emit
from training.benchmark.ties import benchmark_ties, write_scores
from training.benchmark.town_ties import Town, benchmark_town_ties
from training.importing.interactions import read_interactions
from training.importing.values import LATEST, MICROSECONDS, TimeUnit

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TOWN = Town()
_OUT = click.Path(dir_okay=False, path_type=Path)


@click.group()
def benchmark() -> None:
    """Judge the models on files, beside baselines in the same run."""


@benchmark.command()
@click.option("--interactions", type=_FILE, required=True, help="A log in the import format.")
@click.option("--cutoffs", required=True, help="T1,T2,…: when to judge, in the file's unit.")
@click.option("--horizon", type=float, required=True, help="How far ahead, in the same unit.")
@click.option(
    "--time-unit",
    type=click.Choice(["s", "d"]),
    default="s",
    show_default=True,
    help="Of numeric times in the file, of the cut-offs and of the horizon.",
)
@mapping_option
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--scores", type=_OUT, help="Write every pair's scores as CSV.")
@click.option("--json", "json_path", type=_OUT, help="Write the numbers as JSON.")
def ties(
    interactions: Path,
    cutoffs: str,
    horizon: float,
    time_unit: TimeUnit,
    mapping: dict[str, str],
    seed: int,
    scores: Path | None,
    json_path: Path | None,
) -> None:
    """Judge tie strength: of the pairs that exchanged before a cut-off, who will again?

    For unordered pairs with an exchange before the cut-off; the model at a cut-off learns only
    from windows that had ended by then.
    """
    unit = MICROSECONDS[time_unit]
    if not 0.5 <= horizon * unit <= LATEST:
        raise InvalidInput("the horizon should be positive", "write --horizon 7 with --time-unit d")
    if max(map(abs, _numbers(cutoffs))) * unit > LATEST:
        raise InvalidInput("a cut-off lies beyond the year 9999", "is --time-unit the file's?")
    columns = read_interactions(interactions, mapping, time_unit)
    last = columns.occurred_at.max() / unit if len(columns.occurred_at) else 0.0
    if _numbers(cutoffs)[-1] + horizon > last + horizon / 20:
        click.echo("warning: the last window reaches beyond the log's end", err=True)
    judged = benchmark_ties(
        columns.sender,
        columns.recipient,
        columns.weight,
        columns.kind,
        columns.occurred_at,
        [round(cutoff * unit) for cutoff in _numbers(cutoffs)],
        round(horizon * unit),
        seed,
    )
    emit(judged.report(), json_path)
    for remark in judged.remarks:
        click.echo(remark, err=True)
    if scores is not None:
        write_scores(judged, scores, unit)


@benchmark.command("town-ties")
@click.option("--people", type=int, default=_TOWN.people, show_default=True, help="Of the town.")
@click.option("--days", type=int, default=_TOWN.days, show_default=True, help="Of its log.")
@click.option("--town-seed", type=int, default=_TOWN.seed, show_default=True, help="Of the town.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the fit.")
@click.option("--json", "json_path", type=_OUT, help="Write the numbers as JSON.")
def town_ties(people: int, days: int, town_seed: int, seed: int, json_path: Path | None) -> None:
    """Judge tie strength on a generated town, where closeness is known.

    Beside an oracle that knows how the town works; see docs/town.md.
    """
    town = Town(people, days, town_seed)
    emit(benchmark_town_ties(town, seed, lambda step: click.echo(step, err=True)), json_path)


def _numbers(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(math.isfinite(number) for number in numbers):
        raise InvalidInput(f"cannot read the cut-offs {text!r}", "write 14,16,18,21")
    return sorted(set(numbers))
