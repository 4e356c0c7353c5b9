"""The shipping job: from a file of rules to versions that decide, each step by who may take it.

Seed what the rules folder holds → publish after lint and proof → backtest → shadow → enforce, by
somebody else → roll back. Every step is one transaction; running workers follow the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from engine.domain.errors import PolicyError, UnknownReference
from engine.domain.pack_life import (
    SEED,
    Action,
    Actor,
    Change,
    PackEvent,
    Seeding,
    StoredVersion,
)
from engine.domain.verdicts import PackRef
from engine.ledger import packs as ledger
from engine.ledger.database import Database, Unit
from engine.policy.admission import admit, check_usable
from engine.policy.cases import cases_in
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.evidence import backtest_found, check_report
from engine.policy.folder import packs_in, reasons_in
from engine.policy.new_versions import draft_of, kept_already, seed_of, unpublished, unseeded
from engine.policy.publishing import (
    Plan,
    check_backtest,
    plan_enforcement,
    plan_shadow,
    state_after,
)
from engine.policy.rolling_back import plan_rollback


class Shipping:
    """Keeps versions of packs and moves them through their life.

    Parameters
    ----------
    database
        The ledger.
    rules
        The rules folder: packs to seed with, reasons, and the cases that prove a pack.
    catalogues
        The facts of each decision.
    """

    def __init__(
        self,
        database: Database,
        rules: Path,
        catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
    ) -> None:
        self._rules = rules
        self._catalogues = catalogues
        self._store = ledger.PackVersions(database)

    def seed(self, at: int) -> Seeding:
        """Keep and enforce the folder's packs for every decision that has no version yet.

        Any number of processes may do so at once; one of them seeds.

        Raises
        ------
        PolicyError
            If the folder cannot be used and nothing is kept at all.
        Conflict
            If a pack of that name is kept for another decision.
        """
        try:
            found = packs_in(self._rules, self._catalogues)
            kept = self._store.versions()
            if kept and not unseeded(found, kept):
                return Seeding((), unpublished(found, kept))
            # A pack that cannot decide must not become the one version of its decision.
            PolicyEngine(found, reasons_in(self._rules), self._catalogues).close()
        except PolicyError as error:
            if not self._store.versions():
                raise
            return Seeding(fault=str(error))
        with self._store.changing() as unit:
            kept = ledger.versions(unit)
            seeded = unseeded(found, kept)
            for pack in seeded:
                kept_already(pack, [known for known in kept if known.ref.pack == pack.ref.pack])
                ledger.add(unit, seed_of(pack, at))
                ledger.note(unit, pack.ref, Action.SEEDED, SEED, at)
            left = unpublished(found, ledger.versions(unit))
        return Seeding(tuple(pack.ref for pack in seeded), left)

    def publish(self, texts: Mapping[str, str], author: Actor, at: int) -> list[StoredVersion]:
        """Keep packs as drafts; all of them or, if any is refused, none.

        Parameters
        ----------
        texts
            YAML by the name of its file.
        author
            Who publishes them, at the instant `at` (microseconds).

        Returns
        -------
        list[StoredVersion]
            In order. What is kept already with the same hash is returned as it is.

        Raises
        ------
        PackInvalid
            If lint finds an error, or the examples and cases do not bear the pack out.
        Conflict
            If another text is kept under the number, or a higher number is.
        """
        self.seed(at)  # or the drafts would stand where the folder's packs belong
        reasons, cases = reasons_in(self._rules), cases_in(self._rules, self._catalogues)
        checked = [
            admit(text, file, reasons, cases, self._catalogues) for file, text in texts.items()
        ]
        kept = []
        with self._store.changing() as unit:
            for pack, checks in checked:
                known = kept_already(pack, ledger.versions(unit, pack.ref.pack))
                if known is None:
                    known = draft_of(pack, author, at, checks)
                    ledger.add(unit, known)
                    ledger.note(unit, pack.ref, Action.PUBLISHED, author, at)
                kept.append(known)
        return kept

    def attach_backtest(
        self, pack: str, version: int, report_json: str, actor: Actor, at: int
    ) -> StoredVersion:
        """Keep a backtest's report with a version, instead of any before it.

        Raises
        ------
        UnknownReference
            If there is no such version.
        Conflict
            If it is or was in shadow: what its approver goes by does not change.
        InvalidInput
            If the report is no JSON object.
        """
        with self._store.changing() as unit:
            return attach_backtest(unit, pack, version, report_json, actor, at)

    def changing(self) -> AbstractContextManager[Unit]:
        """Return a unit of work that no other change of a version comes between."""
        return self._store.changing()

    def shadow(
        self, pack: str, version: int, actor: Actor, at: int, without_history: bool = False
    ) -> Change:
        """Evaluate a version beside what decides; any other shadow of the pack ends.

        `without_history` admits a backtest that had no decision to replay; history shows it.

        Raises
        ------
        UnknownReference
            If there is no such version.
        Conflict
            If its state forbids it, no backtest's report is attached, or it replayed nothing.
        PackInvalid
            If this code cannot decide by it any more.
        """
        with self._store.changing() as unit:
            found = _require(unit, pack, version)
            plan = plan_shadow(found, ledger.versions(unit, pack), without_history)
            self._check_usable(found)
            _end_shadows(unit, plan, actor, at)
            replayed = backtest_found(found.backtest or "").replayed
            done = Action.SHADOWED if replayed else Action.SHADOWED_WITHOUT_HISTORY
            ledger.move(unit, found.ref, state_after(found, done))
            ledger.note(unit, found.ref, done, actor, at)
            return Change(_require(unit, pack, version), (), _refs(plan.end_shadow))

    def enforce(self, pack: str, version: int, approver: Actor, at: int) -> Change:
        """Let a version decide; what it wholly replaces retires, any shadow of the pack ends.

        Raises
        ------
        UnknownReference
            If there is no such version.
        Conflict
            If it has not been in shadow, the approver wrote it or it would never decide.
        PackInvalid
            If this code cannot decide by it any more.
        """
        with self._store.changing() as unit:
            found = _require(unit, pack, version)
            plan = plan_enforcement(found, ledger.deciding(unit, found.decides), approver, at)
            return self._carry_out(unit, plan, Action.ENFORCED, approver, at)

    def rollback(self, pack: str, approver: Actor, at: int, to: int | None = None) -> Change:
        """Let a version decide again that did before; see `rolling_back.plan_rollback`.

        Raises
        ------
        UnknownReference
            If there is no such pack or version.
        Conflict
            If there is nothing to go back to, or the change would leave a gap.
        """
        with self._store.changing() as unit:
            own = ledger.versions(unit, pack)
            if not own:
                raise UnknownReference(f"no pack {pack!r} is kept", "lishang rules history")
            decides = own[0].decides
            known, history = ledger.deciding(unit, decides), ledger.events_deciding(unit, decides)
            plan = plan_rollback(pack, known, history, approver, at, to)
            return self._carry_out(unit, plan, Action.ROLLED_BACK_TO, approver, at)

    def find(self, pack: str, version: int) -> StoredVersion:
        """Return that version.

        Raises
        ------
        UnknownReference
            If there is none.
        """
        return _known(self._store.find(pack, version), f"{pack} version {version}")

    def find_by_hash(self, pack_hash: str) -> StoredVersion:
        """Return the version with this hash; UnknownReference is raised if there is none."""
        return _known(self._store.find_by_hash(pack_hash), f"version with the hash {pack_hash}")

    def versions(self, pack: str | None = None) -> list[StoredVersion]:
        """Return the versions of `pack`, or of every pack, by pack and number.

        Raises
        ------
        UnknownReference
            If none of `pack` is kept.
        """
        found = self._store.versions(pack)
        if pack is not None and not found:
            raise UnknownReference(f"no pack {pack!r} is kept", "lishang rules history")
        return found

    def events(self, pack: str | None = None) -> list[PackEvent]:
        """Return what was done to `pack`, or to every pack, oldest first."""
        return self._store.events(pack)

    def _check_usable(self, version: StoredVersion) -> None:
        check_usable(version.ref, version.text, reasons_in(self._rules), self._catalogues)

    def _carry_out(
        self, unit: Unit, plan: Plan, action: Action, approver: Actor, at: int
    ) -> Change:
        gone = [(version, Action.RETIRED) for version in plan.retire]
        if plan.roll_back is not None:
            gone.insert(0, (plan.roll_back, Action.ROLLED_BACK))
        for version, done in gone:
            ledger.move(unit, version.ref, state_after(version, done))
            ledger.note(unit, version.ref, done, approver, at)
        _end_shadows(unit, plan, approver, at)
        enforced = plan.enforce
        if enforced is not None:
            self._check_usable(enforced)
            state_after(enforced, action)
            # Clocks differ between machines; what is enforced last is the newest all the same.
            known = ledger.deciding(unit, enforced.decides)
            newest = max((version.enforced_at or 0 for version in known), default=0)
            ledger.enforce(unit, enforced.ref, approver, max(at, newest + 1))
            ledger.note(unit, enforced.ref, action, approver, at)
            enforced = _require(unit, enforced.ref.pack, enforced.ref.version)
        return Change(
            enforced,
            _refs(version for version, _ in gone),
            _refs(plan.end_shadow),
            plan.decides_from,
            plan.decides_until,
            None if plan.successor is None else plan.successor.ref,
        )


def _end_shadows(unit: Unit, plan: Plan, actor: Actor, at: int) -> None:
    for version in plan.end_shadow:
        ledger.move(unit, version.ref, state_after(version, Action.SHADOW_ENDED))
        ledger.note(unit, version.ref, Action.SHADOW_ENDED, actor, at)


def attach_backtest(
    unit: Unit, pack: str, version: int, report_json: str, actor: Actor, at: int
) -> StoredVersion:
    """Keep a report within `Shipping.changing`; see `Shipping.attach_backtest`."""
    check_report(report_json)
    found = _require(unit, pack, version)
    check_backtest(found)
    ledger.attach(unit, found.ref, report_json)
    ledger.note(unit, found.ref, Action.BACKTESTED, actor, at)
    return replace(found, backtest=report_json)


def _require(unit: Unit, pack: str, version: int) -> StoredVersion:
    return _known(ledger.find(unit, pack, version), f"{pack} version {version}")


def _known(version: StoredVersion | None, named: str) -> StoredVersion:
    if version is None:
        raise UnknownReference(f"no {named} is kept", "lishang rules history")
    return version


def _refs(versions: Iterable[StoredVersion]) -> tuple[PackRef, ...]:
    return tuple(version.ref for version in versions)
