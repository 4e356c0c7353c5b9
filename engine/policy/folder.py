"""A folder of packs and reasons, as it lies on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from engine.domain.clock import format_time
from engine.domain.errors import PackInvalid, PolicyError
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.packs import Pack, read_pack
from engine.policy.reasons import REASONS_FILE, ReasonCatalogue, read_reasons

CASES_FOLDER = "cases"
"""Where whole cases lie, within the folder of packs."""

NOT_READ = "this file is neither a pack nor cases"
RENAME = f"packs are *.yaml in the folder itself, cases are {CASES_FOLDER}/*.yaml"


def packs_in(folder: Path, catalogues: Mapping[str, FactCatalogue] = CATALOGUES) -> list[Pack]:
    """Read every `*.yaml` of `folder` but the reasons as a pack.

    Raises
    ------
    PackInvalid
        If a file is not understood (the message begins with `file:line:column`) or would not be
        read, or two packs of one decision overlap in time.
    PolicyError
        If the folder or a file cannot be read.
    """
    check_strays(folder)
    packs = [
        read_pack(text_of(path), path.name, catalogues)
        for path in sorted(folder.glob("*.yaml"))
        if path.name != REASONS_FILE
    ]
    _check_windows(packs)
    return packs


def strays_in(folder: Path) -> list[Path]:
    """Return the files of `folder` that look like packs or cases and are read as neither."""
    found = (path for ending in ("*.yaml", "*.yml") for path in folder.rglob(ending))
    places = (folder, folder / CASES_FOLDER)
    # Hidden folders are other programs' (a mounted ConfigMap keeps its versions in one).
    return sorted(
        path
        for path in found
        if (path.suffix != ".yaml" or path.parent not in places)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def check_strays(folder: Path) -> None:
    """Do nothing if every file of `folder` that looks like a pack or cases is read as one.

    Raises
    ------
    PackInvalid
        For the first that is not.
    """
    for path in strays_in(folder):
        raise PackInvalid(f"{path.relative_to(folder)}:1:1: {NOT_READ}", RENAME)


def reasons_in(folder: Path) -> ReasonCatalogue:
    """Read `reasons.yaml` of `folder`.

    Raises
    ------
    PackInvalid
        If it is not understood.
    PolicyError
        If it cannot be read.
    """
    return read_reasons(text_of(folder / REASONS_FILE), REASONS_FILE)


def text_of(path: Path) -> str:
    """Return the text of a file of rules.

    Raises
    ------
    PolicyError
        If it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(
            f"cannot read {path.name}: {error}", "name a text file in UTF-8 that is there"
        ) from error


def _check_windows(packs: Sequence[Pack]) -> None:
    ordered = sorted(packs, key=lambda pack: (pack.decides, pack.effective_from))
    for earlier, later in pairwise(ordered):
        if earlier.decides == later.decides and earlier.holds_at(later.effective_from):
            raise PackInvalid(
                f"{earlier.file} and {later.file} both decide {later.decides} from "
                f"{format_time(later.effective_from)}",
                "end the earlier pack where the later one begins",
            )
