"""What every answer may carry: public reasons and the model that answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from api.schemas.base import Answer
from engine.domain.ports import ModelRef
from engine.policy.engine import PolicyEngine

Language = Literal["en", "zh"]


class Reason(Answer):
    """A reason that anyone may be told."""

    code: str = Field(description="Stable; decide on this", examples=["NOT_TWO_WAY_FRIENDS"])
    text: str
    next_step: str = Field(description="What can be done about it; may be empty")


class Model(Answer):
    """Which model answered."""

    name: str = Field(examples=["ties"])
    version: str = Field(examples=["3"])


def told(policy: PolicyEngine, codes: Iterable[str], language: Language) -> list[Reason]:
    """Return the public wording of reason `codes`."""
    return [
        Reason(code=reason.code, text=reason.text, next_step=reason.next_step)
        for reason in policy.public_reasons(codes, language)
    ]


def model_of(ref: ModelRef | None) -> Model | None:
    """Return the model as an answer names it."""
    return Model(name=ref.name, version=ref.version) if ref else None
