"""The gift as it is asked for: who, to whom, which item, by which relation and from which scene."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.domain.money import Terms


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
    ip_owner: str | None = None
    """Of a co-branded edition: who owns the name or picture on it."""


@dataclass(frozen=True, slots=True)
class Gift:
    """A recorded gift; times in microseconds."""

    gift: str
    sender: str
    recipient: str
    item: str
    relation: Relation
    scene: Scene
    occasion: str
    price_fen: int
    state: GiftState
    origin: Origin
    occurred_at: int
    """When it was sent; while it is held, when it was asked for."""
    decision_id: str | None
    """None for imported gifts, of which we decided nothing; so are the five below."""
    payment_ref: str | None = None
    terms: Terms | None = None
    sender_day: int | None = None
    recipient_day: int | None = None
    """The local days whose counters it counts in."""
    due_at: int | None = None
    """When something happens to it by itself: the end of its 24 hours, or of its voucher."""
    outcome_at: int | None = None
    """When it left `sent`."""
    events: int = 0
    """How many events its callers were told of."""
    address: str | None = None
    """Where the recipient wants it; never shown to the sender."""
    took_piece: bool = False
    """Whether it took a piece of limited stock: only then there is one to put back."""


UNSENT = frozenset({GiftState.HELD, GiftState.CANCELLED})
"""States of which the recipient has never heard."""
