"""Recorded decisions taken again by a candidate: what it would have changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from engine.domain.clock import format_time
from engine.domain.errors import PolicyError
from engine.domain.verdicts import Effect, FactValue, PackRef, Verdict, fired_rules
from engine.domain.versions import RecordedDecision, RecordedRow
from engine.policy.backtest_report import BacktestReport
from engine.policy.backtest_totals import Kind, Lacks, Showcase, Totals
from engine.policy.catalogue import Row, picker
from engine.policy.decisions import CATALOGUES
from engine.policy.differing import Change, difference
from engine.policy.generating import generate
from engine.policy.incomplete import Bounds, bounds_without
from engine.policy.packs import Pack
from engine.policy.ports import DecisionLog
from engine.policy.ready_pack import verdict_of

EXAMPLES = 5
"""Examples of each change and of each rule unless told otherwise."""

_MOST_KINDS = 20_000
"""Kinds of decision held before they are added up, so that memory stays flat."""

_MOST_BOUNDS = 256
"""Combinations of lacking facts for which functions are kept: each release of the facts has one."""

Progress = Callable[[int, int | None], None]
"""Told how many decisions are replayed, of how many."""

Answer = int | tuple[int, int, Lacks]
"""Which rules fire, as a mask; for an incomplete record those that surely and possibly fire."""


def backtest(
    candidate: Pack,
    log: DecisionLog,
    since: int | None,
    until: int | None,
    on_progress: Progress | None = None,
    examples: int = EXAMPLES,
) -> BacktestReport:
    """Take recorded decisions again by another version of the rules, on the facts as recorded.

    Parameters
    ----------
    candidate
        The rules to try; the decisions of `candidate.decides` are replayed.
    log
        Where they are recorded.
    since, until
        The window in microseconds, `until` not included; None for no bound.
    on_progress
        Called after every part of the log.
    examples
        How many decisions are shown of each change and of each rule.

    Raises
    ------
    PolicyError
        If a record is not what was recorded.
    LedgerUnavailable
        If the log cannot be read.
    """
    replay = _Replay(candidate, examples)
    total = log.count(candidate.decides, since, until) if on_progress else None
    done = 0
    for part in log.recorded(candidate.decides, since, until):
        try:
            replay.take(part)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            last = RecordedDecision(*part[-1])
            raise PolicyError(
                f"a decision recorded up to {format_time(last.occurred_at)} is not as it was "
                f"recorded: {error!r}",
                "it was changed in the database; leave it out with --since or --until",
            ) from error
        done += len(part)
        if on_progress is not None:
            # More may have been recorded since they were counted.
            on_progress(done, max(total or 0, done))
    return replay.report(since, until)


class _Replay:
    """Counts by kind while it reads: what a kind comes to is worked out once."""

    def __init__(self, candidate: Pack, examples: int) -> None:
        self._candidate = candidate
        self._generated = generate(candidate)
        catalogue = CATALOGUES[candidate.decides]
        self._types = tuple(catalogue[name].type.python for name in self._generated.facts)
        self._kinds: dict[tuple[str, Answer, str, str], Kind] = {}
        self._bounds: dict[Lacks, Bounds] = {}
        self._totals = Totals()
        self._showcase = Showcase(examples, self._generated.facts)

    def take(self, part: Sequence[RecordedRow]) -> None:
        """Replay some decisions."""
        if not part:
            return
        # A million times through here: every name is a local one and nothing is made twice.
        loads, mask = orjson.loads, self._generated.mask
        pick = self._picker(loads(RecordedDecision(*part[0]).facts))
        types, kinds = self._types, self._kinds
        for one in part:
            _, at, effect, fired, facts, _, _, pack_hash = one
            values = loads(facts)
            answer: Answer
            try:
                row = pick(values)
            except KeyError:
                answer = self._bounded(values)
            else:
                answer = mask(row) if tuple(map(type, row)) == types else self._bounded(values)
            key = fired, answer, effect, pack_hash
            kind = kinds.get(key)
            if kind is None:
                kind = kinds[key] = self._meet(RecordedDecision(*one), answer)
            kind.count += 1
            kind.last_at = at
            if kind.wanted:
                self._showcase.offer(kind, RecordedDecision(*one), values)
        if len(kinds) > _MOST_KINDS:
            self._totals.add(kinds.values())
            kinds.clear()

    def report(self, since: int | None, until: int | None) -> BacktestReport:
        """Return what was found."""
        self._totals.add(self._kinds.values())
        self._kinds.clear()
        totals, shown = self._totals, self._showcase
        outcomes = [rule.outcome for rule in self._candidate.rules]
        reasons = [outcome.reason for outcome in outcomes if outcome.reason is not None]
        return BacktestReport(
            candidate=self._candidate.ref,
            decision=self._candidate.decides,
            since=since,
            until=until,
            decisions=totals.changes.total(),
            changes={change: totals.changes[change] for change in Change},
            effects=dict(sorted(totals.effects.items(), key=lambda item: -item[1])),
            rules=totals.rules.shifts([outcome.rule for outcome in outcomes], shown.rules),
            reasons=totals.reasons.shifts(reasons, shown.reasons),
            gaps=totals.gaps(),
            packs=totals.packs(),
            examples=shown.examples(),
        )

    def _picker(self, parsed: Mapping[str, FactValue]) -> Callable[[Mapping[str, FactValue]], Row]:
        """Return what picks the facts by the very texts that the parser names them with.

        It gives a name as the same object each time, and a dictionary finds its own object without
        comparing texts: that halves the cost of picking. Other objects cost time, nothing else.
        """
        own = {name: name for name in parsed}
        return picker([own.get(name, name) for name in self._generated.facts])

    def _bounded(self, values: Mapping[str, FactValue]) -> Answer:
        lacks = tuple(
            (name, name in values)
            for name, expected in zip(self._generated.facts, self._types, strict=True)
            if type(values.get(name)) is not expected
        )
        bounds = self._bounds.get(lacks)
        if bounds is None:
            if len(self._bounds) >= _MOST_BOUNDS:
                self._bounds.clear()
            bounds = bounds_without(self._candidate, [name for name, _ in lacks])
            self._bounds[lacks] = bounds
        return (*bounds.masks(values), lacks)

    def _meet(self, one: RecordedDecision, answer: Answer) -> Kind:
        surely, possibly, lacks = (answer, answer, ()) if isinstance(answer, int) else answer
        pack = PackRef(one.pack, one.pack_version, one.pack_hash)
        recorded = Verdict(
            self._candidate.decides, Effect(one.effect), fired_rules(one.fired), pack
        )
        found = difference(recorded, self._verdict(surely), self._verdict(possibly))
        return Kind(found, pack, lacks, one.occurred_at, one.occurred_at)

    def _verdict(self, mask: int) -> Verdict:
        return verdict_of(self._candidate, self._generated.indices(mask))
