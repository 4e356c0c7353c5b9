"""Parameters, bodies and answers of the tie routes."""

from __future__ import annotations

import orjson
from pydantic import Field

from api.schemas.base import Answer, Body, Id, Parameters
from api.schemas.reasons import Model
from engine.domain.clock import format_time
from engine.domain.ports import TieClass
from engine.relating import PairTie, TieAnswer


class Pair(Body):
    """A directed pair."""

    sender: Id
    recipient: Id


class PairsBody(Body):
    """The pairs to score."""

    pairs: list[Pair] = Field(min_length=1, max_length=1_000)


class PersonPath(Parameters):
    """Whose ties."""

    person: Id


class TiePath(PersonPath):
    """Whose tie, and to whom."""

    other: Id


class TiesQuery(Parameters):
    """Which ties, and how many."""

    limit: int = Field(50, ge=1, le=1_000)
    tie_class: TieClass | None = Field(None, alias="class", description="Ties of this class only")


class TieQuery(Parameters):
    """How much to tell."""

    explain: bool = Field(False, description="With the rank and the reasons")


class Tie(Answer):
    """A pair's tie; its figures are null where a side may not or will not be scored."""

    sender: str
    recipient: str
    strength: float | None = Field(description="Intensity in 0…1, comparable across people")
    p_exchange: float | None = Field(
        description="Calibrated probability of an exchange within the model's horizon"
    )
    tie_class: TieClass | None
    asymmetry: float | None = Field(
        description="−1…1: above 0 where the sender gives more than they get"
    )
    observations: float | None = Field(
        description="How many exchanges the score rests on, each by what time has left of it"
    )


class RankedTie(Tie):
    """One of a person's ties."""

    rank: int = Field(description="Among all of the person's scored ties, the strongest being 1")


class TieReason(Answer):
    """What a tie's strength comes from."""

    code: str = Field(description="Stable; decide on this")
    text: str
    share: float = Field(description="What it adds to the log odds of an exchange, or takes away")


class ExplainedTie(Tie):
    """A tie with its rank and its reasons, if these were asked for."""

    rank: int | None = Field(
        description="Among the person's scored ties; null unless asked for, and where the two are"
        " neither friends nor ever exchanged anything"
    )
    reasons: list[TieReason] | None = Field(description="Up to three; null unless asked for")


class _Scored(Answer):
    model: Model
    as_of: str = Field(description="The instant the figures hold for, RFC 3339")


class Ties(_Scored):
    """Scored pairs."""

    ties: list[Tie]


class RankedTies(_Scored):
    """A person's ties."""

    ties: list[RankedTie]


class OneTie(_Scored):
    """The tie of a pair."""

    tie: ExplainedTie


def written_ties(answer: TieAnswer) -> bytes:
    """Return `Ties` as JSON; for many, a model for each would take as long as scoring them."""
    return _written(answer, ties=[_told(pair) for pair in answer.pairs])


def written_ranked(answer: TieAnswer) -> bytes:
    """Return `RankedTies` as JSON."""
    return _written(answer, ties=[{**_told(pair), "rank": pair.rank} for pair in answer.pairs])


def written_tie(answer: TieAnswer) -> bytes:
    """Return the only pair's `OneTie` as JSON."""
    [pair] = answer.pairs
    return _written(answer, tie={**_told(pair), "rank": pair.rank, "reasons": pair.reasons})


def _written(answer: TieAnswer, **told: object) -> bytes:
    return orjson.dumps({**told, "model": answer.model, "as_of": format_time(answer.at)})


def _told(pair: PairTie) -> dict[str, object]:
    score = pair.score
    return {
        "sender": pair.sender,
        "recipient": pair.recipient,
        "strength": score.strength if score else None,
        "p_exchange": score.p_exchange if score else None,
        "tie_class": score.tie_class if score else None,
        "asymmetry": score.asymmetry if score else None,
        "observations": score.observations if score else None,
    }
