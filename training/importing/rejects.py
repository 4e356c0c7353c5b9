"""Bad rows: what is wrong with them, and the file that lists them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from engine.domain.errors import FileRefused

_SHOWN = 200
"""Characters of a bad value that are shown."""


@dataclass(frozen=True, slots=True)
class Reject:
    """One fault of one row: `line` counts from 1 with the header, in Parquet rows from 1."""

    path: Path
    line: int
    field: str
    reason: str
    value: str = ""

    @property
    def at(self) -> str:
        """Where the row stands, as `file:line`."""
        return f"{self.path}:{self.line}"

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"{self.at}: {field}{self.reason}" + (f" ({self.value!r})" if self.value else "")


class RejectsFile:
    """A CSV of `at,field,reason,value`, made when the first reject comes.

    Parameters
    ----------
    path
        Where to write; if its folder cannot be written to, the present folder is used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None

    def add(self, rejects: Iterable[Reject]) -> None:
        """Write the rejects down."""
        for reject in rejects:
            writer = csv.writer(self._opened())
            writer.writerow([reject.at, reject.field, reject.reason, reject.value[:_SHOWN]])

    def close(self) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> TextIO:
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8", newline="")
            except OSError:
                self.path = Path(self.path.name)
                self._file = self.path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow(["at", "field", "reason", "value"])
        return self._file


def refusal(bad: int, allowed: int, first: Reject, listed: Path | None) -> FileRefused:
    """Return the error that says why a file was refused."""
    rows = "1 bad row" if bad == 1 else f"{bad} bad rows"
    where = f"all are listed in {listed}; " if listed is not None else ""
    return FileRefused(
        f"{first.path}: {rows} where {allowed} are allowed, the first is {first}",
        f"{where}nothing was stored: correct the file or allow as many with --max-bad {bad}",
    )
