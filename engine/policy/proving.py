"""Proof of a pack: its examples and cases through the real engine, and what they leave unshown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from engine.domain.verdicts import FactSet, FactValue, PackRef, Verdict
from engine.policy.cases import Case
from engine.policy.catalogue import FactCatalogue, Row, known_name
from engine.policy.coverage import Coverage, cover
from engine.policy.decisions import CATALOGUES
from engine.policy.evaluating import traces
from engine.policy.packs import Example, Pack, Rule
from engine.policy.ready_pack import ReadyPack
from engine.policy.reasons import ReasonCatalogue, check_reasons


@dataclass(frozen=True, slots=True)
class Failure:
    """An example or case that the rules do not bear out."""

    where: str
    """`file:line:column` of the example or case."""
    subject: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: {self.subject}: expected {self.expected}, found {self.found}"

    def as_json(self) -> dict[str, str]:
        """Return it for a machine."""
        return {
            "where": self.where,
            "subject": self.subject,
            "expected": self.expected,
            "found": self.found,
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """What running a pack's examples and cases showed."""

    pack: PackRef
    examples: int
    cases: int
    failures: tuple[Failure, ...]
    coverage: Coverage

    @property
    def sound(self) -> bool:
        """Whether everything came out as written and nothing is left unshown."""
        return not self.failures and not self.coverage.gaps

    def as_json(self) -> dict[str, object]:
        """Return it for a machine."""
        return {
            "pack": self.pack.pack,
            "version": self.pack.version,
            "hash": self.pack.hash,
            "sound": self.sound,
            "examples": self.examples,
            "cases": self.cases,
            "failures": [failure.as_json() for failure in self.failures],
            "coverage": self.coverage.as_json(),
        }


def concerning(pack: Pack, cases: Iterable[Case]) -> list[Case]:
    """Return the cases about the decision of `pack`, without those about other times."""
    return [
        case
        for case in cases
        if case.decides == pack.decides and (case.at is None or pack.holds_at(case.at))
    ]


def prove(
    pack: Pack,
    cases: Iterable[Case],
    reasons: ReasonCatalogue,
    catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
) -> Proof:
    """Run every example and case of a pack through durable_rules, compiled as it would decide.

    Parameters
    ----------
    pack
        The pack.
    cases
        Whole decisions; those that do not concern the pack are left out.
    reasons
        Must hold every reason that a rule gives.
    catalogues
        The facts of each decision.

    Returns
    -------
    Proof
        An example is completed with neutral facts and must fire its own rule or not. A case must
        come to its effect and to exactly its rules, and to its reasons and outputs where it has
        them.

    Raises
    ------
    PackInvalid
        If a reason is unknown or a rule does not fit into durable_rules.
    PolicyError
        If the rules engine did anything unexpected.
    """
    check_reasons(pack, reasons)
    catalogue = catalogues[pack.decides]
    asked = concerning(pack, cases)
    failures: list[Failure] = []
    examples, rows = _rows(pack, catalogue)
    rows += [catalogue.row(case.facts) for case in asked]
    ready = ReadyPack(pack, catalogue)
    try:
        verdicts = ready.decide(rows)
    finally:
        ready.close()
    index = {rule.id: place for place, rule in enumerate(pack.rules)}
    seen: list[list[Mapping[str, FactValue]]] = [[] for _ in pack.rules]
    fired: set[int] = set()
    for (rule, example, number), verdict in zip(examples, verdicts, strict=False):
        failures += _example_failures(rule, example, number, verdict)
        # The facts it was completed with say nothing of the other rules.
        seen[index[rule.id]].append(example.facts)
        fired |= {index[rule.id]} & {index[f.rule] for f in verdict.fired}
    for case, verdict in zip(asked, verdicts[len(examples) :], strict=True):
        failures += _case_failures(case, verdict, pack, reasons)
        fired |= {index[f.rule] for f in verdict.fired}
        for facts in seen:
            facts.append(case.facts.values)
    return Proof(
        pack=pack.ref,
        examples=sum(len(rule.examples) for rule in pack.rules),
        cases=len(asked),
        failures=tuple(failures),
        coverage=cover(pack, catalogue, fired, seen),
    )


