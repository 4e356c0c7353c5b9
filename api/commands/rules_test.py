"""`lishang rules test`: run the examples and cases of packs, and say what they leave unshown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import orjson

from api.commands.context import Context
from engine.domain.errors import PolicyError
from engine.policy.cases import Case, cases_in
from engine.policy.decisions import CATALOGUES
from engine.policy.folder import CASES_FOLDER, packs_in, reasons_in, text_of
from engine.policy.packs import Pack, read_pack
from engine.policy.proving import Proof, concerning, prove
from engine.policy.reasons import REASONS_FILE, ReasonCatalogue


@dataclass(frozen=True, slots=True)
class _Proved:
    """Everything that was run, and the cases that no pack takes."""

    proofs: tuple[Proof, ...]
    unclaimed: tuple[Case, ...]

    @property
    def sound(self) -> bool:
        return not self.unclaimed and all(proof.sound for proof in self.proofs)

    def as_json(self) -> dict[str, object]:
        return {
            "sound": self.sound,
            "packs": [proof.as_json() for proof in self.proofs],
            "unclaimed": [{"where": c.written_at, "name": c.name} for c in self.unclaimed],
        }


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print what was found.",
)
@click.pass_obj
def test(context: Context, paths: tuple[Path, ...], form: str) -> None:
    """Run the examples and cases of PATHS, packs or folders of packs; without any, of all packs
    in service here.

    Ends with 0 if all came out as written and nothing is left unshown, 1 if not, and 2 if
    something cannot be read.
    """
    rules = context.settings.rules
    proved = [_proved(path, rules) for path in paths or (rules,)]
    proofs = tuple(proof for found in proved for proof in found.proofs)
    unclaimed = tuple(case for found in proved for case in found.unclaimed)
    whole = _Proved(proofs, unclaimed)
    if form == "json":
        click.echo(orjson.dumps(whole.as_json(), option=orjson.OPT_INDENT_2).decode())
    else:
        for line in _lines(whole):
            click.echo(line)
    click.get_current_context().exit(0 if whole.sound else 1)


def _proved(path: Path, rules: Path) -> _Proved:
    folder = path if path.is_dir() else path.parent
    if path.is_file() and (folder.name == CASES_FOLDER or path.name == REASONS_FILE):
        raise PolicyError(f"{path} is no pack", "name a pack, or the folder it lies in")
    packs = packs_in(folder) if path.is_dir() else [_pack(path)]
    if not packs:
        raise PolicyError(f"there is no pack in {folder}", "name a pack, or a folder of packs")
    cases, reasons = cases_in(folder), _reasons(folder, rules)
    unclaimed = _unclaimed(packs, cases) if path.is_dir() else ()
    return _Proved(tuple(prove(pack, cases, reasons) for pack in packs), tuple(unclaimed))


def _pack(path: Path) -> Pack:
    return read_pack(text_of(path), path.name, CATALOGUES)


def _reasons(folder: Path, rules: Path) -> ReasonCatalogue:
    """Return the reasons beside the packs; those in service here where there are none."""
    return reasons_in(folder if (folder / REASONS_FILE).exists() else rules)


def _unclaimed(packs: Iterable[Pack], cases: Sequence[Case]) -> list[Case]:
    claimed = {id(case) for pack in packs for case in concerning(pack, cases)}
    return [case for case in cases if id(case) not in claimed]


def _lines(proved: _Proved) -> Iterator[str]:
    for case in proved.unclaimed:
        yield f"{case.written_at}: case {case.name!r}: no pack here decides {case.decides} then"
    for proof in proved.proofs:
        yield from map(str, proof.failures)
        yield from map(str, proof.coverage.gaps)
        covered, verdict = proof.coverage, "sound" if proof.sound else "NOT sound"
        yield (
            f"{proof.pack.pack} version {proof.pack.version}: {verdict}; "
            f"{covered.rules_fired} of {covered.rules} rules fired, "
            f"{covered.probes_met} of {covered.probes} places at and beside thresholds probed, "
            f"{proof.examples} examples, {proof.cases} cases, {len(proof.failures)} failed"
        )
