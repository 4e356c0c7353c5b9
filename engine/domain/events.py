"""Typed events by which callers tell us live what happened; each carries the caller's own id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Literal

from engine.domain.people import Purpose


class Unsaid(Enum):
    """Marks what an event leaves as it is, where None says something."""

    UNSAID = "unsaid"


@dataclass(frozen=True, slots=True)
class PersonChanged:
    """A person joined or changed; None leaves what is known as it is."""

    event: str
    occurred_at: int
    person: str
    birth_date: date | None = None
    zone: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class FriendshipChanged:
    """`person` took `friend` as a friend, or dropped them: one direction of a friendship."""

    event: str
    occurred_at: int
    person: str
    friend: str
    active: bool


@dataclass(frozen=True, slots=True)
class BlockChanged:
    """`person` blocked `blocked`, or lifted the block."""

    event: str
    occurred_at: int
    person: str
    blocked: str
    active: bool


@dataclass(frozen=True, slots=True)
class ConsentChanged:
    """`person` (for `GUARDIAN`, whoever answers for them) agreed to `purpose`, or refused it."""

    event: str
    occurred_at: int
    person: str
    purpose: Purpose
    granted: bool


@dataclass(frozen=True, slots=True)
class LimitChanged:
    """`person` set their own limits, a day's and one gift's; None lifts one."""

    event: str
    occurred_at: int
    person: str
    day_gifts_limit: int | None
    day_fen_limit: int | None
    gift_fen_limit: int | Literal[Unsaid.UNSAID] | None = Unsaid.UNSAID


@dataclass(frozen=True, slots=True)
class Interacted:
    """`sender` reached out to `recipient`: a message, a call or another signal, never content."""

    event: str
    occurred_at: int
    sender: str
    recipient: str
    kind: str
    weight: float


@dataclass(frozen=True, slots=True)
class ItemTouched:
    """`person` bought, liked or wished for `item`."""

    event: str
    occurred_at: int
    person: str
    item: str
    kind: str
    weight: float


LiveEvent = (
    PersonChanged
    | FriendshipChanged
    | BlockChanged
    | ConsentChanged
    | LimitChanged
    | Interacted
    | ItemTouched
)
