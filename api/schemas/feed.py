"""The feed's parameters and answers; an event has the same form in the feed and in a webhook."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from api.schemas.base import Answer, Parameters
from engine.domain.clock import format_time
from engine.domain.gift_events import FeedEvent, GiftEventKind, PaymentAction

_CURSOR = re.compile(r"0|[1-9][0-9]{0,17}")


def _known_form(cursor: str) -> str:
    if not _CURSOR.fullmatch(cursor):
        raise ValueError("Input should be a cursor that this feed gave")
    return cursor


Cursor = Annotated[
    str, AfterValidator(_known_form), Field(description="Of the feed; a later one is never less")
]


class FeedQuery(Parameters):
    """From where on to read, and how much."""

    after: Cursor | None = Field(
        None, description="The `next` of the answer before; left out: the oldest event kept"
    )
    limit: int = Field(100, ge=1, le=1_000)


class Payment(Answer):
    """What to do with the payment you authorised; doing it twice for one gift changes nothing."""

    payment_ref: str
    action: PaymentAction
    fen: int


class EventData(Answer):
    """What happened to a gift, as those who sent it may know it."""

    gift: str
    number: int = Field(description="1, 2, 3… within the gift")
    sender: str
    recipient: str
    item: str
    state: str = Field(description="After the event, as the sender may see it")
    payment: Payment | None


class Event(Answer):
    """One event; its id and its content are the same however often it is read or delivered."""

    id: str = Field(description="What comes again under one id is the same event")
    type: GiftEventKind
    timestamp: str = Field(description="When it happened")
    cursor: str = Field(description="Its place in the feed: read on from after it")
    data: EventData

    @classmethod
    def of(cls, placed: FeedEvent) -> Event:
        """Return the event as its readers see it."""
        event, payment = placed.event, placed.event.payment
        return cls(
            id=f"{event.gift}_{event.number}",
            type=event.kind,
            timestamp=format_time(event.occurred_at),
            cursor=str(placed.position),
            data=EventData(
                gift=event.gift,
                number=event.number,
                sender=event.sender,
                recipient=event.recipient,
                item=event.item,
                state=event.state,
                payment=None
                if payment is None
                else Payment(
                    payment_ref=payment.payment_ref, action=payment.action, fen=payment.fen
                ),
            ),
        )


class FeedPage(Answer):
    """Events in the feed's order."""

    events: list[Event]
    next: str = Field(description="The cursor to read on from; with no events, the one given")

    @classmethod
    def of(cls, placed: list[FeedEvent], after: str | None) -> FeedPage:
        """Return what was read from after a cursor on."""
        events = [Event.of(one) for one in placed]
        return cls(events=events, next=events[-1].cursor if events else after or "0")
