"""Facts that a caller gives: completed when they fit the catalogue, every fault told when not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.domain.errors import FactsInvalid
from engine.domain.verdicts import FactSet, FactValue
from engine.policy.catalogue import FactCatalogue, known_name, picker

Given = Mapping[str, FactValue | None]
"""Every supplied fact by name, None where it is unknown."""


@dataclass(frozen=True, slots=True)
class FactFault:
    """What is wrong with one given fact."""

    fact: str
    """Its name as it was given; empty where the set as a whole is wrong."""
    why: str


class GivenFacts:
    """Completes given facts; the same as the catalogue's `fact_set`, for many sets at once.

    Parameters
    ----------
    catalogue
        The facts of the decision.
    """

    def __init__(self, catalogue: FactCatalogue) -> None:
        self._catalogue = catalogue
        self._names = tuple(entry.name for entry in catalogue.supplied)
        self._take = picker(self._names)
        self._unknowable = tuple(
            (name, known_name(name), entry.when_unknown)
            for name, entry in zip(self._names, catalogue.supplied, strict=True)
            if entry.when_unknown is not None
        )

    def complete(self, given: Given) -> FactSet:
        """Return `given` with companions, and conservative values for what is unknown.

        Types and ranges are checked when the facts are decided on, and whether what must be known
        is known.

        Raises
        ------
        FactsInvalid
            If a fact is left out or is not supplied from outside.
        """
        if type(given) is not dict or len(given) != len(self._names):
            raise FactsInvalid("other facts are given than the catalogue lists")
        try:
            known = dict(zip(self._names, self._take(given), strict=True))
        except KeyError as error:
            raise FactsInvalid(f"the fact {error} is missing") from None
        for name, companion, stand_in in self._unknowable:
            known[companion] = is_known = known[name] is not None
            if not is_known:
                known[name] = stand_in
        return FactSet(known)

    def faults(self, given: object) -> Iterator[FactFault]:
        """Yield everything for which `given` cannot be decided on; nothing if it can."""
        if not isinstance(given, dict):
            yield FactFault("", f"must be an object of facts, not {_said(given)}")
            return
        for entry in self._catalogue.supplied:
            value = given.get(entry.name)
            if entry.name not in given:
                yield FactFault(entry.name, "is missing")
            elif value is not None:
                fault = entry.fault(value)
                if fault is not None:
                    yield FactFault(entry.name, fault)
            elif not entry.may_be_unknown:
                yield FactFault(entry.name, "must always be known")
        supplied = frozenset(self._names)
        for name in given:
            if name not in supplied:
                yield FactFault(str(name), "is not supplied from outside")


def _said(value: object) -> str:
    return "null" if value is None else type(value).__name__
