"""The event route: what happened elsewhere, effective for the next check."""

from __future__ import annotations

from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.limits import BATCH_BODY, body_limit
from api.openapi import Resource
from api.schemas.events import EventsBody, Received
from api.wiring import services
from engine.domain.clock import SECOND
from engine.domain.errors import InvalidInput
from engine.ledger import intake
from engine.ledger.keys import Scope

api = Resource("events", __name__, url_prefix="/v1/events", abp_tags=[Tag(name="Events")])

_SKEW = 300 * SECOND
"""How far ahead of ours a caller's clock may be."""


@api.post("", responses={200: Received})
@requires(Scope.EVENTS_WRITE)
@body_limit(BATCH_BODY)
def receive(body: EventsBody) -> Received:
    """Record a batch of events: each id once, all or nothing."""
    at = services().clock()
    events = [event.told() for event in body.events]
    late = next((event for event in events if event.occurred_at > at + _SKEW), None)
    if late is not None:
        raise InvalidInput(f"event {late.event!r} lies in the future", "check the caller's clock")
    with services().database.writing() as unit:
        taken = intake.receive(unit, events, at)
    return Received(accepted=taken.accepted, repeated=taken.repeated)