def completed(given: Mapping[str, FactValue], catalogue: FactCatalogue) -> FactSet:
    """Complete the facts of one rule into those of a decision with neutral values.

    What may be unknown and is not given is unknown, anything else neutral. Whether the result can
    occur is for `catalogue.row` to say.
    """
    values: dict[str, FactValue] = {}
    for entry in catalogue.supplied:
        if entry.when_unknown is not None:
            known = known_name(entry.name)
            values[entry.name] = given.get(entry.name, entry.when_unknown)
            values[known] = given.get(known, entry.name in given)
        else:
            values[entry.name] = given.get(entry.name, entry.neutral)
    return FactSet(values)


def _rows(
    pack: Pack, catalogue: FactCatalogue
) -> tuple[list[tuple[Rule, Example, int]], list[Row]]:
    """Return the examples, each with its row: reading the pack has shown that they can occur."""
    examples = [
        (rule, example, number)
        for rule in pack.rules
        for number, example in enumerate(rule.examples, start=1)
    ]
    return examples, [catalogue.row(completed(e.facts, catalogue)) for _, e, _ in examples]


def _example_failures(
    rule: Rule, example: Example, number: int, verdict: Verdict
) -> Iterator[Failure]:
    fires = any(fired.rule == rule.id for fired in verdict.fired)
    if fires is not example.fires:
        stood = "; ".join(
            f"{t.attribute} {t.operator} {t.threshold!r} is {str(t.holds).lower()} at {t.value!r}"
            for t in traces(rule.condition, example.facts)
        )
        yield Failure(
            example.written_at,
            f"example {number} of {rule.id}",
            "it to fire" if example.fires else "it not to fire",
            f"that it {'fires' if fires else 'does not'} ({stood})",
        )


def _case_failures(
    case: Case, verdict: Verdict, pack: Pack, reasons: ReasonCatalogue
) -> Iterator[Failure]:
    subject = f"case {case.name!r}"
    rules = [rule.id for rule in pack.rules]
    for name in sorted(case.fired.difference(rules)):
        yield Failure(
            case.written_at, subject, f"the rule {name!r} to fire", _unknown(name, rules, pack)
        )
    found = frozenset(rule.rule for rule in verdict.fired)
    wanted = case.fired.intersection(rules)
    if verdict.effect is not case.effect:
        yield Failure(case.written_at, subject, case.effect.value, _came(verdict))
    if found != wanted:
        yield Failure(
            case.written_at,
            subject,
            f"exactly these rules to fire: {_listed(wanted, rules)}",
            _listed(found, rules),
        )
    if case.reasons is not None and case.reasons != frozenset(verdict.reasons):
        unknown = [code for code in sorted(case.reasons) if code not in reasons]
        said = f" (no reason has the code {', '.join(unknown)})" if unknown else ""
        yield Failure(
            case.written_at,
            subject,
            f"the reasons {', '.join(sorted(case.reasons)) or 'none'}",
            (", ".join(verdict.reasons) or "none") + said,
        )
    if case.outputs is not None and case.outputs != verdict.outputs:
        yield Failure(case.written_at, subject, f"the outputs {case.outputs}", str(verdict.outputs))


def _came(verdict: Verdict) -> str:
    by = [rule.rule for rule in verdict.fired if rule.effect is verdict.effect]
    return f"{verdict.effect.value}" + (f" by {', '.join(by)}" if by else "")


def _listed(fired: frozenset[str], order: Sequence[str]) -> str:
    return ", ".join(name for name in order if name in fired) or "none"


def _unknown(name: str, rules: Sequence[str], pack: Pack) -> str:
    near = get_close_matches(name, rules, n=1)
    meant = f": did you mean {near[0]}?" if near else ""
    return f"that {pack.ref.pack} has no such rule{meant}"
