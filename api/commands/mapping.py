"""The `--map` option: which column of a file gives a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., object])


def mapping_option(command: Command) -> Command:
    """Add `--map FIELD=COLUMN`, which may be repeated, as the parameter `mapping`."""
    option = click.option(
        "--map",
        "mapping",
        multiple=True,
        callback=_mapping,
        metavar="FIELD=COLUMN",
        help="The column that gives a field: occurred_at=timestamp, or gifts.item=sku for one kind"
        " of file. May be given again and again.",
    )
    return option(command)


def _mapping(
    _context: click.Context, _option: click.Parameter, given: Iterable[str]
) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for field, equals, column in pairs:
        if not (field and equals and column):
            raise click.BadParameter(f"{field!r} is not of the form field=column")
    return {field.strip(): column.strip() for field, _, column in pairs}
