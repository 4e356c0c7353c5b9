"""Where the floors are joined: the ledger, the rules, the models and the three jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from api.health import Check
from api.settings import Settings
from api.shelf import Shelf
from engine.domain.clock import Clock, now
from engine.domain.errors import ModelError
from engine.gift_policy import GiftPolicy
from engine.gifting import Gifting
from engine.ledger.database import Database
from engine.policy.engine import PolicyEngine
from engine.recommending import Recommending
from engine.relating import Relating
from engine.targeting import Targeting
from training.registry import ModelRegistry

EXTENSION = "lishang.services"
"""Under which extension an application keeps its services."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a view may call."""

    database: Database
    policy: PolicyEngine
    shelf: Shelf
    gifting: Gifting
    relating: Relating
    recommending: Recommending
    targeting: Targeting
    clock: Clock

    def checks(self) -> list[Check]:
        """Return what readiness depends on besides the database."""
        return [
            Check("policy", required=True, probe=self._packs),
            Check("models", required=False, probe=self._models),
        ]

    def close(self) -> None:
        """Let go of the database and of the registry."""
        self.shelf.stop()
        self.policy.close()
        self.database.close()

    def _packs(self) -> str:
        packs = ", ".join(f"{p.pack} v{p.version}" for p in self.policy.packs())
        return f"{packs}; engines retired after an anomaly: {self.policy.retired_engines}"

    def _models(self) -> str:
        versions = self.shelf.versions
        faults = [f"{name}: {why}" for name, why in self.shelf.faults.items()]
        missing = [f"{name}: no champion" for name, version in versions.items() if not version]
        if faults or missing:
            raise ModelError("; ".join(faults or missing), "train them: lishang train all")
        return ", ".join(f"{name} v{version}" for name, version in versions.items())


def build(settings: Settings, clock: Clock = now) -> Services:
    """Join the floors as `settings` say.

    Raises
    ------
    PolicyError
        If the rule packs cannot be loaded.
    """
    database = Database(settings.database_url)
    policy = PolicyEngine.from_folder(settings.rules)
    registry = ModelRegistry(settings.mlflow_tracking_uri, settings.home)
    shelf = Shelf(registry, settings.home / "models")
    gift_policy = GiftPolicy(policy, shelf)
    return Services(
        database=database,
        policy=policy,
        shelf=shelf,
        gifting=Gifting(database, gift_policy),
        relating=Relating(database, gift_policy, shelf),
        recommending=Recommending(database, gift_policy, shelf),
        targeting=Targeting(database, policy, shelf),
        clock=clock,
    )


def services() -> Services:
    """Return the services of the application that serves this request."""
    return cast(Services, current_app.extensions[EXTENSION])
