"""Where the floors are joined: the ledger, the rules, the models and the three jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn, Protocol, cast

from flask import current_app

from api.delivering import Delivering
from api.health import Check
from api.metrics import Metrics
from api.rulebook import SILENT_SECONDS, Rulebook
from api.settings import Settings
from api.shadowing import ShadowCounts
from api.shelf import Shelf
from engine.backtesting import Backtesting
from engine.domain.clock import Clock, now
from engine.domain.errors import ModelError, PolicyError
from engine.evaluating import Evaluating
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import Gifting
from engine.housekeeping import Housekeeping
from engine.ledger.database import Database
from engine.ledger.decision_log import RecordedDecisions
from engine.ledger.feed import Feed
from engine.ledger.packs import PackVersions
from engine.ledger.webhooks import Webhooks
from engine.moving import Moving
from engine.policy.decisions import CATALOGUES
from engine.policy.engine import PolicyEngine
from engine.policy.folder import reasons_in
from engine.recommending import Recommending
from engine.relating import Relating
from engine.reviewing import Reviewing
from engine.shipping import Shipping
from engine.swapping import Swapping
from engine.targeting import Targeting
from training.registry import ModelRegistry

EXTENSION = "lishang.services"
"""Under which extension an application keeps its services."""


class Service(Protocol):
    """What the application needs of what stands behind it; the views need `Services`."""

    @property
    def database(self) -> Database: ...

    def checks(self) -> Sequence[Check]:
        """Return what readiness depends on besides the database."""
        ...

    def start(self, metrics: Metrics) -> None:
        """Begin what goes on in the background."""
        ...

    def finish(self) -> None:
        """Finish what was taken on; the process ends after this."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a view may call."""

    database: Database
    policy: PolicyEngine
    rulebook: Rulebook
    shadows: ShadowCounts
    shipping: Shipping
    shelf: Shelf
    gifting: Gifting
    moving: Moving
    swapping: Swapping
    reviewing: Reviewing
    relating: Relating
    recommending: Recommending
    targeting: Targeting
    evaluating: Evaluating
    backtesting: Backtesting
    feed: Feed
    housekeeping: Housekeeping
    delivering: Delivering
    clock: Clock

    def start(self, metrics: Metrics) -> None:
        """Follow the stored rules and the champions, keep house and deliver to webhooks."""
        metrics.follow_retired_engines(lambda: self.policy.retired_engines)
        self.shadows.count_in(metrics)
        self.rulebook.follow(metrics)
        self.shelf.follow(metrics.model_in_use)
        self.gifting.log.follow(metrics.decisions_waiting)
        self.housekeeping.start(metrics)
        self.delivering.start(metrics)

    def checks(self) -> Sequence[Check]:
        """Return what readiness depends on besides the database."""
        return [
            Check("policy", required=True, probe=self._packs),
            Check("rulebook", required=False, probe=self._rulebook),
            Check("models", required=False, probe=self._models),
        ]

    def close(self) -> None:
        """Write what still waits to be written; let go of the database and of the registry."""
        try:
            self.finish()
        finally:
            self._stop()

    def finish(self) -> None:
        """Write the decisions that still wait to be written."""
        self.gifting.log.close()

    def _stop(self) -> None:
        self.delivering.stop()
        self.housekeeping.stop()
        self.backtesting.stop()
        self.rulebook.stop()
        self.shelf.stop()
        self.policy.close()
        self.database.close()

    def _packs(self) -> str:
        try:
            in_effect = [self.policy.in_effect(decision, self.clock()) for decision in CATALOGUES]
        except PolicyError as error:
            why = "; ".join((error.message, *self.rulebook.faults.values()))
            raise PolicyError(why, error.hint) from error
        packs = ", ".join(f"{pack.pack} v{pack.version}" for pack in in_effect)
        return f"{packs}; engines retired after an anomaly: {self.policy.retired_engines}"

    def _rulebook(self) -> str:
        silent = self.rulebook.silent_seconds
        if silent > SILENT_SECONDS:
            raise PolicyError(
                f"has not looked for {silent:.0f} s", "what was in service stays; restart it"
            )
        faults = self.rulebook.faults
        if faults:
            told = "; ".join(f"{kind}: {why}" for kind, why in faults.items())
            raise PolicyError(told, "what was in service stays until this is mended")
        follows = f"follows revision {self.rulebook.revision}"
        left = ", ".join(f"{ref.pack} v{ref.version}" for ref in self.rulebook.unpublished)
        return f"{follows}; in the rules folder but not published at the start: {left or 'nothing'}"

    def _models(self) -> str:
        versions = self.shelf.versions
        faults = [f"{name}: {why}" for name, why in self.shelf.faults.items()]
        missing = [f"{name}: no champion" for name, version in versions.items() if not version]
        if faults or missing:
            raise ModelError("; ".join(faults or missing), "train them: lishang train all")
        return ", ".join(f"{name} v{version}" for name, version in versions.items())


