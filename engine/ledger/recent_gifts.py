"""The SQL of what went to and fro before: sums over recorded gifts, counters and friendships.

Each text is a part of the one statement that reads situations (`engine.ledger.facts`), which has
the asked-for pairs as `p(k, sender, recipient, sender_day, sender_month, …)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.domain.clock import DAY, HOUR
from engine.domain.gift_life import ACCEPT_WITHIN
from engine.domain.gifts import UNSENT, GiftState
from engine.domain.situations import DayCount, RecentGifts

_UNSENT = ", ".join(sorted(f"'{state.value}'" for state in UNSENT))
_UNANSWERED = ", ".join(
    f"'{state.value}'" for state in (GiftState.SENT, GiftState.DECLINED, GiftState.EXPIRED)
)


def _sums(values: Sequence[str], given: str) -> str:
    """Return the SQL of sums over the gifts `given`, as one text `1,2,3` or null.

    A subquery has one value in both databases, and a scan for each of the sums would cost as much
    again; joined and grouped instead, SQLite may plan a pass over all gifts.
    """
    told = " || ',' || ".join(values)
    return f"\n  (SELECT {told} FROM gifts g WHERE {given})"


def _given(giver: str, taker: str) -> str:
    return f"""g.sender = {giver} AND g.recipient = {taker} AND g.state NOT IN ({_UNSENT})
    AND g.occurred_at > :year_ago AND g.occurred_at <= :at_now"""


_GIFTS_AND_FEN = ("COUNT(*)", "SUM(g.price_fen)")
# Imported gifts may have no price; they say nothing of what the two usually give.
_PRICED_AND_FEN = ("SUM(CASE WHEN g.price_fen > 0 THEN 1 ELSE 0 END)", "SUM(g.price_fen)")
# What expired is told by time and not by state: a declined gift looks to its sender like one that
# nobody answered, and one that was answered after :at_now was unanswered then.
_EXPIRED = f"""SUM(CASE WHEN g.occurred_at > :month_ago AND g.occurred_at <= :expired_by
    AND (g.state IN ({_UNANSWERED}) OR g.outcome_at > :at_now) THEN 1 ELSE 0 END)"""
_LAST_DAY = "SUM(CASE WHEN g.occurred_at > :day_ago THEN g.price_fen ELSE 0 END)"


def friends_since(person: str, friend: str) -> str:
    """Return the SQL of since when `person` has had `friend` without a gap; null if not now.

    A friendship that is told again continues in a new row. So a row reaches back from now if at
    every end since it began another row goes on.
    """
    return f"""
  (SELECT MIN(f.since) FROM friendships f
   WHERE f.person = {person} AND f.friend = {friend} AND f.since <= :at_now
     AND (f.until IS NULL OR f.until > f.since)
     AND NOT EXISTS (SELECT 1 FROM friendships e
       WHERE e.person = f.person AND e.friend = f.friend
         AND e.until > f.since AND e.until <= :at_now
         AND NOT EXISTS (SELECT 1 FROM friendships n
           WHERE n.person = e.person AND n.friend = e.friend
             AND n.since <= e.until AND (n.until IS NULL OR n.until > e.until))))"""


# A sender's own gifts count while they are held, as they do in the counters; between two people
# only what the other one has heard of counts. What limits rest on ends with no instant: a gift
# that came first may be of a later one, where clocks differ or one was set back.
_HOUR = _sums(
    _GIFTS_AND_FEN,
    "g.sender = p.sender AND g.state <> 'cancelled' AND g.occurred_at > :hour_ago",
)
_THERE = _sums((*_PRICED_AND_FEN, _EXPIRED), _given("p.sender", "p.recipient"))
_BACK = _sums((*_PRICED_AND_FEN, _LAST_DAY), _given("p.recipient", "p.sender"))
_MONTH = """
  (SELECT SUM(m.fen) FROM counters m WHERE m.scope = 'sender' AND m.subject = p.sender
    AND m.day >= p.sender_month AND m.day < p.next_month)"""

RECENT_COLUMNS = ", ".join(
    (
        _HOUR,
        _MONTH,
        _THERE,
        _BACK,
        friends_since("p.sender", "p.recipient"),
        friends_since("p.recipient", "p.sender"),
    )
)
"""What `recent_gifts` reads, in its order."""

RECENT_WIDTH = 6
"""How many columns those are."""


def recent_times(at: int) -> dict[str, int]:
    """Return the instants (microseconds) that the SQL asks for beside `at_now`."""
    return {
        "hour_ago": at - HOUR,
        "day_ago": at - DAY,
        "month_ago": at - 30 * DAY,
        "year_ago": at - 365 * DAY,
        "expired_by": at - ACCEPT_WITHIN,
    }


def recent_gifts(row: Sequence[Any]) -> RecentGifts:
    """Return what a row of `RECENT_COLUMNS` says."""
    hour, month, there, back, friends, friends_back = row
    hour_gifts, hour_fen = _numbers(hour, 2)
    there_gifts, there_fen, unanswered = _numbers(there, 3)
    back_gifts, back_fen, back_day_fen = _numbers(back, 3)
    return RecentGifts(
        sender_hour=DayCount(hour_gifts, hour_fen),
        sender_month_fen=int(month or 0),
        pair_year=DayCount(there_gifts + back_gifts, there_fen + back_fen),
        back_fen_24h=back_day_fen,
        unanswered_30d=unanswered,
        friends_since=None if None in (friends, friends_back) else max(friends, friends_back),
    )


def _numbers(told: str | None, count: int) -> list[int]:
    """Return the sums in a text of `_sums`; null, because there is no gift, is zeros."""
    return [0] * count if told is None else [int(number) for number in told.split(",")]
