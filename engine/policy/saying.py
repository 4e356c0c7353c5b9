"""Conditions as text: the CEL that says the same as a typed tree."""

from __future__ import annotations

from engine.domain.verdicts import FactValue
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Membership,
    Negation,
    Operator,
)


def said(condition: Condition) -> str:
    """Return `condition` as CEL; a threshold of parameters as written, its value in brackets."""
    match condition:
        case Comparison(fact, Operator.EQUAL, True, None):
            return fact
        case Comparison(fact, operator, other, source):
            if isinstance(other, FactName):
                right = other.name
            else:
                right = _threshold(said_value(other), source)
            return f"{fact} {operator.value} {right}"
        case Membership(fact, values, source):
            listed = f"[{', '.join(map(said_value, values))}]"
            return f"{fact} in {_threshold(listed, source)}"
        case AllOf(parts) | AnyOf(parts):
            return (" && " if isinstance(condition, AllOf) else " || ").join(map(_bracketed, parts))
        case Negation(part):
            bare = isinstance(part, Comparison) and said(part) == part.fact
            return f"!{said(part)}" if bare else f"!({said(part)})"


def said_value(value: FactValue) -> str:
    """Return a value as a CEL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f"'{value}'"


def _threshold(value: str, source: str | None) -> str:
    return value if source is None else f"{source} ({value})"


def _bracketed(part: Condition) -> str:
    return f"({said(part)})" if isinstance(part, AllOf | AnyOf) else said(part)
