"""What the jobs need of the models, named as protocols: `api/wiring.py` joins the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from engine.domain.gifts import Item
from engine.domain.pair_state import Floats


@dataclass(frozen=True, slots=True)
class ModelRef:
    """Which model answered."""

    name: str
    version: str


class TieClass(StrEnum):
    """What rules may read of a tie's strength."""

    CLOSE = "close"
    FRIEND = "friend"
    ACQUAINTANCE = "acquaintance"
    DORMANT = "dormant"


@dataclass(frozen=True, slots=True)
class TieScore:
    """A directed pair's tie: `strength` in 0…1, `p_exchange` within the model's horizon."""

    strength: float
    p_exchange: float
    tie_class: TieClass
    asymmetry: float
    """What the sender gave less what they received, over both, decayed: −1…1; 0 without events."""
    observations: float
    """The effective number of exchanges behind the score: each counts by what decay has left."""


@dataclass(frozen=True, slots=True)
class TieReason:
    """Why a tie is as strong as it is: a code, the same in words, and its part of the log odds."""

    code: str
    text: str
    share: float


class TieScorer(Protocol):
    """Scores pairs from their two stored states and the structure around them."""

    @property
    def ref(self) -> ModelRef: ...

    def score(self, out: Floats, back: Floats, structure: Floats, at: int) -> list[TieScore]:
        """Score n pairs: `out` and `back` are the states (n × width, default layout, as stored) of
        sender → recipient and back, `structure` the vectors (n × `engine.domain.structure.WIDTH`)
        as stored; `at` is the instant in microseconds to score for."""
        ...

    def explain(
        self, out: Floats, back: Floats, structure: Floats, at: int
    ) -> list[tuple[TieReason, ...]]:
        """Return up to three reasons for each of n pairs, given as to `score`."""
        ...


GAVE = "gave"
"""The kind of signal a sender leaves by giving an item away."""
RECEIVED = "received"
"""The kind of signal a recipient leaves by accepting a gift."""
HISTORY_LIMIT = 200
"""How many signals, the newest, of one person are looked at."""
FRIENDS_HISTORY_LIMIT = 500
"""How many signals, the newest, of all a recipient's friends together are looked at."""


@dataclass(frozen=True, slots=True)
class ItemSignal:
    """Something a person did with an item: bought, liked, wished, `GAVE` or `RECEIVED` it.

    The time of a gift's signals is when it was given.
    """

    item: str
    kind: str
    occurred_at: int


@dataclass(frozen=True, slots=True)
class GiftContext:
    """Whom a gift is sought for, and under which wishes; histories newest first."""

    sender: str
    recipient: str
    occasion: str
    budget_fen: int | None
    at: int
    recipient_history: tuple[ItemSignal, ...] = ()
    """Empty without the recipient's consent."""
    sender_history: tuple[ItemSignal, ...] = ()
    recipient_friends_history: tuple[ItemSignal, ...] = ()
    """What the recipient's consenting friends did, newest first; empty without consent."""


@dataclass(frozen=True, slots=True)
class GiftCandidate:
    """An item worth ranking and where it came from: `popular`, `similar` or `friends`."""

    item: str
    source: str
    score: float


@dataclass(frozen=True, slots=True)
class RankedGift:
    """An item with its place in the order; `reason` is a code of the reason catalogue."""

    item: str
    score: float
    reason: str


class GiftRanker(Protocol):
    """Finds and orders gift ideas."""

    @property
    def ref(self) -> ModelRef: ...

    def candidates(self, context: GiftContext, limit: int) -> list[GiftCandidate]:
        """Return up to `limit` distinct items, best first."""
        ...

    def rank(
        self, context: GiftContext, candidates: Sequence[GiftCandidate], items: Sequence[Item]
    ) -> list[RankedGift]:
        """Order the candidates; `items` are their catalogue entries, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class OfferView:
    """An offer as the response model sees it; `value_fen` is paid per redemption."""

    offer: str
    brand: str
    category: str
    value_fen: int
    price_fen: int
    starts_at: int
    ends_at: int
    list_price_fen: int = 0
    """The catalogue price of the item on offer; nought where the offer names no item."""


@dataclass(frozen=True, slots=True)
class OfferContext:
    """One person and one offer, with what is known of the two before `at`."""

    person: str
    offer: OfferView
    at: int
    history: tuple[ItemSignal, ...] = ()
    history_categories: tuple[str, ...] = ()
    """The category of each signal of `history`, in the same order."""
    shown: int = 0
    clicked: int = 0
    redeemed: int = 0
    """How often this person was shown, clicked and redeemed any offer."""
    category_shown: int = 0
    category_redeemed: int = 0
    """The same for offers of this offer's category."""
    brand_redeemed: int = 0
    friends_redeemed: int = 0
    """How many friends redeemed an offer of this brand."""
    brand_signals: int = 0
    """How many signals of `history` are of this brand's items."""
    brand_shown: int = 0
    """How often this person was shown any offer of this brand."""
    offer_shown: int = 0
    """How often this person was shown this very offer."""


@dataclass(frozen=True, slots=True)
class OfferScore:
    """The calibrated probability that showing the offer ends in a redemption."""

    p_redeem: float
    reasons: tuple[str, ...] = field(default=())


class OfferScorer(Protocol):
    """Predicts the response to an offer."""

    @property
    def ref(self) -> ModelRef: ...

    def score(self, contexts: Sequence[OfferContext]) -> list[OfferScore]:
        """Score each person and offer."""
        ...


class ModelShelf(Protocol):
    """The models in service right now; None where there is no champion."""

    @property
    def ties(self) -> TieScorer | None: ...

    @property
    def gifts(self) -> GiftRanker | None: ...

    @property
    def offers(self) -> OfferScorer | None: ...
