"""The feed's route: what happened to gifts, in order, at least once."""

from __future__ import annotations

from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.openapi import Resource
from api.schemas.feed import FeedPage, FeedQuery
from api.wiring import services
from engine.ledger.keys import Scope

api = Resource("feed", __name__, url_prefix="/v1", abp_tags=[Tag(name="Feed")])


@api.get("/feed", responses={200: FeedPage})
@requires(Scope.FEED_READ)
def feed(query: FeedQuery) -> FeedPage:
    """Read what happened to gifts, from after a cursor on.

    The events of one gift stand in the order in which they happened. Keep `next` once its events
    are dealt with: reading on from it misses nothing. A cursor whose events are not kept any more
    is refused (409 CURSOR_UNUSABLE).
    """
    after = None if query.after is None else int(query.after)
    return FeedPage.of(services().feed.page(after, query.limit), query.after)
