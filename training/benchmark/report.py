"""The report of a benchmark: a table to read and, on request, a JSON file of flat numbers."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.domain.errors import InvalidInput

LIBRARIES = ("numpy", "scipy", "scikit-learn", "lightgbm", "duckdb", "ibis-framework", "pyarrow")
"""Those whose versions may move a number."""


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """What was measured, under stable lower-case names, and the same of the baselines.

    A baseline's name is that of the metric after its own: `count_auc_any`.
    """

    title: str
    metrics: Mapping[str, float]
    baselines: Mapping[str, float]
    libraries: Sequence[str] = LIBRARIES
    """Whose versions are told."""


def environment(libraries: Sequence[str] = LIBRARIES) -> dict[str, str | int]:
    """Return where a number was measured: Python, platform, processors, library versions."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count() or 0,
        **{name: version(name) for name in libraries},
    }


def emit(report: BenchmarkReport, path: Path | None = None, console: Console | None = None) -> None:
    """Print the report as a table and, where a path is given, write it as JSON.

    Raises
    ------
    InvalidInput
        If a name is not in lower case.
    """
    names = [*report.metrics, *report.baselines]
    if loud := [name for name in names if name != name.lower()]:
        raise InvalidInput(f"names of numbers are in lower case, not {', '.join(loud)}")
    (console or Console()).print(_table(report))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_json(report) + "\n", encoding="utf-8")


def as_json(report: BenchmarkReport) -> str:
    """Return the report as JSON: metrics, baselines, environment; null for what has no value."""
    content = {
        "metrics": _plain(report.metrics),
        "baselines": _plain(report.baselines),
        "environment": environment(report.libraries),
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _plain(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: float(n) if math.isfinite(n) else None for name, n in numbers.items()}


def _table(report: BenchmarkReport) -> Table:
    """One row a metric; a baseline's value stands beside the metric it is named after."""
    table = Table(title=report.title)
    beside: dict[str, dict[str, float]] = {}
    alone: dict[str, float] = {}
    for name, value in report.baselines.items():
        metric = next((m for m in report.metrics if name.endswith(f"_{m}")), None)
        if metric is None:
            alone[name] = value
        else:
            beside.setdefault(name.removesuffix(f"_{metric}"), {})[metric] = value
    table.add_column("metric")
    table.add_column("model", justify="right")
    for baseline in beside:
        table.add_column(baseline, justify="right")
    for name, value in report.metrics.items():
        others = [_shown(columns.get(name)) for columns in beside.values()]
        table.add_row(name, _shown(value), *others)
    for name, value in alone.items():
        table.add_row(name, _shown(value), *("" for _ in beside))
    return table


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.4f}"
