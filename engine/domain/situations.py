"""What the ledger knows about a gift that is asked for, and the facts that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from engine.domain.clock import DAY, DEFAULT_ZONE, local_date
from engine.domain.gifts import GiftRequest, Item
from engine.domain.occasions import festival_near
from engine.domain.people import age_in_years
from engine.domain.ports import TieClass
from engine.domain.verdicts import GREATEST_NUMBER, LONGEST_TEXT, FactValue

FESTIVAL_WINDOW_DAYS = 3
"""Broadcast gifts may go out from this many days before a festival until its end."""

ITEM_FACTS = frozenset(
    {
        "gift.mechanics",
        "gift.tier",
        "gift.category",
        "gift.kind",
        "gift.odds_disclosed",
        "gift.price_fen",
        "gift.relation_allowed",
        "gift.scene_allowed",
        "gift.on_sale",
        "gift.in_stock",
        "gift.to_creator",
        "pair.fen_vs_habit_ppm",
    }
)
"""The facts about the item. Another one would change the amounts it adds to (`…_fen_after`) too,
but what is left of a day or a month is a matter of the people."""


@dataclass(frozen=True, slots=True)
class DayCount:
    """What was sent in one local day so far."""

    gifts: int = 0
    fen: int = 0


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """What is recorded of one side."""

    birth_date: date | None = None
    zone: str = DEFAULT_ZONE
    day_gifts_limit: int | None = None
    day_fen_limit: int | None = None
    gift_fen_limit: int | None = None
    region: str | None = None
    """Whose law on minors applies, such as `CN` or `HK`; None where nobody knows."""
    joined_at: int | None = None
    guardian_consent: bool = False


@dataclass(frozen=True, slots=True)
class RecentGifts:
    """What went to and fro before, cancelled gifts not counted."""

    sender_hour: DayCount = DayCount()
    """By the sender in the last 60 minutes, and since."""
    sender_month_fen: int = 0
    """By the sender in their local month, to its last day."""
    pair_year: DayCount = DayCount()
    """Between the two, both ways, in the last 365 days; gifts without a price are left out."""
    back_fen_24h: int = 0
    """From the recipient to the sender in the last 24 hours."""
    unanswered_30d: int = 0
    """From the sender to the recipient: sent in the last 30 days and expired, as the sender may
    see it (a declined gift counts once its 24 hours are over)."""
    friends_since: int | None = None
    """When the friendship became one in both directions; None without one."""


@dataclass(frozen=True, slots=True)
class GiftSituation:
    """The recorded circumstances of one asked-for gift, as of one instant."""

    item: Item
    sender: PersonFacts
    recipient: PersonFacts
    two_way_friends: bool
    blocked: bool
    """Whether either side blocks the other."""
    sender_day: DayCount
    pair_day: DayCount
    recipient_day: DayCount
    recent: RecentGifts = RecentGifts()


def gift_facts(
    request: GiftRequest, situation: GiftSituation, tie_class: TieClass | None, at: int
) -> dict[str, FactValue | None]:
    """Return the facts of decision `gift_send`; None marks what nobody knows."""
    item, sender, recipient = situation.item, situation.sender, situation.recipient
    recent = situation.recent
    today = local_date(at, sender.zone)
    return {
        "gift.relation": request.relation._value_,
        "gift.scene": request.scene._value_,
        "gift.mechanics": item.mechanics._value_,
        "gift.tier": item.tier._value_,
        "gift.category": plain(item.category),
        "gift.price_fen": item.price_fen,
        "gift.relation_allowed": request.relation._value_ in item.relations,
        "gift.scene_allowed": request.scene._value_ in item.scenes,
        "gift.on_sale": is_on_sale(item, at),
        "gift.in_stock": item.stock is None or item.stock > 0,
        "gift.to_creator": item.creator is not None and request.recipient == item.creator,
        "gift.kind": plain(item.kind),
        "gift.moderation": request.moderation.value if request.moderation else None,
        "gift.odds_disclosed": item.odds_disclosed,
        "gift.to_self": request.sender == request.recipient,
        "pair.two_way_friends": situation.two_way_friends,
        "pair.blocked": situation.blocked,
        "pair.friends_days": whole_days(recent.friends_since, at) or 0,
        "pair.fen_vs_habit_ppm": fen_vs_habit_ppm(item.price_fen, recent.pair_year),
        "pair.back_fen_24h": min(recent.back_fen_24h, GREATEST_NUMBER),
        "pair.unanswered_30d": recent.unanswered_30d,
        "pair.tie_class": tie_class.value if tie_class else None,
        **_day_after("pair", situation.pair_day, item.price_fen),
        **_day_after("sender", situation.sender_day, item.price_fen),
        **_day_after("recipient", situation.recipient_day, item.price_fen),
        "sender.hour_gifts_after": one_more(recent.sender_hour, item.price_fen).gifts,
        "sender.hour_fen_after": one_more(recent.sender_hour, item.price_fen).fen,
        "sender.month_fen_after": min(recent.sender_month_fen + item.price_fen, GREATEST_NUMBER),
        "sender.account_days": whole_days(sender.joined_at, at),
        "sender.region": sender.region,
        "sender.guardian_consent": sender.guardian_consent,
        "sender.gift_fen_limit": sender.gift_fen_limit,
        "sender.day_gifts_limit": sender.day_gifts_limit,
        "sender.day_fen_limit": sender.day_fen_limit,
        "sender.age_years": _age(sender, at),
        "recipient.age_years": _age(recipient, at),
        "recipient.guardian_consent": recipient.guardian_consent,
        "time.festival_window": festival_near(today, FESTIVAL_WINDOW_DAYS) is not None,
    }


def fen_vs_habit_ppm(price_fen: int, year: DayCount) -> int | None:
    """Return a price as parts per million of what gifts between the two cost on average.

    None where they gave each other nothing, or nothing of a price, within the year.
    """
    if year.fen <= 0:
        return None
    return min(price_fen * year.gifts * 1_000_000 // year.fen, GREATEST_NUMBER - 1)


def plain(name: str) -> str:
    """Return a catalogue's own word as rules compare it: whatever its case and outer spaces.

    Folding may lengthen a word; no rule compares with one that is longer than a fact may be.
    """
    return name.strip().casefold()[:LONGEST_TEXT]


def whole_days(since: int | None, at: int) -> int | None:
    """Return the completed days between two instants (microseconds), 0 if they are reversed."""
    return None if since is None else max(0, at - since) // DAY


def is_on_sale(item: Item, at: int) -> bool:
    """Tell whether `at` lies within the item's sale window (its end excluded)."""
    begun = item.sale_from is None or item.sale_from <= at
    return begun and (item.sale_until is None or at < item.sale_until)


def one_more(so_far: DayCount, price_fen: int) -> DayCount:
    """Return what will have been sent once a gift of this price is."""
    return DayCount(so_far.gifts + 1, min(so_far.fen + price_fen, GREATEST_NUMBER))


def _day_after(side: str, so_far: DayCount, price_fen: int) -> dict[str, int]:
    after = one_more(so_far, price_fen)
    return {f"{side}.day_gifts_after": after.gifts, f"{side}.day_fen_after": after.fen}


def _age(person: PersonFacts, at: int) -> int | None:
    if person.birth_date is None:
        return None
    return age_in_years(person.birth_date, local_date(at, person.zone))