@dataclass(frozen=True, slots=True)
class Shell:
    """The least a service is: a ledger, so that keys and readiness work where nothing is decided.

    Parameters
    ----------
    fault
        Why nothing can be decided; every view that asks for the services raises it.
    """

    database: Database
    fault: PolicyError = field(default_factory=lambda: PolicyError("no rules are loaded"))

    def start(self, metrics: Metrics) -> None:
        """Begin nothing."""

    def finish(self) -> None:
        """Finish nothing."""

    def checks(self) -> Sequence[Check]:
        """Return the check that tells the fault."""
        return [Check("policy", required=True, probe=self._fail)]

    def refuse(self) -> NoReturn:
        """Raise the fault: anew, since an exception that is raised again keeps every traceback."""
        raise PolicyError(self.fault.message, self.fault.hint)

    def _fail(self) -> str:
        self.refuse()


def build(settings: Settings, clock: Clock = now) -> Service:
    """Join the floors as `settings` say.

    Rules that cannot be loaded, or a database that cannot be reached, do not keep the service from
    starting: it refuses every decision (503) and says why at /readyz. As soon as the store can be
    read its rules come into service.
    """
    database = Database(settings.database_url)
    try:
        reasons = reasons_in(settings.rules)
    except PolicyError as error:
        return Shell(database, error)
    shadows = ShadowCounts()
    policy = PolicyEngine((), reasons, witness=shadows, waiting=True)
    shipping = Shipping(database, settings.rules)
    versions = PackVersions(database)
    rulebook = Rulebook(versions, policy, lambda: shipping.seed(clock()), clock)
    rulebook.refresh()
    registry = ModelRegistry(settings.mlflow_tracking_uri, settings.home)
    shelf = Shelf(registry, settings.home / "models")
    gift_policy, terms = GiftPolicy(policy, shelf), GiftTerms(policy)
    moving, feed = Moving(database), Feed(database)
    return Services(
        database=database,
        policy=policy,
        rulebook=rulebook,
        shadows=shadows,
        shipping=shipping,
        shelf=shelf,
        gifting=Gifting(database, gift_policy, terms),
        moving=moving,
        swapping=Swapping(database, gift_policy, terms),
        reviewing=Reviewing(database, gift_policy),
        relating=Relating(database, gift_policy, shelf),
        recommending=Recommending(database, gift_policy, shelf),
        targeting=Targeting(database, policy, shelf),
        evaluating=Evaluating(database, policy),
        backtesting=Backtesting(database, RecordedDecisions(database), shipping, clock),
        feed=feed,
        housekeeping=Housekeeping(database, moving, clock, settings.housekeeping_seconds),
        delivering=Delivering(Webhooks(database), feed, clock),
        clock=clock,
    )


def services() -> Services:
    """Return the services of the application that serves this request.

    Raises
    ------
    PolicyError
        If the rules could not be loaded.
    """
    found = cast("Services | Shell", current_app.extensions[EXTENSION])
    if isinstance(found, Shell):
        found.refuse()
    return found
