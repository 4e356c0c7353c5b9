"""The routes of a sent gift's life: accepted, declined, swapped, redeemed, refunded."""

from __future__ import annotations

from flask_openapi3.models.tag import Tag

from api.auth import requires
from api.openapi import Resource
from api.retrying import key_of
from api.schemas.gift_moves import (
    AcceptBody,
    AnswerBody,
    MoveHeader,
    RedeemBody,
    SwapBody,
    VoucherCode,
)
from api.schemas.gift_views import GiftView, for_recipient, for_redeemer, for_sender
from api.schemas.gifts import GiftPath
from api.wiring import services
from engine.ledger.keys import Scope

# Below, the converter is named because the document's writer misreads `<gift>:accept`; and a
# gift is shown as of its sending, so that a retry after its 24 hours shows the same.
api = Resource("gift_moves", __name__, url_prefix="/v1/gifts", abp_tags=[Tag(name="Gifts")])


@api.post("/<string:gift>:accept", responses={200: GiftView})
@requires(Scope.GIFTS_ANSWER)
def accept(path: GiftPath, header: MoveHeader, body: AcceptBody) -> GiftView:
    """Accept a gift within 24 hours, for its recipient."""
    key, found = key_of(header, body), services()
    at, person = found.clock(), body.person
    gift = found.moving.accept(path.gift, person, body.address, key, at, found.clock)
    return for_recipient(gift, gift.occurred_at)


@api.post("/<string:gift>:decline", responses={200: GiftView})
@requires(Scope.GIFTS_ANSWER)
def decline(path: GiftPath, header: MoveHeader, body: AnswerBody) -> GiftView:
    """Decline a gift within 24 hours, for its recipient.

    To its sender it looks like one that nobody answers.
    """
    key, found = key_of(header, body), services()
    gift = found.moving.decline(path.gift, body.person, key, found.clock(), found.clock)
    return for_recipient(gift, gift.occurred_at)


@api.post("/<string:gift>:swap", responses={200: GiftView})
@requires(Scope.GIFTS_ANSWER)
def swap(path: GiftPath, header: MoveHeader, body: SwapBody) -> GiftView:
    """Take another item of the same price instead, for the recipient, before accepting.

    409 says that the other item has another price (`PRICE_DIFFERS`) or may not be sent
    (`SWAP_REFUSED`); the gift is then as it was.
    """
    key, found = key_of(header, body), services()
    at, person = found.clock(), body.person
    gift = found.swapping.swap(path.gift, person, body.item, key, at, found.clock)
    return for_recipient(gift, gift.occurred_at)


@api.post("/<string:gift>:voucher", responses={200: VoucherCode})
@requires(Scope.GIFTS_ANSWER)
def voucher(path: GiftPath, body: AnswerBody) -> VoucherCode:
    """Show a new code of an accepted voucher to its recipient; it voids those of before."""
    found = services()
    code = found.moving.issue_voucher(path.gift, body.person, found.clock(), found.clock)
    return VoucherCode(gift=path.gift, code=code)


@api.post("/<string:gift>:redeem", responses={200: GiftView})
@requires(Scope.GIFTS_REDEEM)
def redeem(path: GiftPath, header: MoveHeader, body: RedeemBody) -> GiftView:
    """Hand an accepted gift over, once; a voucher for its code.

    A wrong, void or missing code is 409 (`CODE_REFUSED`), whichever it is.
    """
    key, found = key_of(header, body), services()
    gift = found.moving.redeem(path.gift, body.code, key, found.clock(), found.clock)
    return for_redeemer(gift, gift.occurred_at)


@api.post("/<string:gift>:refund", responses={200: GiftView})
@requires(Scope.GIFTS_REFUND)
def refund(path: GiftPath, header: MoveHeader) -> GiftView:
    """Take an accepted gift back that was not redeemed; its payer gets everything back."""
    gift = services().moving.refund(path.gift, key_of(header), services().clock())
    return for_sender(gift, gift.occurred_at)
