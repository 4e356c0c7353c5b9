"""Bodies and answers of the event route: one model a type of event."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from api.schemas.base import Answer, Body, Count, Fen, Id, Instant, ShortText, micros
from engine.domain import events
from engine.domain.clock import local_date, now, zone_of
from engine.domain.people import REGION_PATTERN, Purpose

Weight = Annotated[float, Field(ge=0, le=1e9)]
Region = Annotated[str, StringConstraints(pattern=REGION_PATTERN)]


class _Event(Body):
    id: Id = Field(description="The caller's own; the same id is taken once")
    occurred_at: Instant


def _past(day: date) -> date:
    if day > local_date(now()):
        raise ValueError("Input should not be in the future")
    return day


def _apart(one: str, other: str) -> None:
    if one == other:
        raise ValueError("the two people should not be the same")


class PersonEvent(_Event):
    """A person joined or changed; what is left out stays as it is.

    A new zone holds from the midnight that ends the person's present day.
    """

    type: Literal["person"]
    person: Id
    birth_date: Annotated[date, AfterValidator(_past)] | None = None
    zone: ShortText | None = Field(None, examples=["Asia/Shanghai"])
    region: Region | None = Field(
        None, description="Whose law on minors applies: ISO 3166", examples=["CN", "CN-HK"]
    )

    def told(self) -> events.LiveEvent:
        """Return the event."""
        zone = zone_of(self.zone).key if self.zone else None
        at = micros(self.occurred_at)
        return events.PersonChanged(self.id, at, self.person, self.birth_date, zone, self.region)


class FriendshipEvent(_Event):
    """`person` took `friend` as a friend or dropped them; a two-way friendship is two events."""

    type: Literal["friendship"]
    person: Id
    friend: Id
    active: bool

    @model_validator(mode="after")
    def _two_people(self) -> Self:
        _apart(self.person, self.friend)
        return self

    def told(self) -> events.LiveEvent:
        """Return the event."""
        at = micros(self.occurred_at)
        return events.FriendshipChanged(self.id, at, self.person, self.friend, self.active)


class BlockEvent(_Event):
    """`person` blocked `blocked` or lifted the block."""

    type: Literal["block"]
    person: Id
    blocked: Id
    active: bool

    @model_validator(mode="after")
    def _two_people(self) -> Self:
        _apart(self.person, self.blocked)
        return self

    def told(self) -> events.LiveEvent:
        """Return the event."""
        at = micros(self.occurred_at)
        return events.BlockChanged(self.id, at, self.person, self.blocked, self.active)


class ConsentEvent(_Event):
    """`person` agreed to a purpose or refused it.

    `guardian` is said by whoever answers for a minor: that `person` sends and receives gifts that
    ask for it.
    """

    type: Literal["consent"]
    person: Id
    purpose: Purpose
    granted: bool

    def told(self) -> events.LiveEvent:
        """Return the event."""
        at = micros(self.occurred_at)
        return events.ConsentChanged(self.id, at, self.person, self.purpose, self.granted)


class LimitEvent(_Event):
    """`person` set their own limits; null lifts one."""

    type: Literal["limit"]
    person: Id
    day_gifts_limit: Count | None
    day_fen_limit: Fen | None
    gift_fen_limit: Fen | None = Field(
        None, description="What one gift may cost; left out, it stays as it is"
    )

    def told(self) -> events.LiveEvent:
        """Return the event."""
        at = micros(self.occurred_at)
        said = "gift_fen_limit" in self.model_fields_set
        return events.LimitChanged(
            self.id,
            at,
            self.person,
            self.day_gifts_limit,
            self.day_fen_limit,
            self.gift_fen_limit if said else events.Unsaid.UNSAID,
        )


class InteractionEvent(_Event):
    """`sender` reached out to `recipient`; never any content."""

    type: Literal["interaction"]
    sender: Id
    recipient: Id
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")] = Field(
        description="One short word, never content", examples=["message", "call"]
    )
    weight: Weight = 1.0

    @model_validator(mode="after")
    def _two_people(self) -> Self:
        _apart(self.sender, self.recipient)
        return self

    def told(self) -> events.LiveEvent:
        """Return the event."""
        at = micros(self.occurred_at)
        return events.Interacted(self.id, at, self.sender, self.recipient, self.kind, self.weight)


class ItemTouchedEvent(_Event):
    """`person` bought, liked or wished for an item."""

    type: Literal["item_event"]
    person: Id
    item: Id
    kind: Literal["bought", "liked", "wished"]
    weight: Weight = 1.0

    def told(self) -> events.LiveEvent:
        """Return the event."""
        at = micros(self.occurred_at)
        return events.ItemTouched(self.id, at, self.person, self.item, self.kind, self.weight)


Event = Annotated[
    PersonEvent
    | FriendshipEvent
    | BlockEvent
    | ConsentEvent
    | LimitEvent
    | InteractionEvent
    | ItemTouchedEvent,
    Field(discriminator="type"),
]


class EventsBody(Body):
    """A batch that is recorded whole or not at all."""

    events: list[Event] = Field(min_length=1, max_length=1_000)


class Received(Answer):
    """What became of the batch."""

    accepted: int = Field(description="Events that were new")
    repeated: int = Field(description="Events received before, which changed nothing")
