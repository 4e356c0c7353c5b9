"""Which decisions exist, each with the catalogue of facts its packs may read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.policy.catalogue import FactCatalogue
from engine.policy.gift_facts import GIFT_SEND
from engine.policy.offer_facts import OFFER_SHOW
from engine.policy.settle_facts import GIFT_SETTLE

CATALOGUES: Mapping[str, FactCatalogue] = MappingProxyType(
    {catalogue.decision: catalogue for catalogue in (GIFT_SEND, GIFT_SETTLE, OFFER_SHOW)}
)
"""Every decision's catalogue by the decision's name."""
