"""`lishang rules facts` and `schema`: what rules may read and set, and what packs may hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import click
import orjson
from pydantic import JsonValue

from api.commands.tables import show_table
from engine.domain.verdicts import GREATEST_NUMBER, FactValue
from engine.policy.catalogue import FactCatalogue, known_name
from engine.policy.decisions import CATALOGUES
from engine.policy.entries import FactEntry, FactType, Output
from engine.policy.pack_schema import schema_text

Form = Literal["table", "json", "markdown"]

_FACTS = (
    *("fact", "type", "unit", "supplier", "derived by", "unknown", "range or values"),
    "description",
)
_OUTPUTS = ("output", "type", "unit", "range or values", "description")

_PAGE = """\
# Facts and outputs

What rules may read and set, decision by decision: the only vocabulary of packs. This page is
written by `lishang rules facts --format markdown > docs/facts.md`.

**Unknown** is the conservative value that stands for a fact nobody knows. Such a fact comes with
a second one, `…_known`, which is false then: a rule that means only what is known asks both. A
fact without a value there is always known. **Derived by** names the function that computes a fact
from what its supplier gives. Numbers are whole: money in fen, shares in ppm (parts per million). A
number outside its range is refused before a rule sees it, and lint counts on that:
`gift.price_fen < 0` never fires. Without a range a number lies within ±2^53.

## In an editor

`docs/pack.schema.json` (written by `lishang rules schema`) is the JSON Schema, draft 2020-12, of a
pack. Editors with the YAML language server complete keys, facts and outputs, show what they mean
and mark what a pack cannot hold once the first line of a pack under `rules/` names it:

```yaml
# yaml-language-server: $schema=../docs/pack.schema.json
```

Other editors map the schema to `rules/*.yaml` in their settings (but not to `reasons.yaml`). What
it cannot see, such as what is wrong with a condition, `lishang rules lint` finds.
"""


@click.command()
@click.option("--decision", type=click.Choice([*CATALOGUES]), help="Only this one's.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="How to write them; markdown is docs/facts.md.",
)
def facts(decision: str | None, form: Form) -> None:
    """List what rules may read (facts) and set (outputs), decision by decision."""
    chosen = [CATALOGUES[decision]] if decision else [*CATALOGUES.values()]
    write: dict[Form, Callable[[Sequence[FactCatalogue]], None]] = {
        "table": _show,
        "json": _write_json,
        "markdown": _write_page,
    }
    write[form](chosen)


@click.command()
def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of packs, for editors; docs/facts.md says how."""
    click.echo(schema_text(), nl=False)


def _show(catalogues: Sequence[FactCatalogue]) -> None:
    for catalogue in catalogues:
        click.echo(f"{catalogue.decision}: facts")
        show_table(_FACTS, [_fact_cells(entry) for entry in catalogue.supplied])
        if catalogue.outputs:
            click.echo(f"{catalogue.decision}: outputs")
            show_table(_OUTPUTS, [_output_cells(out) for out in catalogue.outputs.values()])


def _write_json(catalogues: Sequence[FactCatalogue]) -> None:
    told = {
        catalogue.decision: {
            "facts": [_fact_json(entry) for entry in catalogue.supplied],
            "outputs": [_output_json(output) for output in catalogue.outputs.values()],
        }
        for catalogue in catalogues
    }
    click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())


def _write_page(catalogues: Sequence[FactCatalogue]) -> None:
    click.echo("\n".join([_PAGE, *_sections(catalogues)]), nl=False)


def _sections(catalogues: Sequence[FactCatalogue]) -> Iterator[str]:
    for catalogue in catalogues:
        yield f"## `{catalogue.decision}`\n"
        yield _table(_FACTS, [_coded(_fact_cells(entry)) for entry in catalogue.supplied])
        if catalogue.outputs:
            yield f"Outputs of `{catalogue.decision}`:\n"
            outputs = [_coded(_output_cells(out)) for out in catalogue.outputs.values()]
            yield _table(_OUTPUTS, outputs)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _coded(cells: Sequence[str]) -> list[str]:
    """Return a row of the page: the name as code, no bar that would end a cell."""
    name, *others = (cell.replace("|", "\\|") for cell in cells)
    return [f"`{name}`", *others]


def _fact_cells(entry: FactEntry) -> list[str]:
    return [
        entry.name,
        entry.type.value,
        entry.unit,
        entry.supplier,
        entry.derived_by,
        "" if entry.when_unknown is None else _said(entry.when_unknown),
        ", ".join(entry.values) or _range(entry),
        entry.description,
    ]


def _output_cells(output: Output) -> list[str]:
    allowed = ", ".join(output.values) or _range(output)
    return [output.name, output.type.value, output.unit, allowed, output.description]


def _range(number: FactEntry | Output) -> str:
    """Return where a number lies, as far as it is no matter of course; nothing of what is none."""
    above = f"from {number.least}" if number.least > -GREATEST_NUMBER else ""
    below = f"to {number.greatest}" if number.greatest < GREATEST_NUMBER else ""
    return f"{above} {below}".strip()


def _said(value: FactValue) -> str:
    return orjson.dumps(value).decode() if isinstance(value, bool) else str(value)


def _fact_json(entry: FactEntry) -> dict[str, JsonValue]:
    return {
        "name": entry.name,
        "type": entry.type.value,
        "unit": entry.unit,
        "supplier": entry.supplier,
        "derived_by": entry.derived_by or None,
        "when_unknown": entry.when_unknown,
        "known_by": known_name(entry.name) if entry.may_be_unknown else None,
        **_range_json(entry),
        "values": [*entry.values],
        "description": entry.description,
    }


def _range_json(entry: FactEntry | Output) -> dict[str, JsonValue]:
    if entry.type is not FactType.INT:
        return {"least": None, "greatest": None}
    return {"least": entry.least, "greatest": entry.greatest}


def _output_json(output: Output) -> dict[str, JsonValue]:
    return {
        "name": output.name,
        "type": output.type.value,
        "unit": output.unit,
        **_range_json(output),
        "values": [*output.values],
        "description": output.description,
    }
