"""The facts and outputs of `gift_settle`: who gets which share of a gift's price, and when."""

from __future__ import annotations

from engine.domain.gifts import Relation, Tier
from engine.domain.money import WHOLE_PPM, PayOn
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType, Output

_BOOL, _INT, _TEXT = FactType.BOOL, FactType.INT, FactType.TEXT
_ITEM = "the item's catalogue entry"

GIFT_SETTLE = FactCatalogue(
    "gift_settle",
    [
        FactEntry(
            "gift.relation",
            _TEXT,
            "the request",
            "In what capacity the gift is sent.",
            values=tuple(relation.value for relation in Relation),
        ),
        FactEntry(
            "gift.tier",
            _TEXT,
            _ITEM,
            "The item's price family.",
            values=tuple(tier.value for tier in Tier),
        ),
        FactEntry(
            "gift.kind", _TEXT, _ITEM, "What sort of thing it is, such as voucher or co_branded."
        ),
        FactEntry("gift.price_fen", _INT, _ITEM, "The item's original price.", "fen", least=0),
        FactEntry("gift.has_brand", _BOOL, _ITEM, "Whether a brand supplies it."),
        FactEntry("gift.has_creator", _BOOL, _ITEM, "Whether it is a creator's own gift."),
        FactEntry(
            "gift.has_ip_owner", _BOOL, _ITEM, "Whether somebody owns a name or picture on it."
        ),
    ],
    [
        Output(
            "settle.platform_ppm",
            FactType.INT,
            "The platform's share of the price.",
            "ppm",
            0,
            WHOLE_PPM,
        ),
        Output("settle.creator_ppm", FactType.INT, "The creator's share.", "ppm", 0, WHOLE_PPM),
        Output(
            "settle.ip_owner_ppm",
            FactType.INT,
            "The share of whoever owns the name or picture of a co-branded edition.",
            "ppm",
            0,
            WHOLE_PPM,
        ),
        Output(
            "settle.pay_on",
            FactType.TEXT,
            "When the others are paid; what is left of the price is the supplier's.",
            values=tuple(when.value for when in PayOn),
        ),
        Output(
            "settle.tax_ppm",
            FactType.INT,
            "What the payer withholds for the recipient's tax, beside the price.",
            "ppm",
            0,
            WHOLE_PPM,
        ),
        Output(
            "settle.voucher_days",
            FactType.INT,
            "How long a voucher can be redeemed after its acceptance; 0, or unset: for ever.",
            "days",
            0,
            36_500,
        ),
    ],
)
"""What rules about splitting a gift's price may read and set."""
