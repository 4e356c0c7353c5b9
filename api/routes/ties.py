"""The tie routes: how strong a pair's tie is, and a person's strongest ties."""

from __future__ import annotations

from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.limits import BATCH_BODY, body_limit
from api.openapi import Resource
from api.schemas.reasons import Model
from api.schemas.ties import PairsBody, PersonPath, Tie, Ties, TiesQuery
from api.wiring import services
from engine.ledger.keys import Scope
from engine.relating import TieAnswer

api = Resource("ties", __name__, url_prefix="/v1", abp_tags=[Tag(name="Ties")])


@api.post("/ties/scores", responses={200: Ties})
@requires(Scope.TIES_READ)
@body_limit(BATCH_BODY)
def scores(body: PairsBody) -> Ties:
    """Score up to 1,000 directed pairs as of now, in the order given."""
    pairs = [(pair.sender, pair.recipient) for pair in body.pairs]
    return _ties(services().relating.score(pairs, services().clock()))


@api.get("/people/<person>/ties", responses={200: Ties})
@requires(Scope.TIES_READ)
def ties_of(path: PersonPath, query: TiesQuery) -> Ties:
    """Return a person's ties, strongest first."""
    return _ties(services().relating.ties_of(path.person, services().clock(), query.limit))


def _ties(answer: TieAnswer) -> Ties:
    return Ties(
        ties=[Tie.of(pair.sender, pair.recipient, pair.score) for pair in answer.pairs],
        model=Model(name=answer.model.name, version=answer.model.version),
    )
