"""The rules of each worker follow the store: looked for twice a second, swapped whole or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import structlog

from engine.domain.clock import Clock
from engine.domain.errors import LedgerUnavailable, LishangError, PolicyError
from engine.domain.verdicts import PackRef
from engine.domain.versions import InService, StoredText
from engine.policy.admission import stored_pack
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.packs import Pack
from engine.policy.ports import PackStore
from engine.shipping import Seeding

POLL_SECONDS: Final = 0.5

VERSION, SHADOW, DATABASE, FOLDER = "version", "shadow", "database", "folder"
"""What a fault may lie in."""


class RulebookMetrics(Protocol):
    """Where it is told what is in use and what is at fault."""

    def pack_in_use(self, decision: str, ref: PackRef | None) -> None:
        """Note which version decides `decision` from now on; None if none does."""

    def rulebook_fault(self, kind: str) -> None:
        """Count that the rules could not follow the store."""


class Rulebook:
    """Keeps the policy engine of this process at what the store says is in service.

    Parameters
    ----------
    store
        Where versions are kept.
    policy
        The engine to keep; the rulebook alone swaps its packs.
    seed
        Fills an empty store from the rules folder; called at the first look and while the store
        is empty.
    clock
        Tells the time in microseconds.
    catalogues
        The facts of each decision.

    Notes
    -----
    A set of versions is taken whole or not at all. Whatever this code cannot decide by leaves what
    is in service in place; it is tried again when the store changes or was out of reach.
    """

    def __init__(
        self,
        store: PackStore,
        policy: PolicyEngine,
        seed: Callable[[], Seeding],
        clock: Clock,
        catalogues: Mapping[str, FactCatalogue] = CATALOGUES,
    ) -> None:
        self._store = store
        self._policy = policy
        self._seed = seed
        self._clock = clock
        self._catalogues = catalogues
        self._metrics: RulebookMetrics | None = None
        self._revision: int | None = None
        self._in_service = 0
        self._read: dict[StoredText, Pack] = {}
        self._seeded = False
        self._unpublished: tuple[PackRef, ...] = ()
        self._faults: dict[str, str] = {}
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def revision(self) -> int:
        """The revision of the store that is in service; 0 before the first."""
        return self._in_service

    @property
    def faults(self) -> Mapping[str, str]:
        """What keeps the rules from what the store says, by what it lies in."""
        return dict(self._faults)

    @property
    def unpublished(self) -> tuple[PackRef, ...]:
        """The packs of the rules folder that decide nothing, because the store lacks them."""
        return self._unpublished

    def refresh(self) -> None:
        """Bring into service what the store says is, if it is not yet."""
        with self._refreshing:
            try:
                self._look()
            except LedgerUnavailable as error:
                self._revision = None  # what it says when it is back is read anew
                self._note(DATABASE, error)
            else:
                self._faults.pop(DATABASE, None)
            self._tell_use()

    def follow(self, metrics: RulebookMetrics) -> None:
        """Refresh now and then twice a second, in the background, until `stop`."""
        self._metrics = metrics
        self.refresh()
        with self._refreshing:
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="rulebook", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End following."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self.refresh()

    def _look(self) -> None:
        revision = self._store.revision()
        if not self._seeded or revision == 0:
            self._fill()
            revision = self._store.revision()
        if revision == self._revision:
            return
        service = self._store.in_service()
        self._revision = service.revision
        try:
            self._take(service)
        except PolicyError as error:
            self._note(VERSION, error)
        else:
            self._in_service = service.revision
            self._faults.pop(VERSION, None)

    def _fill(self) -> None:
        try:
            seeding = self._seed()
        except PolicyError as error:
            self._note(FOLDER, error)
            return
        except LedgerUnavailable:
            raise
        except LishangError as error:  # a pack's name is taken: what the store holds still decides
            self._note(FOLDER, error)
            self._seeded = True
            return
        self._seeded = True
        self._unpublished = seeding.unpublished
        log = structlog.get_logger("rulebook")
        for ref in seeding.seeded:
            log.info("pack seeded", pack=ref.pack, version=ref.version, hash=ref.hash)
        for ref in seeding.unpublished:
            log.warning("pack of the folder not published", pack=ref.pack, version=ref.version)
        self._faults.pop(FOLDER, None)
        if seeding.fault is not None:  # the store has what it needs without the folder
            log.warning("rules folder unreadable", why=seeding.fault)

    def _take(self, service: InService) -> None:
        enforced = [self._pack(stored) for stored in service.enforced]
        shadows, fault = self._shadows(service.shadows)
        try:
            self._policy.swap(enforced, shadows)
        except PolicyError as error:
            if not shadows:
                raise
            # Whatever is wrong with a shadow keeps no enforced version waiting.
            self._policy.swap(enforced)
            fault = error
        if fault is None:
            self._faults.pop(SHADOW, None)
        else:
            self._note(SHADOW, fault)
        kept = {*service.enforced, *service.shadows}
        self._read = {stored: pack for stored, pack in self._read.items() if stored in kept}

    def _shadows(self, texts: Iterable[StoredText]) -> tuple[list[Pack], PolicyError | None]:
        """Return the shadows that can be read, and why another cannot."""
        shadows, fault = [], None
        for stored in texts:
            try:
                shadows.append(self._pack(stored))
            except PolicyError as error:
                fault = error
        return shadows, fault

    def _pack(self, stored: StoredText) -> Pack:
        known = self._read.get(stored)
        if known is None:
            try:
                known = stored_pack(stored.ref, stored.text, self._catalogues)
            except PolicyError:
                raise
            except Exception as error:
                # Whatever is wrong with a stored text, what is in service stays and following
                # goes on: a follower that died would leave this worker behind without a word.
                raise PolicyError(
                    f"{stored.ref.pack} version {stored.ref.version} cannot be read: {error!r}",
                    "publish it anew or roll back",
                ) from error
            self._read[stored] = known
        return known

    def _note(self, kind: str, error: LishangError) -> None:
        if self._faults.get(kind) != str(error):
            structlog.get_logger("rulebook").error("rules held back", kind=kind, why=str(error))
        self._faults[kind] = str(error)
        if self._metrics is not None:
            self._metrics.rulebook_fault(kind)

    def _tell_use(self) -> None:
        if self._metrics is None:
            return
        for decision in self._catalogues:
            try:
                ref = self._policy.in_effect(decision, self._clock())
            except PolicyError:
                ref = None
            self._metrics.pack_in_use(decision, ref)
