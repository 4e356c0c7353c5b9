"""The typed tree of a rule's condition: comparisons of facts joined by and, or and not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from engine.domain.verdicts import FactValue


class Operator(StrEnum):
    """How a fact is compared."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="

    @property
    def negated(self) -> Operator:
        """Return the operator that holds exactly where this one does not."""
        return _NEGATED[self]

    @property
    def mirrored(self) -> Operator:
        """Return the operator that says the same with its two sides swapped."""
        return _MIRRORED.get(self, self)

    @property
    def orders(self) -> bool:
        """Whether it asks which side is greater."""
        return self in _MIRRORED


_NEGATED = {
    Operator.EQUAL: Operator.NOT_EQUAL,
    Operator.NOT_EQUAL: Operator.EQUAL,
    Operator.LESS: Operator.AT_LEAST,
    Operator.AT_LEAST: Operator.LESS,
    Operator.MORE: Operator.AT_MOST,
    Operator.AT_MOST: Operator.MORE,
}
_MIRRORED = {
    Operator.LESS: Operator.MORE,
    Operator.MORE: Operator.LESS,
    Operator.AT_MOST: Operator.AT_LEAST,
    Operator.AT_LEAST: Operator.AT_MOST,
}


@dataclass(frozen=True, slots=True)
class FactName:
    """The right-hand side of a comparison of one fact with another."""

    name: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A fact against a constant or another fact of the same type."""

    fact: str
    operator: Operator
    other: FactValue | FactName
    source: str | None = field(default=None, compare=False)
    """How `other` was written where it came from parameters, such as `params.cap * 2`."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A fact that is one of several constants."""

    fact: str
    values: tuple[FactValue, ...]
    source: str | None = field(default=None, compare=False)
    """How `values` were written where they came from parameters."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Holds where every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds where at least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """Holds where its part does not."""

    part: Condition


Condition = Comparison | Membership | AllOf | AnyOf | Negation


_PARAM = re.compile(r"\bparams\.([a-z][a-z0-9_]*)")


def facts_read(condition: Condition) -> frozenset[str]:
    """Return the names of all facts that `condition` reads."""
    return frozenset(_facts(condition))


def params_read(condition: Condition) -> frozenset[str]:
    """Return the names of all parameters that `condition` was written with."""
    return frozenset(name for source in _sources(condition) for name in _PARAM.findall(source))


def _sources(condition: Condition) -> Iterator[str]:
    match condition:
        case Comparison(source=str(source)) | Membership(source=str(source)):
            yield source
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _sources(part)
        case Negation(part):
            yield from _sources(part)


def _facts(condition: Condition) -> Iterator[str]:
    match condition:
        case Comparison(fact, _, other, _):
            yield fact
            if isinstance(other, FactName):
                yield other.name
        case Membership(fact, _, _):
            yield fact
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _facts(part)
        case Negation(part):
            yield from _facts(part)
