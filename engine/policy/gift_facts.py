"""The facts of `gift_send`: may this gift be sent by this person to that one, now?"""

from __future__ import annotations

from engine.domain.gifts import Mechanics, Moderation, Relation, Scene, Tier
from engine.domain.ports import TieClass
from engine.policy.catalogue import FactCatalogue
from engine.policy.entries import FactEntry, FactType

_BOOL, _INT, _TEXT = FactType.BOOL, FactType.INT, FactType.TEXT
_REQUEST, _ITEM, _GRAPH = "the request", "the item's catalogue entry", "friendships and blocks"
_HISTORY, _CONSENTS = "the gifts of before", "the person's consents"
_COUNTERS, _PERSON, _LIMITS = "the day's counters", "the person's record", "the person's own limits"

NO_OWN_LIMIT = 2**53 - 1
"""Stands for a limit that nobody set: no count or amount can pass it."""

_FACTS = "engine.domain.situations"


def _one_more(name: str, supplier: str, description: str, unit: str, least: int) -> FactEntry:
    """Return a count or an amount with this gift included."""
    derived_by = f"{_FACTS}.one_more"
    return FactEntry(name, _INT, supplier, description, unit, derived_by=derived_by, least=least)


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
        FactEntry(
            "gift.kind", _TEXT, _ITEM, "What sort of thing it is, such as voucher, photo or cake."
        ),
        FactEntry(
            "gift.moderation",
            _TEXT,
            _REQUEST,
            "What became of looking at the sender's own picture; unseen counts as pending.",
            when_unknown=Moderation.PENDING.value,
            values=tuple(state.value for state in Moderation),
        ),
        FactEntry(
            "gift.odds_disclosed",
            _BOOL,
            _ITEM,
            "Whether a blind box tells value, rules and odds before buying.",
        ),
        FactEntry("gift.price_fen", _INT, _ITEM, "The item's original price.", "fen", least=0),
        FactEntry(
            "gift.relation_allowed", _BOOL, _ITEM, "Whether the item may be sent in this relation."
        ),
        FactEntry(
            "gift.scene_allowed", _BOOL, _ITEM, "Whether the item may be sent from this scene."
        ),
        FactEntry(
            "gift.on_sale",
            _BOOL,
            _ITEM,
            "Whether the sale window is open.",
            derived_by=f"{_FACTS}.is_on_sale",
        ),
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
            "pair.friends_days",
            _INT,
            _GRAPH,
            "Completed days since the friendship became one in both directions; 0 without one.",
            "days",
            derived_by=f"{_FACTS}.whole_days",
            least=0,
        ),
        # Nobody's habit is passed by (nearly) everything: a rule that means known habits asks
        # `…_known`.
        FactEntry(
            "pair.fen_vs_habit_ppm",
            _INT,
            _HISTORY,
            "The price beside the mean price of gifts between the two in the last 365 days.",
            "ppm",
            when_unknown=2**53 - 1,
            derived_by=f"{_FACTS}.fen_vs_habit_ppm",
            least=0,
        ),
        FactEntry(
            "pair.back_fen_24h",
            _INT,
            _HISTORY,
            "What the recipient sent the sender in the last 24 hours.",
            "fen",
            least=0,
        ),
        FactEntry(
            "pair.unanswered_30d",
            _INT,
            _HISTORY,
            "Gifts from sender to recipient in the last 30 days that expired.",
            "gifts",
            least=0,
        ),
        FactEntry(
            "pair.tie_class",
            _TEXT,
            "the tie model, sender to recipient",
            "How close the two are; a pair nobody scored counts as dormant.",
            when_unknown=TieClass.DORMANT.value,
            values=tuple(tie.value for tie in TieClass),
        ),
        _one_more(
            "pair.day_gifts_after",
            _COUNTERS,
            "Gifts from sender to recipient in the sender's local day, this one included.",
            "gifts",
            1,
        ),
        _one_more("pair.day_fen_after", _COUNTERS, "Their amount, this gift included.", "fen", 0),
        _one_more(
            "sender.day_gifts_after",
            _COUNTERS,
            "Gifts by the sender in the sender's local day, this one included.",
            "gifts",
            1,
        ),
        _one_more("sender.day_fen_after", _COUNTERS, "Their amount, this gift included.", "fen", 0),
        _one_more(
            "sender.hour_gifts_after",
            _HISTORY,
            "Gifts by the sender in the last 60 minutes, this one included.",
            "gifts",
            1,
        ),
        _one_more("sender.hour_fen_after", _HISTORY, "Their amount, this gift included.", "fen", 0),
        _one_more(
            "sender.month_fen_after",
            _COUNTERS,
            "What the sender sent in their local month, this gift included.",
            "fen",
            0,
        ),
        FactEntry(
            "sender.account_days",
            _INT,
            _PERSON,
            "Completed days since the sender joined.",
            "days",
            0,
            derived_by=f"{_FACTS}.whole_days",
            least=0,
        ),
        # The strictest law that is written down stands where nobody knows whose law applies.
        FactEntry(
            "sender.region", _TEXT, _PERSON, "Whose law on minors applies: a region code.", "", "CN"
        ),
        FactEntry(
            "sender.guardian_consent",
            _BOOL,
            _CONSENTS,
            "Whether a guardian consents to the sender's gifts.",
        ),
        # Not a gap in our knowledge but the absence of a wish: the platform's caps still hold.
        FactEntry(
            "sender.day_gifts_limit",
            _INT,
            _LIMITS,
            "How many gifts a day the sender allows themselves.",
            "gifts",
            when_unknown=NO_OWN_LIMIT,
            least=0,
        ),
        FactEntry(
            "sender.day_fen_limit",
            _INT,
            _LIMITS,
            "How much a day the sender allows themselves.",
            "fen",
            when_unknown=NO_OWN_LIMIT,
            least=0,
        ),
        FactEntry(
            "sender.gift_fen_limit",
            _INT,
            _LIMITS,
            "How much one gift may cost, as the sender decided.",
            "fen",
            when_unknown=NO_OWN_LIMIT,
            least=0,
        ),
        # 0 makes an age rule that does not ask `…_known` treat the unknown as the youngest.
        FactEntry(
            "sender.age_years",
            _INT,
            _PERSON,
            "The sender's completed years.",
            "years",
            0,
            derived_by="engine.domain.people.age_in_years",
            least=0,
        ),
        FactEntry(
            "recipient.age_years",
            _INT,
            _PERSON,
            "The recipient's completed years.",
            "years",
            0,
            derived_by="engine.domain.people.age_in_years",
            least=0,
        ),
        FactEntry(
            "recipient.guardian_consent",
            _BOOL,
            _CONSENTS,
            "Whether a guardian consents to what the recipient is given.",
        ),
        _one_more(
            "recipient.day_gifts_after",
            _COUNTERS,
            "Gifts to the recipient in their local day, this one included; those of fans "
            "are not counted.",
            "gifts",
            1,
        ),
        _one_more(
            "recipient.day_fen_after", _COUNTERS, "Their amount, this gift included.", "fen", 0
        ),
        FactEntry(
            "time.festival_window",
            _BOOL,
            "the calendar of occasions",
            "Whether a festival is near.",
            derived_by="engine.domain.occasions.festival_near",
        ),
    ],
)
"""What rules about sending a gift may read."""
