"""The base classes of request bodies, parameters and answers, and the types their fields share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from engine.domain.clock import to_micros
from engine.domain.occasions import OCCASIONS

_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)


def _in_range(moment: datetime) -> datetime:
    if not _FIRST <= moment < _LAST:
        raise ValueError("Input should be from 1970 to 2199")
    return moment


def _known_occasion(name: str) -> str:
    if name not in OCCASIONS:
        raise ValueError(f"Input should be one of {', '.join(OCCASIONS)}")
    return name


Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_PRINTABLE)]
"""A caller's own id: 1 to 128 characters, none of them a control character."""

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=_PRINTABLE)]
"""A name or a label."""

Fen = Annotated[int, Field(ge=0, le=2**53)]
"""An amount of money in whole fen."""

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A whole number of things."""

Instant = Annotated[AwareDatetime, AfterValidator(_in_range)]
"""An RFC 3339 time with its offset, from 1970 to 2199; `micros` turns it into our clock's unit."""


Occasion = Annotated[
    str, AfterValidator(_known_occasion), Field(json_schema_extra={"enum": [*OCCASIONS]})
]
"""What a gift is for."""


class Body(BaseModel):
    """A request body: no coercion, no unknown field, no NaN, never changed."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    bulk: ClassVar[str | None] = None
    """A member whose many items are not validated by the model but by what works on them."""


class Parameters(BaseModel):
    """Path or query parameters: text that must read as what the field says."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Answer(BaseModel):
    """What a view answers with."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def micros(moment: datetime) -> int:
    """Return an `Instant` as microseconds since 1970 (UTC)."""
    return to_micros(moment)
