"""The facts of `gift_send`: may this gift be sent by this person to that one, now?"""

from __future__ import annotations

from engine.domain.gifts import Mechanics, Relation, Scene, Tier
from engine.domain.ports import TieClass
from engine.policy.catalogue import FactCatalogue, FactEntry, FactType

_BOOL, _INT, _TEXT = FactType.BOOL, FactType.INT, FactType.TEXT
_REQUEST, _ITEM, _GRAPH = "the request", "the item's catalogue entry", "friendships and blocks"
_COUNTERS, _PERSON, _LIMITS = "the day's counters", "the person's record", "the person's own limits"

NO_OWN_LIMIT = 2**53 - 1
"""Stands for a limit that nobody set: no count or amount can pass it."""

GIFT_SEND = FactCatalogue(
    "gift_send",
    [
        FactEntry(
            "gift.relation",
            _TEXT,
            _REQUEST,
            "In what capacity the gift is sent.",
            values=tuple(relation.value for relation in Relation),
        ),
        FactEntry(
            "gift.scene",
            _TEXT,
            _REQUEST,
            "Where in the product the gift is sent from.",
            values=tuple(scene.value for scene in Scene),
        ),
        FactEntry(
            "gift.mechanics",
            _TEXT,
            _ITEM,
            "How recipient and value come about.",
            values=tuple(mechanics.value for mechanics in Mechanics),
        ),
        FactEntry(
            "gift.tier",
            _TEXT,
            _ITEM,
            "The item's price family.",
            values=tuple(tier.value for tier in Tier),
        ),
        FactEntry("gift.category", _TEXT, _ITEM, "The item's category."),
        FactEntry("gift.price_fen", _INT, _ITEM, "The item's original price.", "fen"),
        FactEntry(
            "gift.relation_allowed", _BOOL, _ITEM, "Whether the item may be sent in this relation."
        ),
        FactEntry(
            "gift.scene_allowed", _BOOL, _ITEM, "Whether the item may be sent from this scene."
        ),
        FactEntry("gift.on_sale", _BOOL, _ITEM, "Whether the sale window is open."),
        FactEntry("gift.in_stock", _BOOL, _ITEM, "Whether one more can be sold."),
        FactEntry(
            "gift.to_creator", _BOOL, _ITEM, "Whether the recipient is the item's own creator."
        ),
        FactEntry("gift.to_self", _BOOL, _REQUEST, "Whether sender and recipient are one person."),
        FactEntry(
            "pair.two_way_friends",
            _BOOL,
            _GRAPH,
            "Whether the friendship holds in both directions.",
        ),
        FactEntry("pair.blocked", _BOOL, _GRAPH, "Whether either of the two blocks the other."),
        FactEntry(
            "pair.tie_class",
            _TEXT,
            "the tie model, sender to recipient",
            "How close the two are; a pair nobody scored counts as dormant.",
            when_unknown=TieClass.DORMANT.value,
            values=tuple(tie.value for tie in TieClass),
        ),
        FactEntry(
            "pair.day_gifts_after",
            _INT,
            _COUNTERS,
            "Gifts from sender to recipient in the sender's local day, this one included.",
            "gifts",
        ),
        FactEntry(
            "pair.day_fen_after",
            _INT,
            _COUNTERS,
            "Their amount, this gift included.",
            "fen",
        ),
        FactEntry(
            "sender.day_gifts_after",
            _INT,
            _COUNTERS,
            "Gifts by the sender in the sender's local day, this one included.",
            "gifts",
        ),
        FactEntry(
            "sender.day_fen_after", _INT, _COUNTERS, "Their amount, this gift included.", "fen"
        ),
        # Not a gap in our knowledge but the absence of a wish: the platform's caps still hold.
        FactEntry(
            "sender.day_gifts_limit",
            _INT,
            _LIMITS,
            "How many gifts a day the sender allows themselves.",
            "gifts",
            when_unknown=NO_OWN_LIMIT,
        ),
        FactEntry(
            "sender.day_fen_limit",
            _INT,
            _LIMITS,
            "How much a day the sender allows themselves.",
            "fen",
            when_unknown=NO_OWN_LIMIT,
        ),
        # 0 makes an age rule that does not ask `…_known` treat the unknown as the youngest.
        FactEntry("sender.age_years", _INT, _PERSON, "The sender's completed years.", "years", 0),
        FactEntry(
            "recipient.age_years", _INT, _PERSON, "The recipient's completed years.", "years", 0
        ),
        FactEntry(
            "recipient.day_gifts_after",
            _INT,
            _COUNTERS,
            "Gifts to the recipient in the recipient's local day, this one included.",
            "gifts",
        ),
        FactEntry(
            "recipient.day_fen_after", _INT, _COUNTERS, "Their amount, this gift included.", "fen"
        ),
        FactEntry(
            "time.festival_window",
            _BOOL,
            "the calendar of occasions",
            "Whether a festival is near.",
        ),
    ],
)
"""What rules about sending a gift may read."""
