"""The fact catalogue: the only vocabulary of a decision's rules, and the guard of its facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from operator import itemgetter
from typing import Annotated, Any, Literal, cast

import msgspec

from engine.domain.errors import FactsInvalid, PolicyError
from engine.domain.verdicts import GREATEST_NUMBER, LONGEST_TEXT, FactSet, FactValue
from engine.policy.attribute_names import check_attributes
from engine.policy.entries import (
    FactEntry,
    FactType,
    Output,
    sound_text,
)

Row = tuple[FactValue, ...]
"""The values of one fact set in catalogue order."""


class FactCatalogue:
    """The facts of one decision, in a fixed order, and the outputs its rules may set.

    Parameters
    ----------
    decision
        The decision whose packs read these facts.
    entries
        The facts as their suppliers give them; `<name>_known` is added here for every entry that
        may be unknown.
    outputs
        What a rule's `set` may name.

    Raises
    ------
    PolicyError
        If a name is malformed or doubled, bounds are upside down, beyond ±2^53 or of no number, a
        conservative value does not fit its own entry, or two names would be one attribute to
        durable_rules.
    """

    def __init__(
        self, decision: str, entries: Sequence[FactEntry], outputs: Sequence[Output] = ()
    ) -> None:
        self.decision = decision
        self.outputs = {output.name: output for output in outputs}
        self.supplied = tuple(entries)
        self.entries = tuple(_with_companions(entries))
        self._by_name = {entry.name: entry for entry in self.entries}
        self._check_entries()
        index = self._index = {entry.name: place for place, entry in enumerate(self.entries)}
        self._checked = _checked_type(self.entries)
        self._suppliable = dict.fromkeys(entry.name for entry in self.supplied).keys()
        self._unknown = tuple(
            (e.name, known_name(e.name), e.when_unknown) for e in self.supplied if e.may_be_unknown
        )
        # msgspec describes a type to itself at its first use, and two threads that are first at
        # once end the process: so the first use is here, where nobody else has the type.
        with suppress(msgspec.ValidationError):
            msgspec.convert({}, self._checked)
        self._free = tuple(
            index[e.name] for e in self.entries if e.type is FactType.TEXT and not e.values
        )
        self._unknowable = tuple(
            (index[known_name(e.name)], index[e.name], e.when_unknown)
            for e in self.supplied
            if e.may_be_unknown
        )

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __getitem__(self, name: str) -> FactEntry:
        return self._by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        """All fact names, companions included."""
        return tuple(self._by_name)

    def output_fault(self, name: str, value: object) -> str | None:
        """Return why no rule may set the output `name` to `value`, or None if one may."""
        output = self.outputs.get(name)
        return "is no output" if output is None else output.fault(value)

    def narrowed(self, names: Collection[str]) -> FactCatalogue:
        """Return a catalogue of the facts `names` alone, each taken as it is recorded.

        For decisions that were recorded before this catalogue grew: what was unknown then was
        recorded with its conservative value, and numbers had other bounds or none.
        """
        entries = [
            replace(e, when_unknown=None, least=-GREATEST_NUMBER, greatest=GREATEST_NUMBER)
            for e in self.entries
            if e.name in names
        ]
        return FactCatalogue(self.decision, entries, tuple(self.outputs.values()))

    def place(self, name: str) -> int:
        """Return where the fact `name` stands in a row."""
        return self._index[name]

    def fact_set(self, values: Mapping[str, FactValue | None]) -> FactSet:
        """Complete what is known into the facts of one decision.

        Parameters
        ----------
        values
            Every supplied fact by name, None where it is unknown; enumeration members are taken
            as their texts.

        Returns
        -------
        FactSet
            With the conservative value and `<name>_known` false where None was given. Types and
            ranges are checked when the facts are decided on.

        Raises
        ------
        FactsInvalid
            If a fact is left out, is not in the catalogue, or is None and must be known.
        """
        if values.keys() != self._suppliable:
            raise self._misnamed(values)
        complete = dict(values)
        for name, known, stand_in in self._unknown:
            value = complete[name]
            if value is None:
                complete[name] = stand_in
            complete[known] = value is not None
        if not _PLAIN.issuperset(map(type, complete.values())):
            for name, told in complete.items():
                if told is None:
                    raise self._invalid(name, "must always be known")
                if isinstance(told, StrEnum):
                    complete[name] = str(told)
        return FactSet(cast(dict[str, FactValue], complete))

    def _misnamed(self, values: Mapping[str, object]) -> FactsInvalid:
        for name in self._suppliable:
            if name not in values:
                return self._invalid(name, "is missing")
        stray = next(name for name in values if name not in self._suppliable)
        return self._invalid(str(stray), "is not supplied from outside")

    def row(self, facts: FactSet) -> Row:
        """Return the values of `facts` in catalogue order, once they are beyond doubt.

        They are plain: a number of another type (such as an IntEnum) stands as the number it is.

        Raises
        ------
        FactsInvalid
            If a fact is missing, stray, of another type (a truth is no number), out of range, or
            unknown without its conservative value.
        """
        given = facts.values
        try:
            row: Row = msgspec.structs.astuple(msgspec.convert(given, self._checked))
        except (msgspec.ValidationError, UnicodeError):
            raise self._first_fault(given) from None
        for place in self._free:
            text = row[place]
            if type(text) is not str or not (text.isascii() or sound_text(text)):
                raise self._first_fault(given)
        for known, place, stand_in in self._unknowable:
            if not row[known] and row[place] != stand_in:
                raise self._first_fault(given)
        return row

    def _first_fault(self, given: Mapping[str, FactValue]) -> FactsInvalid:
        """Say what `row` refused, slowly and exactly."""
        for entry in self.entries:
            if entry.name not in given:
                return self._invalid(entry.name, "is missing")
            fault = entry.fault(given[entry.name])
            if fault is not None:
                return self._invalid(entry.name, fault)
        stray = [str(name) for name in given if name not in self._by_name]
        if stray:
            return self._invalid(stray[0], "is not in the catalogue")
        for entry in self.supplied:
            known = not entry.may_be_unknown or given[known_name(entry.name)]
            if not known and given[entry.name] != entry.when_unknown:
                return self._invalid(
                    entry.name, f"is unknown, so it must be {entry.when_unknown!r}"
                )
        return FactsInvalid(f"the facts do not fit the catalogue of {self.decision}")

    def _invalid(self, name: str, fault: str) -> FactsInvalid:
        return FactsInvalid(
            f"the fact {name!r} {fault}",
            f"give exactly the facts that the catalogue of {self.decision} lists",
        )

    def _check_entries(self) -> None:
        if len(self._by_name) != len(self.entries):
            raise PolicyError(f"the catalogue of {self.decision} names a fact twice")
        for entry in self.entries:
            if not _NAME.fullmatch(entry.name) or entry.name.startswith("params."):
                raise PolicyError(
                    f"{entry.name!r} is no fact name", "write it as subject.fact in lower case"
                )
            if entry.values and entry.type is not FactType.TEXT:
                raise PolicyError(f"{entry.name!r} lists texts but is no text")
            if not -GREATEST_NUMBER <= entry.least <= entry.greatest <= GREATEST_NUMBER:
                raise PolicyError(f"no number of {entry.name!r} lies within its bounds and ±2^53")
            bounded = (entry.least, entry.greatest) != (-GREATEST_NUMBER, GREATEST_NUMBER)
            if bounded and entry.type is not FactType.INT:
                raise PolicyError(f"{entry.name!r} has bounds but is no number")
            fault = None if entry.when_unknown is None else entry.fault(entry.when_unknown)
            if fault is not None:
                raise PolicyError(f"the conservative value of {entry.name!r} {fault}")
        check_attributes(entry.name for entry in self.entries)


_KNOWN = "_known"
_PLAIN = frozenset({bool, int, str})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,63}")


def known_name(fact: str) -> str:
    """Return the name of the fact that says whether `fact` is known."""
    return fact + _KNOWN


def picker(keys: Sequence[str] | Sequence[int]) -> Callable[..., Row]:
    """Return a function that takes the values at `keys`, always as a tuple."""
    if not keys:
        return lambda _: ()
    take = itemgetter(*keys)
    return take if len(keys) > 1 else lambda source: (take(source),)


def _checked_type(entries: Sequence[FactEntry]) -> type[msgspec.Struct]:
    """Return a type that only facts within their types, bounds and lists can be converted to."""
    fields = [(f"f{place}", _checked(entry)) for place, entry in enumerate(entries)]
    names = {f"f{place}": entry.name for place, entry in enumerate(entries)}
    return msgspec.defstruct("Facts", fields, rename=names, forbid_unknown_fields=True, gc=False)


def _checked(entry: FactEntry) -> Any:
    if entry.values:
        return Literal[entry.values]
    match entry.type:
        case FactType.BOOL:
            return bool
        case FactType.INT:
            return Annotated[int, msgspec.Meta(ge=entry.least, le=entry.greatest)]
        case FactType.TEXT:
            return Annotated[str, msgspec.Meta(max_length=LONGEST_TEXT)]


def _with_companions(entries: Sequence[FactEntry]) -> Iterator[FactEntry]:
    for entry in entries:
        yield entry
        if entry.may_be_unknown:
            yield FactEntry(
                known_name(entry.name),
                FactType.BOOL,
                entry.supplier,
                f"Whether {entry.name} is known; where it is not, {entry.when_unknown!r} stands.",
            )
