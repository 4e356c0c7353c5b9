"""The replaying job: take a recorded decision again, and let go of old ones.

Find the record → find the version that decided, by its hash → decide on the recorded facts →
compare.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.domain.errors import PolicyError, UnknownReference
from engine.domain.verdicts import DecisionRecord, FactSet, FiredRule, PackRef, RuleTrace, Verdict
from engine.ledger import decisions
from engine.ledger.database import Database
from engine.ledger.packs import PackVersions
from engine.policy.admission import stored_pack
from engine.policy.catalogue import FactCatalogue
from engine.policy.conditions import facts_read
from engine.policy.decisions import CATALOGUES
from engine.policy.evaluating import traces
from engine.policy.folder import packs_in
from engine.policy.packs import Pack
from engine.policy.ready_pack import ReadyPack

_PART = 500
_LONGEST_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded decision and the same decision taken again."""

    record: DecisionRecord
    again: Verdict
    traces: tuple[RuleTrace, ...]
    """Every rule of the version, fired or not, with its comparisons as they stood."""

    @property
    def differences(self) -> tuple[str, ...]:
        """What is not as recorded, in words; nothing where the verdicts are identical."""
        return tuple(_differences(self.record.verdict, self.again))


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of the decisions before an instant."""

    deleted: int
    kept: int
    """Because a gift points to them."""


class Replaying:
    """Works on the recorded decisions of one ledger.

    Parameters
    ----------
    database
        The ledger.
    rules
        The rules folder, where a version is looked for that the ledger does not keep.
    catalogues
        The facts of each decision.
    """

    def __init__(
        self,
        database: Database,
        rules: Path,
        catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
    ) -> None:
        self._database = database
        self._rules = rules
        self._catalogues = catalogues
        self._read: dict[PackRef, Pack] = {}

    def replay(self, decision_id: str) -> Replayed:
        """Take a decision again by the version that took it, on the facts as recorded.

        Only the facts that its rules read are asked of the record, so what was decided before the
        catalogue grew still replays.

        Raises
        ------
        UnknownReference
            If there is no such decision, or the version that took it is kept nowhere.
        PackInvalid
            If this code cannot read that version any more, or its text was changed.
        FactsInvalid
            If the record lacks a fact that the version reads, or this code knows it otherwise.
        PolicyError
            If the rules engine did anything unexpected.
        LedgerUnavailable
            If the database cannot say.
        """
        with self._database.reading() as unit:
            record = decisions.find(unit, decision_id)
        if record is None:
            raise UnknownReference(
                f"no decision {decision_id!r} is recorded", "it may have been pruned"
            )
        pack = self._version(record.verdict.pack)
        read = frozenset[str]().union(*(facts_read(rule.condition) for rule in pack.rules))
        catalogue = self._catalogues[pack.decides].narrowed(read)
        recorded = record.facts.values
        facts = FactSet({name: recorded[name] for name in read if name in recorded})
        row = catalogue.row(facts)
        ready = ReadyPack(pack, catalogue)
        try:
            [again] = ready.decide([row])
        finally:
            ready.close()
        told = (RuleTrace(r.id, r.description, traces(r.condition, recorded)) for r in pack.rules)
        return Replayed(record, again, tuple(told))

    def prune(self, before: int, dry_run: bool = False) -> Pruned:
        """Delete the decisions before an instant that no gift points to.

        In parts of some hundred, each in a transaction of its own with a pause after it: on SQLite
        nobody else can write meanwhile. Broken off, it has deleted the oldest.

        Parameters
        ----------
        before
            Microseconds; a decision at exactly this instant stays.
        dry_run
            Whether to count only.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached or refuses the work.
        """
        if dry_run:
            with self._database.reading(snapshot=True) as unit:
                older, kept = decisions.count_before(unit, before)
            return Pruned(older - kept, kept)
        deleted = met = 0
        for part in self._parts(before):
            begun = time.monotonic()
            with self._database.writing() as unit:
                deleted += decisions.delete_unless_sent(unit, part)
            met += len(part)
            time.sleep(min(time.monotonic() - begun, _LONGEST_PAUSE))
        return Pruned(deleted, met - deleted)

    def _parts(self, before: int) -> Iterator[list[str]]:
        with self._database.reading() as unit:
            kinds = decisions.kinds_before(unit, before)
        for kind in kinds:
            last: tuple[int, str] | None = None
            while True:
                with self._database.reading() as unit:
                    found = decisions.next_before(unit, kind, before, last, _PART)
                if not found:
                    break
                yield [decision_id for _, decision_id in found]
                # What gifts point to is still there: go on behind it.
                last = found[-1]

    def _version(self, ref: PackRef) -> Pack:
        found = self._read.get(ref)
        if found is None:
            found = self._read[ref] = self._find_version(ref)
        return found

    def _find_version(self, ref: PackRef) -> Pack:
        stored = PackVersions(self._database).find_by_hash(ref.hash)
        if stored is not None:
            return stored_pack(stored.ref, stored.text, self._catalogues)
        for pack in self._folder_packs():
            if pack.ref == ref:
                return pack
        raise UnknownReference(
            f"{ref.pack} version {ref.version} with the hash {ref.hash} is not kept",
            "publish the text that decided, or point LISHANG_RULES at the folder that holds it",
        )

    def _folder_packs(self) -> list[Pack]:
        try:
            return packs_in(self._rules, self._catalogues)
        except PolicyError:
            # A folder that cannot be read holds no version either.
            return []


def _differences(recorded: Verdict, again: Verdict) -> Iterator[str]:
    if recorded.pack != again.pack:
        yield f"pack: recorded {_named(recorded.pack)}, now {_named(again.pack)}"
    if recorded.effect is not again.effect:
        yield f"effect: recorded {recorded.effect}, now {again.effect}"
    then = {rule.rule: rule for rule in recorded.fired}
    now = {rule.rule: rule for rule in again.fired}
    for name in sorted(then.keys() - now.keys()):
        yield f"rule {name}: fired as recorded, does not now"
    for name in sorted(now.keys() - then.keys()):
        yield f"rule {name}: fires now, did not as recorded"
    for name in sorted(then.keys() & now.keys()):
        if then[name] != now[name]:
            yield f"rule {name}: recorded {_outcome(then[name])}, now {_outcome(now[name])}"
    if then == now and recorded.fired != again.fired:
        yield f"order of rules: recorded {', '.join(then)}, now {', '.join(now)}"
    if recorded.reasons != again.reasons:
        yield f"reasons: recorded {_listed(recorded.reasons)}, now {_listed(again.reasons)}"
    if recorded.outputs != again.outputs:
        yield f"outputs: recorded {recorded.outputs}, now {again.outputs}"
    if recorded.decision != again.decision:
        yield f"decision: recorded {recorded.decision}, now {again.decision}"


def _named(ref: PackRef) -> str:
    return f"{ref.pack} version {ref.version} ({ref.hash})"


def _outcome(rule: FiredRule) -> str:
    said = [rule.effect.value, rule.reason or "without a reason"]
    if rule.requires is not None:
        said.append(f"requires {rule.requires}")
    if rule.sets:
        said.append(f"sets {dict(rule.sets)} with priority {rule.priority}")
    return " ".join(said)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
