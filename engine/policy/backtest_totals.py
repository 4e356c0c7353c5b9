"""What a backtest adds up while it reads: kinds of decision, then totals, and a few examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.verdicts import Effect, FactValue, PackRef
from engine.domain.versions import RecordedDecision
from engine.policy.backtest_report import Example, Gap, RecordedPack, Shift
from engine.policy.differing import Change, Difference, Parting

Lacks = tuple[tuple[str, bool], ...]
"""The facts that a record lacks, each with whether it is there with another type."""

_STEADY = (Change.UNCHANGED, Change.OTHER_OUTPUTS, Change.NOT_EVALUABLE)


@dataclass(slots=True)
class Kind:
    """Decisions that were recorded alike and that the candidate answers alike."""

    difference: Difference
    pack: PackRef
    lacks: Lacks
    first_at: int
    last_at: int
    count: int = 0
    wanted: bool = True
    """Whether more examples of it are."""


class Totals:
    """The sums over all kinds; a kind may come any number of times."""

    def __init__(self) -> None:
        self.changes: Counter[Change] = Counter()
        self.effects: Counter[tuple[Effect, Effect | None]] = Counter()
        self.rules = ShiftTotals()
        self.reasons = ShiftTotals()
        self._lacks: Counter[tuple[str, bool]] = Counter()
        self._undecided: Counter[str] = Counter()
        self._packs: dict[PackRef, RecordedPack] = {}

    def add(self, kinds: Iterable[Kind]) -> None:
        """Count the decisions of `kinds`."""
        for kind in kinds:
            found, count = kind.difference, kind.count
            self.changes[found.change] += count
            self.effects[found.before, found.now] += count
            self.rules.add(found.rules, found.change, count)
            self.reasons.add(found.reasons, found.change, count)
            for lack in kind.lacks:
                self._lacks[lack] += count
                if found.change is Change.NOT_EVALUABLE:
                    self._undecided[lack[0]] += count
            self._add_pack(kind)

    def gaps(self) -> tuple[Gap, ...]:
        """Return the facts that some records lack, by name."""
        names = sorted({name for name, _ in self._lacks})
        return tuple(
            Gap(name, self._lacks[name, False], self._lacks[name, True], self._undecided[name])
            for name in names
        )

    def packs(self) -> tuple[RecordedPack, ...]:
        """Return which versions had decided, the earliest first."""
        return tuple(sorted(self._packs.values(), key=lambda pack: pack.first_at))

    def _add_pack(self, kind: Kind) -> None:
        known = self._packs.get(kind.pack)
        if known is None:
            known = RecordedPack(kind.pack, 0, kind.first_at, kind.last_at)
        self._packs[kind.pack] = replace(
            known,
            decisions=known.decisions + kind.count,
            first_at=min(known.first_at, kind.first_at),
            last_at=max(known.last_at, kind.last_at),
        )


class ShiftTotals:
    """What becomes of the rules, or of the reasons."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, parting: Parting, change: Change, count: int) -> None:
        """Count `count` decisions of one kind."""
        columns: dict[str, frozenset[str]] = {
            "recorded": parting.before,
            "fires": parting.now,
            "newly": parting.newly,
            "no_longer": parting.no_longer,
            "undecided": parting.undecided,
            change.value: parting.answerable,
        }
        for column, names in columns.items():
            for name in names:
                self._counts[column, name] += count

    def shifts(
        self, own: Sequence[str], examples: Mapping[str, Sequence[str]]
    ) -> tuple[Shift, ...]:
        """Return a line for each of the candidate's `own` names and of those only recorded."""
        ordered = dict.fromkeys(own)
        others = sorted({name for _, name in self._counts} - ordered.keys())
        count = self._counts
        return tuple(
            Shift(
                name=name,
                in_candidate=name in ordered,
                recorded=count["recorded", name],
                fires=count["fires", name],
                newly_fires=count["newly", name],
                no_longer_fires=count["no_longer", name],
                not_evaluable=count["undecided", name],
                changes={c.value: count[c.value, name] for c in Change if c not in _STEADY},
                examples=tuple(examples.get(name, ())),
            )
            for name in (*ordered, *others)
        )


class Showcase:
    """The first few decisions of each change, of each rule and of each reason.

    Parameters
    ----------
    most
        How many of each.
    facts
        The facts that are shown.
    """

    def __init__(self, most: int, facts: Collection[str]) -> None:
        self._most = most
        self._facts = facts
        self._examples: dict[Change, list[Example]] = {}
        self.rules: dict[str, list[str]] = {}
        """The decisions in which a rule newly fires or no longer does."""
        self.reasons: dict[str, list[str]] = {}

    def offer(self, kind: Kind, one: RecordedDecision, values: Mapping[str, FactValue]) -> None:
        """Take a decision where one of its kind is wanted; say in `kind` whether more are."""
        found = kind.difference
        if found.change is not Change.UNCHANGED:
            shown = self._examples.setdefault(found.change, [])
            if len(shown) < self._most:
                shown.append(self._example(found, one, values))
        for ids in self._groups(found):
            if len(ids) < self._most:
                ids.append(one.decision_id)
        kind.wanted = self._wants(found)

    def examples(self) -> tuple[Example, ...]:
        """Return the changed decisions, by change and time."""
        return tuple(example for change in Change for example in self._examples.get(change, ()))

    def _wants(self, found: Difference) -> bool:
        shown = found.change is Change.UNCHANGED or (
            len(self._examples.get(found.change, ())) >= self._most
        )
        return not shown or any(len(ids) < self._most for ids in self._groups(found))

    def _groups(self, found: Difference) -> Iterator[list[str]]:
        for groups, parting in ((self.rules, found.rules), (self.reasons, found.reasons)):
            for name in parting.newly | parting.no_longer:
                yield groups.setdefault(name, [])

    def _example(
        self, found: Difference, one: RecordedDecision, values: Mapping[str, FactValue]
    ) -> Example:
        rules = found.rules
        return Example(
            change=found.change,
            decision_id=one.decision_id,
            occurred_at=one.occurred_at,
            before=found.before,
            now=found.now,
            newly_fires=tuple(sorted(rules.newly)),
            no_longer_fires=tuple(sorted(rules.no_longer)),
            not_evaluable=tuple(sorted(rules.undecided)),
            facts={name: values[name] for name in self._facts if name in values},
        )
