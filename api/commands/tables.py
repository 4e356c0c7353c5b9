"""Tables on the terminal, wide enough elsewhere that nothing is cut off."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

_WIDTH_ELSEWHERE = 200


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows` under their `columns` on standard output; the first column stays whole."""
    table = Table()
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else _WIDTH_ELSEWHERE, markup=False).print(table)
