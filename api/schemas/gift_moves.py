"""Bodies and answers of the moves of a gift."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.base import Answer, Body, Id, Parameters

_PRINTABLE_LINES = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]+$"

Address = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=_PRINTABLE_LINES)]
"""Where to deliver, in one or several lines."""


class MoveHeader(Parameters):
    """The caller's key for this move, if a retry must be the same answer; scoped to the bearer."""

    idempotency_key: Id | None = Field(None, alias="Idempotency-Key")


class AnswerBody(Body):
    """Who answers a gift."""

    person: Id = Field(description="The recipient; anybody else's gift is not found")


class AcceptBody(AnswerBody):
    """Who accepts, and where it is wanted."""

    address: Address | None = Field(None, description="For the recipient's eyes only")


class SwapBody(AnswerBody):
    """Who swaps, and for what."""

    item: Id = Field(description="The sku of an item of the same price", examples=["tea-01"])


class RedeemBody(Body):
    """What opens the gift."""

    code: Id | None = Field(None, description="The voucher's; null for what is no voucher")


class VoucherCode(Answer):
    """A voucher's code."""

    gift: str
    code: str = Field(
        description="Shown this once; asking again gives another and voids this",
        examples=["7QK2M-9D4TX-0HVWB-3N8RC"],
    )
