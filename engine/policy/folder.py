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


def packs_in(folder: Path, catalogues: Mapping[str, FactCatalogue] = CATALOGUES) -> list[Pack]:
    """Read every `*.yaml` of `folder` but the reasons as a pack.

    Raises
    ------
    PackInvalid
        If a file is not understood (the message begins with `file:line:column`), or two packs of
        one decision overlap in time.
    PolicyError
        If the folder or a file cannot be read.
    """
    packs = [
        read_pack(text_of(path), path.name, catalogues)
        for path in sorted(folder.glob("*.yaml"))
        if path.name != REASONS_FILE
    ]
    _check_windows(packs)
    return packs


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
        raise PolicyError(f"cannot read {path.name}: {error}", "check LISHANG_RULES") from error


def _check_windows(packs: Sequence[Pack]) -> None:
    ordered = sorted(packs, key=lambda pack: (pack.decides, pack.effective_from))
    for earlier, later in pairwise(ordered):
        if earlier.decides == later.decides and earlier.holds_at(later.effective_from):
            raise PackInvalid(
                f"{earlier.file} and {later.file} both decide {later.decides} from "
                f"{format_time(later.effective_from)}",
                "end the earlier pack where the later one begins",
            )
