"""The rules of each worker follow the store: looked for twice a second, swapped whole or not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

import structlog

from engine.domain.clock import Clock
from engine.domain.errors import LedgerUnavailable, LishangError, PolicyError
from engine.domain.pack_life import Seeding
from engine.domain.verdicts import PackRef
from engine.domain.versions import InService, Newest, StoredText
from engine.policy.admission import stored_pack
from engine.policy.catalogue import FactCatalogue
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.packs import Pack
from engine.policy.ports import PackStore

POLL_SECONDS: Final = 0.5
SILENT_SECONDS: Final = 10.0
"""Without a finished look for so long, it is not followed any more."""

VERSION, SHADOW, DATABASE, FOLDER = "version", "shadow", "database", "folder"
DECISION: Final = "decision"
"""A version that decides what this code knows nothing of."""
LOOK: Final = "look"
"""Something that nobody foresaw."""


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
        self._newest: Newest | None = None
        self._looked = monotonic()
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

    @property
    def silent_seconds(self) -> float:
        """How long ago the last look was finished; 0 while the store is not followed."""
        following = self._thread is not None and not self._stopping.is_set()
        return monotonic() - self._looked if following else 0.0

    def refresh(self) -> None:
        """Bring into service what the store says is, if it is not yet; never raises."""
        with self._refreshing:
            try:
                self._follow_store()
            # Everything: a follower that died would leave this worker behind without a word. It
            # goes on and looks anew.
            except Exception as error:
                self._newest = None
                with suppress(Exception):  # such as a log that cannot be written
                    self._note(LOOK, repr(error))
            else:
                self._faults.pop(LOOK, None)
            self._looked = monotonic()

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

    def _follow_store(self) -> None:
        try:
            self._look()
        except LedgerUnavailable as error:
            self._newest = None  # what it says when it is back is read anew
            self._note(DATABASE, str(error))
        else:
            self._faults.pop(DATABASE, None)
        self._tell_use()

    def _look(self) -> None:
        newest = self._store.newest()
        if not self._seeded or newest.revision == 0:
            self._fill()
            newest = self._store.newest()
        if newest == self._newest:
            return
        service = self._store.in_service()
        try:
            self._take(service)
        except PolicyError as error:
            self._note(VERSION, str(error))
        else:
            self._in_service = service.newest.revision
            self._faults.pop(VERSION, None)
        self._newest = service.newest

    def _fill(self) -> None:
        try:
            seeding = self._seed()
        except PolicyError as error:
            self._note(FOLDER, str(error))
            return
        except LedgerUnavailable:
            raise
        except LishangError as error:  # a pack's name is taken: what the store holds still decides
            self._note(FOLDER, str(error))
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
        known = [stored for stored in service.enforced if stored.decides in self._catalogues]
        enforced = [self._pack(stored) for stored in known]
        shadows, faults = self._shadows(service.shadows)
        try:
            self._policy.swap(enforced, shadows)
        except PolicyError:
            if not shadows:
                raise
            # Whatever is wrong with a shadow keeps no other version waiting.
            usable, unusable = self._usable(shadows)
            self._policy.swap(enforced, usable)
            faults += unusable
        unknown = [stored for stored in service.enforced if stored not in known]
        self._set(DECISION, [_left_out(stored) for stored in unknown])
        self._set(SHADOW, faults)
        kept = {*service.enforced, *service.shadows}
        self._read = {stored: pack for stored, pack in self._read.items() if stored in kept}

    def _shadows(self, texts: Iterable[StoredText]) -> tuple[list[Pack], list[str]]:
        """Return the shadows that can be read, and why others cannot."""
        shadows, faults = [], []
        for stored in texts:
            try:
                shadows.append(self._pack(stored))
            except PolicyError as error:
                faults.append(str(error))
        return shadows, faults

    def _usable(self, shadows: Iterable[Pack]) -> tuple[list[Pack], list[str]]:
        """Return the shadows that can be evaluated here, and why others cannot."""
        usable, faults = [], []
        for pack in shadows:
            try:
                self._policy.check_usable(pack)
            except PolicyError as error:
                faults.append(str(error))
            else:
                usable.append(pack)
        return usable, faults

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

    def _set(self, kind: str, faults: Iterable[str]) -> None:
        why = "; ".join(faults)
        if why:
            self._note(kind, why)
        else:
            self._faults.pop(kind, None)

    def _note(self, kind: str, why: str) -> None:
        told = self._faults.get(kind) == why
        self._faults[kind] = why  # first of all: a log may fail
        if self._metrics is not None:
            self._metrics.rulebook_fault(kind)
        if not told:
            structlog.get_logger("rulebook").error("rules held back", kind=kind, why=why)

    def _tell_use(self) -> None:
        if self._metrics is None:
            return
        for decision in self._catalogues:
            try:
                ref = self._policy.in_effect(decision, self._clock())
            except PolicyError:
                ref = None
            self._metrics.pack_in_use(decision, ref)


def _left_out(stored: StoredText) -> str:
    return (
        f"{stored.ref.pack} version {stored.ref.version} decides {stored.decides}, of which this "
        "code knows nothing: it is left out"
    )
