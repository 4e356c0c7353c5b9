"""`lishang rules backtest`: what a candidate would have changed of the recorded decisions."""

from __future__ import annotations

import time
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from api.commands.backtest_tables import show
from api.commands.context import Context
from api.commands.shipping import actor, key_option, named_version, shipping
from engine.domain.clock import now, parse_time
from engine.domain.errors import Conflict, InvalidInput
from engine.domain.pack_life import Actor
from engine.ledger.decision_log import RecordedDecisions
from engine.ledger.keys import Scope
from engine.policy.admission import stored_pack
from engine.policy.backtest import EXAMPLES
from engine.policy.backtest import backtest as replay
from engine.policy.backtest_report import BacktestReport
from engine.policy.compiling import check_compilable
from engine.policy.decisions import CATALOGUES
from engine.policy.folder import text_of
from engine.policy.packs import Pack, read_pack


@click.command()
@click.argument("candidate", metavar="FILE|PACK@VERSION")
@click.option("--since", metavar="TIME", help="The first instant.  [default: the oldest decision]")
@click.option("--until", metavar="TIME", help="The instant at which it ends, not included.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people or for machines.",
)
@click.option(
    "--examples",
    type=click.IntRange(0, 1_000),
    default=EXAMPLES,
    show_default=True,
    help="Decisions shown of each change and each rule. JSON tells their facts.",
)
@key_option
@click.pass_obj
def backtest(
    context: Context,
    candidate: str,
    since: str | None,
    until: str | None,
    form: str,
    examples: int,
    key: str | None,
) -> None:
    """Take recorded decisions again by a pack, and count what it would have changed.

    The report on a kept PACK@VERSION is kept with it, which asks for a key that carries
    policy:write; a FILE is only tried. Static replay: facts are taken as they were recorded.
    """
    first, last = _window(since, until)
    kept = None if Path(candidate).is_file() else _named(candidate)
    author = None if kept is None else actor(context, key, Scope.POLICY_WRITE)
    pack = _stored(context, *kept) if kept else _read(Path(candidate))
    log = RecordedDecisions(context.database())
    begun = time.perf_counter()
    with _Bar() as bar:
        report = replay(pack, log, first, last, bar.tell, examples)
    seconds = time.perf_counter() - begun
    if form == "json":
        click.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
    else:
        show(report)
    rate = report.decisions / seconds
    click.echo(f"{report.decisions:,} decisions in {seconds:.1f} s ({rate:,.0f}/s)", err=True)
    if author is not None:
        _keep(context, report, author)


class _Bar:
    """A bar on standard error."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("replaying", total=None)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, done: int, total: int | None) -> None:
        """Show that `done` of `total` decisions are replayed."""
        self._progress.update(self._task, completed=done, total=total)


def _window(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    first = None if since is None else parse_time(since)
    last = None if until is None else parse_time(until)
    if first is not None and last is not None and last <= first:
        raise InvalidInput("the window ends before it begins", "--until must be after --since")
    return first, last


def _named(candidate: str) -> tuple[str, int]:
    if "@" not in candidate:
        raise InvalidInput(f"{candidate!r} is no file", "name a file, or a version as gift_send@2")
    return named_version(candidate)


def _stored(context: Context, pack: str, version: int) -> Pack:
    found = shipping(context).find(pack, version)
    return stored_pack(found.ref, found.text, CATALOGUES)


def _read(path: Path) -> Pack:
    pack = read_pack(text_of(path), path.name, CATALOGUES)
    check_compilable(pack)
    return pack


def _keep(context: Context, report: BacktestReport, author: Actor) -> None:
    """Keep the report with its version, unless its approver has seen another one."""
    ref = report.candidate
    text = orjson.dumps(report.as_json()).decode()
    try:
        shipping(context).attach_backtest(ref.pack, ref.version, text, author, now())
    except Conflict as refusal:
        click.echo(f"the report is not kept with the version: {refusal.message}", err=True)
    else:
        click.echo(f"the report is kept with {ref.pack} version {ref.version}", err=True)
