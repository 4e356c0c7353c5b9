"""The gift as it is asked for: who, to whom, which item, by which relation and from which scene."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.domain.clock import HOUR


class Relation(StrEnum):
    """In what capacity a gift is sent; each rule names the relations it governs."""

    FRIEND = "friend"
    CREATOR = "creator"
    COMPANY = "company"


class Scene(StrEnum):
    """Where in the product the gift is sent from."""

    CHAT = "chat"
    LIVE_ROOM = "live_room"
    BROADCAST = "broadcast"
    BULK_ORDER = "bulk_order"
    MOMENTS = "moments"
    PUSH = "push"


class Tier(StrEnum):
    """The catalogue's price family of an item."""

    BASIC = "basic"
    SCENE = "scene"
    CUSTOM = "custom"
    GOODS = "goods"


class Mechanics(StrEnum):
    """How the recipient and the value of a gift come about."""

    DIRECT = "direct"
    LOTTERY = "lottery"
    """Recipient or value drawn at random."""
    GROUP_DRAW = "group_draw"
    CHAIN = "chain"
    """The luckiest one sends next."""
    BLIND_BOX = "blind_box"


class Moderation(StrEnum):
    """What became of looking at a picture or text that the sender put on a gift."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


class GiftState(StrEnum):
    """Where a gift is in its life."""

    HELD = "held"
    SENT = "sent"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    REDEEMED = "redeemed"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class Origin(StrEnum):
    """Whether we decided on the gift or were told of it afterwards."""

    LIVE = "live"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class GiftRequest:
    """A gift somebody wants to send."""

    sender: str
    recipient: str
    item: str
    relation: Relation = Relation.FRIEND
    scene: Scene = Scene.CHAT
    moderation: Moderation | None = None
    """Of a gift made with the sender's own picture; None where nobody looked at it."""


@dataclass(frozen=True, slots=True)
class Item:
    """A catalogue entry; money in fen, times in microseconds, `stock` None when unlimited."""

    item: str
    name: str
    price_fen: int
    tier: Tier
    category: str
    kind: str
    mechanics: Mechanics
    relations: frozenset[str]
    scenes: frozenset[str]
    brand: str | None = None
    creator: str | None = None
    stock: int | None = None
    sale_from: int | None = None
    sale_until: int | None = None
    odds_disclosed: bool = False
    """Of a blind box: whether its value, rules and odds are told before buying."""


@dataclass(frozen=True, slots=True)
class Gift:
    """A recorded gift."""

    gift: str
    sender: str
    recipient: str
    item: str
    price_fen: int
    relation: Relation
    scene: Scene
    state: GiftState
    origin: Origin
    occurred_at: int
    decision_id: str | None


UNSENT = frozenset({GiftState.HELD, GiftState.CANCELLED})
"""States of which the recipient has never heard."""

ACCEPT_WITHIN = 24 * HOUR
"""How long a sent gift waits to be accepted."""


def state_for_sender(gift: Gift, at: int) -> GiftState:
    """Return the state that the sender may see at `at` (microseconds).

    A declined gift and one that nobody answered look the same: sent, and expired after 24 hours.
    """
    if gift.state not in {GiftState.SENT, GiftState.DECLINED}:
        return gift.state
    waiting = at < gift.occurred_at + ACCEPT_WITHIN
    return GiftState.SENT if waiting else GiftState.EXPIRED
