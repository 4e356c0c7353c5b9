"""A condition evaluated in plain Python: the second opinion on durable_rules, and explanations."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping

from engine.domain.verdicts import ConditionTrace, FactValue
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

_COMPARE: Mapping[Operator, Callable[[FactValue, FactValue], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.MORE: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


def holds(condition: Condition, facts: Mapping[str, FactValue]) -> bool:
    """Tell whether `condition` holds for complete facts, straight from the tree as written."""
    match condition:
        case Comparison(fact, asked, other, _):
            threshold = facts[other.name] if isinstance(other, FactName) else other
            return _COMPARE[asked](facts[fact], threshold)
        case Membership(fact, values, _):
            return facts[fact] in values
        case AllOf(parts):
            return all(holds(part, facts) for part in parts)
        case AnyOf(parts):
            return any(holds(part, facts) for part in parts)
        case Negation(part):
            return not holds(part, facts)


def traces(condition: Condition, facts: Mapping[str, FactValue]) -> tuple[ConditionTrace, ...]:
    """Return every comparison of `condition` as it stood, in reading order.

    Negations are carried down to the comparisons (`!(a < 3)` is traced as `a >= 3`), so that
    `holds` always speaks for the rule.
    """
    return tuple(_traces(condition, facts, negated=False))


def _traces(
    condition: Condition, facts: Mapping[str, FactValue], *, negated: bool
) -> Iterator[ConditionTrace]:
    match condition:
        case Comparison(fact, asked, other, source):
            threshold = facts[other.name] if isinstance(other, FactName) else other
            said = asked.negated if negated else asked
            result = _COMPARE[said](facts[fact], threshold)
            # A threshold that is another fact is told with that fact's name.
            named = other.name if isinstance(other, FactName) else source
            yield ConditionTrace(fact, facts[fact], said.value, threshold, result, named)
        case Membership(fact, values, source):
            result = (facts[fact] in values) is not negated
            asks = "not in" if negated else "in"
            yield ConditionTrace(fact, facts[fact], asks, values, result, source)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _traces(part, facts, negated=negated)
        case Negation(part):
            yield from _traces(part, facts, negated=not negated)
