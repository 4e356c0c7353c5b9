"""Bodies and answers of the offer route."""

from __future__ import annotations

from pydantic import Field, model_validator

from api.schemas.base import Answer, Body, Id
from api.schemas.reasons import Language, Model, Reason

MOST_SCORES = 5_000
"""How many people × offers one request may ask for."""


class OfferScoresBody(Body):
    """Which people and which offers."""

    people: list[Id] = Field(min_length=1, max_length=1_000)
    offers: list[Id] = Field(min_length=1, max_length=100)
    language: Language = "en"

    @model_validator(mode="after")
    def _fits(self) -> OfferScoresBody:
        if len(self.people) * len(self.offers) > MOST_SCORES:
            raise ValueError(f"people × offers should be at most {MOST_SCORES}")
        for name, given in (("people", self.people), ("offers", self.offers)):
            if len(set(given)) != len(given):
                raise ValueError(f"{name} should name each one once")
        return self


class ScoredOffer(Answer):
    """One person and one offer."""

    person: str
    offer: str
    eligible: bool
    p_redeem: float | None = Field(description="Calibrated probability; null without consent")
    expected_value_fen: int | None = Field(description="Probability × what the brand pays")
    reasons: list[Reason]


class OfferScores(Answer):
    """Every asked person with every asked offer."""

    scores: list[ScoredOffer]
    model: Model | None
