"""What an import may be told, and what it tells when it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.clock import Clock, now
from engine.domain.errors import InvalidInput
from engine.domain.people import ASSUMABLE
from training.importing.values import NumericTimes

Progress = Callable[[str, float], None]
"""Called with what is being worked on (a file's name, then `ties`) and the share that is done."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read and check.

    Parameters
    ----------
    mapping
        Field (`item`, or `gifts.item` for one kind of file) to the column that gives it.
    times
        How numbers are read as times.
    max_bad
        Bad rows that each file may have; one more and nothing is stored.
    strict
        Whether a person, item or offer that is not recorded makes a row bad. Otherwise people are
        recorded by their ids as they appear, and items and offers may stay unknown.
    rejects
        Where bad rows are listed; by default beside each file as `<file>.rejects.csv`.
    consents
        Purposes that the operator asserts everyone in the files has agreed to. What a person is
        recorded to have agreed or objected to stands.

    Raises
    ------
    InvalidInput
        If a consent is asserted that only a person, or a minor's guardian, can give.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    times: NumericTimes = field(default_factory=NumericTimes)
    max_bad: int = 0
    strict: bool = False
    rejects: Path | None = None
    consents: tuple[str, ...] = ()
    clock: Clock = now

    def __post_init__(self) -> None:
        for purpose in self.consents:
            if purpose not in ASSUMABLE:
                raise InvalidInput(
                    f"no consent to {purpose!r} can be assumed", f"use {', '.join(ASSUMABLE)}"
                )


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file's rows: `read` = `new` + `changed` + `known` + `bad`."""

    kind: str
    path: Path
    read: int
    new: int
    changed: int
    """Rows that changed what was recorded before."""
    bad: int
    seconds: float
    rejects: Path | None
    """Where the bad rows are listed, if there are any."""

    @property
    def known(self) -> int:
        """Rows that were there already."""
        return self.read - self.new - self.changed - self.bad

    @property
    def rows_per_second(self) -> float:
        """How fast the file went in."""
        return self.read / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    files: tuple[FileReport, ...]
    people: int
    """People recorded by their id alone, because a row named them."""
    consents: int
    ties: int
    """Ties computed anew."""
    structure_left: bool
    """Whether more friendships changed than the structure around was computed for at once: the
    next `lishang refresh structure` does so."""
    seconds: float

    @property
    def rows(self) -> int:
        """Rows read from all files."""
        return sum(file.read for file in self.files)
