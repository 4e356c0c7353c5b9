"""`lishang import`: files of history, or public research data, into the ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from api.commands.context import Context
from api.commands.mapping import mapping_option
from api.commands.tables import show_table
from engine.domain.clock import parse_time
from engine.domain.people import ASSUMABLE
from engine.ledger.database import Database
from training.importing import (
    FILE_KINDS,
    MICROSECONDS,
    PRESETS,
    RESEARCH_CONSENTS,
    ImportOptions,
    ImportReport,
    NumericTimes,
    Source,
    TimeUnit,
    import_sources,
    preset_sources,
    sources_of,
)
from training.importing.fields import FileKind


def _columns(kind: FileKind) -> str:
    """Return the fields of a kind as help: optional ones in brackets."""
    return ", ".join(f.name if f.required else f"[{f.name}]" for f in kind.fields)


def _file_options(command: Callable[..., None]) -> Callable[..., None]:
    path = click.Path(exists=True, dir_okay=False, path_type=Path)
    for kind in reversed(list(FILE_KINDS.values())):
        flag = f"--{kind.name.replace('_', '-')}"
        command = click.option(
            flag, kind.name, type=path, multiple=True, metavar="F", help=_columns(kind)
        )(command)
    return command


def _purposes(
    _context: click.Context, _option: click.Parameter, given: str | None
) -> tuple[str, ...] | None:
    if given is None:
        return None
    purposes = tuple(name.strip() for name in given.split(",") if name.strip())
    known = [purpose.value for purpose in ASSUMABLE]
    for name in purposes:
        if name not in known:
            raise click.BadParameter(f"{name!r} is not one of {', '.join(known)}")
    return purposes


@click.command("import")
@_file_options
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="Read the public data of this name in DIR instead of files.",
)
@click.argument(
    "folder",
    metavar="[DIR]",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@mapping_option
@click.option(
    "--time-unit",
    type=click.Choice(list(MICROSECONDS)),
    default="s",
    show_default=True,
    help="Unit of numeric times. RFC 3339 times and dates are always understood.",
)
@click.option(
    "--epoch",
    default="1970-01-01",
    show_default=True,
    metavar="TIME",
    help="The instant from which numeric times count, such as the start of a study.",
)
@click.option(
    "--max-bad",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Bad rows a file may have; one more and nothing is stored.",
)
@click.option(
    "--strict", is_flag=True, help="Rows that name an unknown person, item or offer are bad."
)
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="F",
    help="Where bad rows are listed.  [default: FILE.rejects.csv beside each file]",
)
@click.option(
    "--assume-consents",
    "consents",
    callback=_purposes,
    metavar="PURPOSES",
    help=f"Assert that everyone in the files agreed to these ({', '.join(ASSUMABLE)}; with commas"
    " between). What people said themselves stands. A preset assumes all; '' for none.",
)
@click.pass_obj
def import_command(
    context: Context,
    /,
    preset: str | None,
    folder: Path | None,
    mapping: dict[str, str],
    time_unit: str,
    epoch: str,
    max_bad: int,
    strict: bool,
    rejects: Path | None,
    consents: tuple[str, ...] | None,
    **given: tuple[Path, ...],  # the paths of each file kind: click names them
) -> None:
    """Import files of history: CSV, TSV or Parquet, plain or gzipped.

    Columns are named as the fields below; those in brackets may be left out. All files go in
    together or not at all, and importing a file again changes nothing. See docs/import.md.
    """
    files = [(kind, path) for kind, paths in given.items() for path in paths]
    if preset is not None and folder is None and "LISHANG_DATA" in os.environ:
        folder = Path(os.environ["LISHANG_DATA"]) / preset
    if preset is not None and (files or mapping or folder is None):
        raise click.UsageError(
            "--preset takes the folder of the data (or finds it by LISHANG_DATA), no file or map."
        )
    if preset is None and (not files or folder is not None):
        raise click.UsageError("Name a file, such as --gifts gifts.csv, or a --preset and DIR.")
    if consents is None:
        consents = RESEARCH_CONSENTS if preset else ()
    times = NumericTimes(cast("TimeUnit", time_unit), parse_time(epoch))
    options = ImportOptions(
        mapping=mapping,
        times=times,
        max_bad=max_bad,
        strict=strict,
        # The data of others are not written to.
        rejects=rejects or (Path(f"{preset}.rejects.csv") if preset else None),
        consents=consents,
    )
    if preset is not None and folder is not None:
        sources = preset_sources(preset, folder, times.epoch)
    else:
        sources = sources_of(files, options)
    _import(context.database(), sources, options)


def import_and_show(
    database: Database, files: Mapping[str, Path], options: ImportOptions
) -> ImportReport:
    """Import `files` (kind to file) with a progress bar and print what became of them.

    Raises
    ------
    FileRefused, InvalidInput
        As `training.importing.import_files`.
    """
    return _import(database, sources_of(files.items(), options), options)


def _import(database: Database, sources: Sequence[Source], options: ImportOptions) -> ImportReport:
    with _Bars() as bars:
        report = import_sources(database, sources, options, bars.tell)
    _show(report)
    return report


class _Bars:
    """A bar for each file, on standard error."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description:>12}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, label: str, share: float) -> None:
        """Show that `share` of the work called `label` is done."""
        if label not in self._tasks:
            self._tasks[label] = self._progress.add_task(label, total=1.0)
        self._progress.update(self._tasks[label], completed=share)


def _show(report: ImportReport) -> None:
    show_table(
        ("file", "kind", "rows", "new", "changed", "there already", "bad", "seconds", "rows/s"),
        [
            (
                file.path.name,
                file.kind,
                *(f"{n:,}" for n in (file.read, file.new, file.changed, file.known, file.bad)),
                f"{file.seconds:.2f}",
                f"{file.rows_per_second:,.0f}",
            )
            for file in report.files
        ],
    )
    click.echo(
        f"{report.rows:,} rows in {report.seconds:.2f} s: {report.people:,} people met,"
        f" {report.consents:,} consents recorded, {report.ties:,} ties computed"
    )
    if report.structure_left:
        click.echo("many friendships changed: now run lishang refresh structure")
    for listed in sorted({file.rejects for file in report.files if file.rejects is not None}):
        click.echo(f"bad rows are listed in {listed}")
