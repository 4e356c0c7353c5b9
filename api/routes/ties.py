"""The tie routes: how strong a pair's tie is and why, and a person's strongest ties."""

from __future__ import annotations

from flask import Response
from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.limits import BATCH_BODY, body_limit
from api.openapi import Resource
from api.schemas.ties import (
    OneTie,
    PairsBody,
    PersonPath,
    RankedTies,
    TiePath,
    TieQuery,
    Ties,
    TiesQuery,
    written_ranked,
    written_tie,
    written_ties,
)
from api.wiring import services
from engine.ledger.keys import Scope

api = Resource("ties", __name__, url_prefix="/v1", abp_tags=[Tag(name="Ties")])

_JSON = "application/json"


@api.post("/ties/scores", responses={200: Ties})
@requires(Scope.TIES_READ)
@body_limit(BATCH_BODY)
def scores(body: PairsBody) -> Response:
    """Score up to 1,000 directed pairs as of now, in the order given.

    A pair that never had to do with each other is scored, too: its tie is as weak as can be.
    """
    pairs = [(pair.sender, pair.recipient) for pair in body.pairs]
    answer = services().relating.score(pairs, services().clock())
    return Response(written_ties(answer), content_type=_JSON)


@api.get("/people/<person>/ties", responses={200: RankedTies})
@requires(Scope.TIES_READ)
def ties_of(path: PersonPath, query: TiesQuery) -> Response:
    """Return a person's ties as of now, strongest first.

    To everybody they exchanged anything with or are friends with, both ways; but nobody who may
    not or will not be scored, and the ranks count without them.
    """
    answer = services().relating.ties_of(
        path.person, services().clock(), query.limit, query.tie_class
    )
    return Response(written_ranked(answer), content_type=_JSON)


@api.get("/people/<person>/ties/<other>", responses={200: OneTie})
@requires(Scope.TIES_READ)
def tie(path: TiePath, query: TieQuery) -> Response:
    """Return the tie from one person to another as of now, on demand with rank and reasons.

    Of any two, as when scoring pairs: strangers are no error, but have no rank.
    """
    answer = services().relating.tie(path.person, path.other, services().clock(), query.explain)
    return Response(written_tie(answer), content_type=_JSON)
