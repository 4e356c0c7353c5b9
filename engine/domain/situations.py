"""What the ledger knows about a gift that is asked for, and the facts that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from engine.domain.clock import DEFAULT_ZONE, local_date
from engine.domain.gifts import GiftRequest, Item
from engine.domain.occasions import festival_near
from engine.domain.people import age_in_years
from engine.domain.ports import TieClass
from engine.domain.verdicts import FactValue

FESTIVAL_WINDOW_DAYS = 3
"""Broadcast gifts may go out from this many days before a festival until its end."""

ITEM_FACTS = frozenset(
    {
        "gift.mechanics",
        "gift.tier",
        "gift.category",
        "gift.price_fen",
        "gift.relation_allowed",
        "gift.scene_allowed",
        "gift.on_sale",
        "gift.in_stock",
        "gift.to_creator",
    }
)
"""The facts that another item would change."""


@dataclass(frozen=True, slots=True)
class DayCount:
    """What was sent in one local day so far."""

    gifts: int = 0
    fen: int = 0


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What is recorded of one side."""

    birth_date: date | None = None
    zone: str = DEFAULT_ZONE
    day_gifts_limit: int | None = None
    day_fen_limit: int | None = None


@dataclass(frozen=True, slots=True)
class GiftSituation:
    """The recorded circumstances of one asked-for gift, as of one instant."""

    item: Item
    sender: PersonFacts
    recipient: PersonFacts
    two_way_friends: bool
    blocked: bool
    """Whether either side blocks the other."""
    sender_day: DayCount
    pair_day: DayCount
    recipient_day: DayCount


def gift_facts(
    request: GiftRequest, situation: GiftSituation, tie_class: TieClass | None, at: int
) -> dict[str, FactValue | None]:
    """Return the facts of decision `gift_send`; None marks what nobody knows."""
    item, sender, recipient = situation.item, situation.sender, situation.recipient
    today = local_date(at, sender.zone)
    return {
        "gift.relation": request.relation.value,
        "gift.scene": request.scene.value,
        "gift.mechanics": item.mechanics.value,
        "gift.tier": item.tier.value,
        "gift.category": item.category,
        "gift.price_fen": item.price_fen,
        "gift.relation_allowed": request.relation.value in item.relations,
        "gift.scene_allowed": request.scene.value in item.scenes,
        "gift.on_sale": is_on_sale(item, at),
        "gift.in_stock": item.stock is None or item.stock > 0,
        "gift.to_creator": item.creator is not None and request.recipient == item.creator,
        "gift.to_self": request.sender == request.recipient,
        "pair.two_way_friends": situation.two_way_friends,
        "pair.blocked": situation.blocked,
        "pair.tie_class": tie_class.value if tie_class else None,
        **_day_after("pair", situation.pair_day, item.price_fen),
        **_day_after("sender", situation.sender_day, item.price_fen),
        **_day_after("recipient", situation.recipient_day, item.price_fen),
        "sender.day_gifts_limit": sender.day_gifts_limit,
        "sender.day_fen_limit": sender.day_fen_limit,
        "sender.age_years": _age(sender, at),
        "recipient.age_years": _age(recipient, at),
        "time.festival_window": festival_near(today, FESTIVAL_WINDOW_DAYS) is not None,
    }


def is_on_sale(item: Item, at: int) -> bool:
    """Tell whether `at` lies within the item's sale window (its end excluded)."""
    begun = item.sale_from is None or item.sale_from <= at
    return begun and (item.sale_until is None or at < item.sale_until)


def _day_after(side: str, so_far: DayCount, price_fen: int) -> dict[str, int]:
    return {
        f"{side}.day_gifts_after": so_far.gifts + 1,
        f"{side}.day_fen_after": so_far.fen + price_fen,
    }


def _age(person: PersonFacts, at: int) -> int | None:
    if person.birth_date is None:
        return None
    return age_in_years(person.birth_date, local_date(at, person.zone))
