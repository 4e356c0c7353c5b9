"""The fact catalogue: the only vocabulary of a decision's rules, and the guard of its facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from operator import itemgetter

import orjson

from engine.domain.errors import FactsInvalid, PolicyError
from engine.domain.verdicts import FactSet, FactValue
from engine.policy.attribute_names import check_attributes

GREATEST_NUMBER = 2**53
"""Whole numbers stay exact in JSON and in every reader of a decision up to here."""

LONGEST_TEXT = 256
"""Characters; durable_rules compares lengths in 16 bits."""

Row = tuple[FactValue, ...]
"""The values of one fact set in catalogue order."""


class FactType(StrEnum):
    """What a fact may be."""

    BOOL = "bool"
    INT = "int"
    TEXT = "text"

    @property
    def python(self) -> type[FactValue]:
        """Return the exact Python type of a value."""
        return {"bool": bool, "int": int, "text": str}[self.value]

    @property
    def said(self) -> str:
        """Return the type as error messages name it."""
        return {"bool": "true or false", "int": "a whole number", "text": "a text"}[self.value]


@dataclass(frozen=True, slots=True)
class FactEntry:
    """One fact that a rule may read.

    `when_unknown` is the conservative value that stands for a fact nobody knows; an entry without
    one must always be known. `values` lists all texts that an enumerated text may be.
    """

    name: str
    type: FactType
    supplier: str
    description: str
    unit: str = ""
    when_unknown: FactValue | None = None
    values: tuple[str, ...] = ()
    derived_by: str = ""
    """The named function that computes it, for a derived fact."""

    @property
    def may_be_unknown(self) -> bool:
        """Whether a companion `…_known` fact goes with this one."""
        return self.when_unknown is not None

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value` for this entry, or None."""
        if type(value) is not self.type.python:
            return f"must be {self.type.said}, not {type(value).__name__}"
        if isinstance(value, str):
            if self.values and value not in self.values:
                return f"must be one of {', '.join(self.values)}"
            return None if _sound_text(value) else f"is no UTF-8 text of at most {LONGEST_TEXT}"
        if type(value) is int and not -GREATEST_NUMBER <= value <= GREATEST_NUMBER:
            return "lies outside ±2^53"
        return None


@dataclass(frozen=True, slots=True)
class Output:
    """A value that rules of a decision may set, beside allowing, holding back or denying.

    A whole number lies within `least` and `greatest`, a text is one of `values`.
    """

    name: str
    type: FactType
    description: str
    unit: str = ""
    least: int = -GREATEST_NUMBER
    greatest: int = GREATEST_NUMBER
    values: tuple[str, ...] = ()

    def fault(self, value: object) -> str | None:
        """Return what is wrong with `value` for this output, or None."""
        if type(value) is not self.type.python:
            return f"must be {self.type.said}, not {type(value).__name__}"
        if isinstance(value, str) and self.values and value not in self.values:
            return f"must be one of {', '.join(self.values)}"
        if type(value) is int and not self.least <= value <= self.greatest:
            return f"must lie within {self.least} and {self.greatest}"
        return None


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
        If a name is malformed or doubled, a conservative value does not fit its own entry, or two
        names would be one attribute to durable_rules.
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
        names = self._names = tuple(entry.name for entry in self.entries)
        index = {name: place for place, name in enumerate(names)}
        self._row = picker(names)
        self._types = [entry.type.python for entry in self.entries]
        self._listed = tuple((index[e.name], frozenset(e.values)) for e in self.entries if e.values)
        self._free = tuple(
            index[e.name] for e in self.entries if e.type is FactType.TEXT and not e.values
        )
        self._unknowable = tuple(
            (index[known_name(e.name)], index[e.name], e.when_unknown)
            for e in self.supplied
            if e.may_be_unknown
        )
        self._index = index

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
        recorded with its conservative value.
        """
        entries = [replace(e, when_unknown=None) for e in self.entries if e.name in names]
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
        complete: dict[str, FactValue] = {}
        for entry in self.supplied:
            name = entry.name
            if name not in values:
                raise self._invalid(name, "is missing")
            value = values[name]
            stands = entry.when_unknown if value is None else value
            if stands is None:
                raise self._invalid(name, "must always be known")
            complete[name] = str(stands) if isinstance(stands, StrEnum) else stands
            if entry.when_unknown is not None:
                complete[known_name(name)] = value is not None
        if len(values) != len(self.supplied):
            supplied = {entry.name for entry in self.supplied}
            stray = next(name for name in values if name not in supplied)
            raise self._invalid(str(stray), "is not supplied from outside")
        return FactSet(complete)

    def row(self, facts: FactSet) -> Row:
        """Return the values of `facts` in catalogue order, once they are beyond doubt.

        Raises
        ------
        FactsInvalid
            If a fact is missing, stray, of another type (a truth is no number), out of range, or
            unknown without its conservative value.
        """
        given = facts.values
        # As `fact_set` orders them, or in any other order.
        row = tuple(given.values()) if tuple(given) == self._names else self._ordered(given)
        if [*map(type, row)] != self._types:
            raise self._first_fault(given)
        try:
            # Refuses texts that are no UTF-8 and numbers beyond 53 bits faster than we could.
            orjson.dumps(row, option=orjson.OPT_STRICT_INTEGER)
        except orjson.JSONEncodeError:
            if any(e.fault(v) for e, v in zip(self.entries, row, strict=True)):  # ±2^53 has none
                raise self._first_fault(given) from None
        for place, allowed in self._listed:
            if row[place] not in allowed:
                raise self._first_fault(given)
        for place in self._free:
            text = row[place]
            if isinstance(text, str) and len(text) > LONGEST_TEXT:
                raise self._first_fault(given)
        for known, place, stand_in in self._unknowable:
            if not row[known] and row[place] != stand_in:
                raise self._first_fault(given)
        return row

    def _ordered(self, given: Mapping[str, FactValue]) -> Row:
        try:
            row = self._row(given)
        except KeyError:
            raise self._first_fault(given) from None
        if len(given) != len(row):
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
            fault = None if entry.when_unknown is None else entry.fault(entry.when_unknown)
            if fault is not None:
                raise PolicyError(f"the conservative value of {entry.name!r} {fault}")
        check_attributes(entry.name for entry in self.entries)


_KNOWN = "_known"
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


def _sound_text(value: FactValue) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
