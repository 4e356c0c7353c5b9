"""Bodies and answers of the tie routes."""

from __future__ import annotations

from pydantic import Field

from api.schemas.base import Answer, Body, Id, Parameters
from api.schemas.reasons import Model
from engine.domain.ports import TieClass, TieScore


class Pair(Body):
    """A directed pair."""

    sender: Id
    recipient: Id


class PairsBody(Body):
    """The pairs to score."""

    pairs: list[Pair] = Field(min_length=1, max_length=1_000)


class Tie(Answer):
    """A pair's tie; the three figures are null where a side may not or will not be scored."""

    sender: str
    recipient: str
    strength: float | None = Field(description="Intensity in 0…1, comparable across people")
    p_exchange: float | None = Field(description="Calibrated probability of an exchange")
    tie_class: TieClass | None

    @classmethod
    def of(cls, sender: str, recipient: str, score: TieScore | None) -> Tie:
        """Return the answer for one pair."""
        return cls(
            sender=sender,
            recipient=recipient,
            strength=score.strength if score else None,
            p_exchange=score.p_exchange if score else None,
            tie_class=score.tie_class if score else None,
        )


class Ties(Answer):
    """Scored pairs."""

    ties: list[Tie]
    model: Model


class PersonPath(Parameters):
    """Whose ties."""

    person: Id


class TiesQuery(Parameters):
    """How many ties."""

    limit: int = Field(50, ge=1, le=1_000)
