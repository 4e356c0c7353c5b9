"""What facts may be, as the reasoning about rules sees them, and what goes together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from engine.domain.verdicts import FactValue
from engine.policy.catalogue import FactCatalogue, known_name
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
from engine.policy.entries import FactEntry, FactType


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Facts by name; `stand_ins` tells of each `…_known` which fact must have which value where
    it is false."""

    entries: Mapping[str, FactEntry]
    stand_ins: Mapping[str, tuple[str, FactValue]]

    def with_couplings(self, facts: Collection[str]) -> tuple[list[str], list[Condition]]:
        """Return `facts` with those they are coupled to, and the couplings as conditions.

        A fact that is read without its `…_known` may be anything: it may be known.
        """
        names = dict.fromkeys(sorted(facts))
        couplings: list[Condition] = []
        for known in [name for name in names if name in self.stand_ins]:
            fact, value = self.stand_ins[known]
            names[fact] = None
            unknown = Comparison(known, Operator.EQUAL, False)
            stands = Comparison(fact, Operator.EQUAL, value)
            couplings.append(
                AnyOf((Comparison(known, Operator.EQUAL, True), AllOf((unknown, stands))))
            )
        return list(names), couplings

    def completed(self, facts: Mapping[str, FactValue]) -> dict[str, FactValue]:
        """Return `facts` with something harmless for all others, so that they are a decision's.

        What is not in `facts` is known and neutral.
        """
        whole = {name: entry.neutral for name, entry in self.entries.items()}
        whole.update(dict.fromkeys(self.stand_ins, True))
        whole.update(facts)
        return whole

    def subject(self, fact: str) -> str:
        """Return `fact`, or the fact that a `…_known` tells of."""
        return self.stand_ins[fact][0] if fact in self.stand_ins else fact


def vocabulary_of(catalogue: FactCatalogue) -> Vocabulary:
    """Return the vocabulary of a decision."""
    return Vocabulary(
        {entry.name: entry for entry in catalogue.entries},
        {
            known_name(entry.name): (entry.name, entry.when_unknown)
            for entry in catalogue.supplied
            if entry.when_unknown is not None
        },
    )


def with_free_parameters(
    condition: Condition, vocabulary: Vocabulary
) -> tuple[Condition, Vocabulary]:
    """Return `condition` with its parameters as facts that may be anything, and these facts.

    Each threshold that was written with parameters becomes a fact named as it was written; a
    membership in such a list becomes a truth. So one parameter read twice is one fact, while
    `params.cap` and `params.cap * 2` are two that know nothing of each other: what holds of no
    values of these facts holds under no parameters, not the other way round.
    """
    entries = dict(vocabulary.entries)
    return _freed(condition, entries), Vocabulary(entries, vocabulary.stand_ins)


def _freed(condition: Condition, entries: dict[str, FactEntry]) -> Condition:
    match condition:
        case Comparison(fact, operator, _, str(source)):
            entry = entries[fact]
            name = f"{source} ({entry.type.value})"
            entries[name] = FactEntry(name, entry.type, "the pack", "a parameter")
            return Comparison(fact, operator, FactName(name))
        case Membership(fact, _, str(source)):
            name = f"{fact} in {source}"
            entries[name] = FactEntry(name, FactType.BOOL, "the pack", "a parameter")
            return Comparison(name, Operator.EQUAL, True)
        case AllOf(parts):
            return AllOf(tuple(_freed(part, entries) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_freed(part, entries) for part in parts))
        case Negation(part):
            return Negation(_freed(part, entries))
    return condition
