"""`lishang rules lint`: say what is wrong with packs, for people and for CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import click
import orjson

from api.commands.context import Context
from engine.domain.errors import PolicyError
from engine.policy.findings import Finding, Severity, finding_of
from engine.policy.folder import reasons_in, text_of
from engine.policy.lint import lint_folder, lint_pack, lint_reasons
from engine.policy.reasons import REASONS_FILE, ReasonCatalogue

_NOTHING_WRONG, _WARNED, _WRONG = 0, 1, 2


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to write the findings.",
)
@click.option("--strict", is_flag=True, help="Let warnings end the command with 1.")
@click.pass_obj
def lint(
    context: Context, paths: tuple[Path, ...], form: Literal["text", "json"], strict: bool
) -> None:
    """Find what is wrong with packs: in files, folders, or the folder that LISHANG_RULES names.

    A file is judged by the reasons that lie beside it, or else those of LISHANG_RULES. Of a whole
    folder it is also said which reasons no rule gives and which packs hold at the same time.

    Ends with 0 if nothing is wrong, 1 if there are warnings and --strict is given, 2 if there are
    errors. docs/lint.md lists every code.
    """
    chosen = paths or (_nearer(context.settings.rules),)
    found = [finding for path in chosen for finding in _findings(path, context)]
    if form == "json":
        click.echo(_as_json(chosen, found))
    else:
        _show(found)
    click.get_current_context().exit(_exit_code(found, strict))


def _findings(path: Path, context: Context) -> list[Finding]:
    if path.is_dir():
        return lint_folder(path)
    try:
        text = text_of(path)
    except PolicyError as error:
        return [finding_of(error, "UNREADABLE", f"{path}:1:1")]
    if path.name == REASONS_FILE:
        return lint_reasons(text, str(path))
    return lint_pack(text, str(path), _reasons_for(path, context))


def _reasons_for(path: Path, context: Context) -> ReasonCatalogue:
    beside = (path.parent / REASONS_FILE).is_file()
    return reasons_in(path.parent if beside else context.settings.rules)


def _nearer(path: Path) -> Path:
    """Return `path` from the present folder on, where it lies within."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _exit_code(found: Iterable[Finding], strict: bool) -> int:
    severities = {finding.severity for finding in found}
    if Severity.ERROR in severities:
        return _WRONG
    return _WARNED if strict and Severity.WARNING in severities else _NOTHING_WRONG


def _as_json(checked: Sequence[Path], found: Sequence[Finding]) -> str:
    report = {
        "checked": [str(path) for path in checked],
        "counts": _counts(found),
        "findings": [finding.as_json() for finding in found],
    }
    return orjson.dumps(report, option=orjson.OPT_INDENT_2).decode()


def _show(found: Sequence[Finding]) -> None:
    for finding in found:
        click.echo(f"{finding.where} {finding.severity} {finding.code} {finding.message}")
        if finding.hint:
            click.echo(f"    hint: {finding.hint}")
        if finding.witness:
            # As an example beside a rule is written.
            facts = [f"{name}: {orjson.dumps(v).decode()}" for name, v in finding.witness.items()]
            click.echo(f"    witness: {{{', '.join(facts)}}}")
    counts = ", ".join(
        f"{number} {name}{'' if number == 1 else 's'}" for name, number in _counts(found).items()
    )
    click.echo(counts)


def _counts(found: Iterable[Finding]) -> dict[str, int]:
    counted = Counter(finding.severity for finding in found)
    return {severity.value: counted[severity] for severity in Severity}
