"""A pack's rules as one Python function: the second evaluation, for backtests and as an oracle.

It is written from the condition trees as they were read, so it shares neither the alternatives that
durable_rules is given nor the recursion of `evaluating`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from keyword import iskeyword
from typing import cast

from engine.domain.verdicts import FactValue
from engine.policy.attribute_names import attribute_name
from engine.policy.catalogue import Row, picker
from engine.policy.conditions import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FactName,
    Membership,
    Negation,
    Operator,
    facts_read,
)
from engine.policy.packs import Pack

_MOST_REMEMBERED = 4_096
_FUNCTION, _ROW, _FIRED = "rules", "row", "fired"


class Generated:
    """Rules compiled from generated source; safe to use from any number of threads.

    Parameters
    ----------
    conditions
        By rule in pack order, each with the name that the source shows beside it.
    """

    def __init__(self, conditions: Sequence[tuple[str, Condition]]) -> None:
        read = sorted(frozenset[str]().union(*(facts_read(c) for _, c in conditions)))
        self.facts: tuple[str, ...] = tuple(read)
        """The names of the facts that the rules read, in the order of a row."""
        self.source: str = _source(conditions, _local_names(self.facts))
        """The function as it was compiled."""
        self.pick: Callable[[Mapping[str, FactValue]], Row] = picker(self.facts)
        """Takes the values of `facts` from a mapping; KeyError for one that is missing."""
        self.mask: Callable[[Row], int] = _compiled(self.source)
        """Tells from the values of `facts` which rules fire: bit n stands for rule n."""
        self._remembered: dict[int, frozenset[int]] = {}

    def fired(self, values: Mapping[str, FactValue]) -> frozenset[int]:
        """Return the indices of the rules that fire on complete and well-typed facts.

        Raises
        ------
        KeyError
            If a fact that the rules read is missing.
        """
        mask = self.mask(self.pick(values))
        found = self._remembered.get(mask)
        return self.indices(mask) if found is None else found

    def indices(self, mask: int) -> frozenset[int]:
        """Return the indices of the rules that `mask` says fired; equal masks give one object."""
        found = self._remembered.get(mask)
        if found is None:
            found = frozenset(n for n in range(mask.bit_length()) if mask >> n & 1)
            if len(self._remembered) < _MOST_REMEMBERED:
                found = self._remembered.setdefault(mask, found)
        return found


def generate(pack: Pack) -> Generated:
    """Write and compile the function that says which rules of `pack` fire."""
    return Generated([(rule.id, rule.condition) for rule in pack.rules])


def _source(conditions: Sequence[tuple[str, Condition]], local: Mapping[str, str]) -> str:
    lines = [f"def {_FUNCTION}({_ROW}):"]
    if local:
        lines.append(f"    ({', '.join(local.values())},) = {_ROW}")
    lines.append(f"    {_FIRED} = 0")
    for index, (name, condition) in enumerate(conditions):
        # A name is shown as a literal is: no text may end the comment.
        lines.append(f"    if {_written(condition, local)}:  # {name!a}")
        lines.append(f"        {_FIRED} |= {1 << index:#x}")
    lines.append(f"    return {_FIRED}")
    return "\n".join(lines) + "\n"


def _local_names(facts: Sequence[str]) -> dict[str, str]:
    """Name a variable for each fact: like its attribute where that is a name of its own."""
    local: dict[str, str] = {}
    taken = {_FUNCTION, _ROW, _FIRED}
    for number, fact in enumerate(facts):
        name = attribute_name(fact)
        if not (name.isascii() and name.isidentifier()) or iskeyword(name) or name in taken:
            # No attribute of a catalogue is written in capitals.
            name = f"FACT_{number}"
        local[fact] = name
        taken.add(name)
    return local


def _written(condition: Condition, local: Mapping[str, str]) -> str:
    match condition:
        case AllOf(parts):
            return " and ".join(_closed(part, local) for part in parts) or "True"
        case AnyOf(parts):
            return " or ".join(_closed(part, local) for part in parts) or "False"
        case Negation(part):
            return f"not {_closed(part, local)}"
        case Membership(fact, values, _):
            # Python keeps a set of constants as one constant.
            return f"{local[fact]} in {{{', '.join(map(ascii, values))}}}" if values else "False"
        case Comparison():
            return _compared(condition, local)


def _closed(part: Condition, local: Mapping[str, str]) -> str:
    written = _written(part, local)
    return f"({written})" if isinstance(part, AllOf | AnyOf) else written


def _compared(comparison: Comparison, local: Mapping[str, str]) -> str:
    name, operator, other = local[comparison.fact], comparison.operator, comparison.other
    if isinstance(other, FactName):
        return f"{name} {operator.value} {local[other.name]}"
    if isinstance(other, bool) and not operator.orders:
        return name if (operator is Operator.EQUAL) is other else f"not {name}"
    return f"{name} {operator.value} {other!a}"


def _compiled(source: str) -> Callable[[Row], int]:
    namespace: dict[str, object] = {"__builtins__": {}}
    # Only names made here and literals as Python writes them are in it: no text of a pack runs.
    exec(compile(source, "<generated rules>", "exec"), namespace)
    return cast("Callable[[Row], int]", namespace[_FUNCTION])
