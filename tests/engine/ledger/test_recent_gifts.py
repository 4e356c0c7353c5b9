"""What went to and fro before: every window to its last microsecond, whatever the history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, text

from engine.domain.clock import DAY, HOUR, SECOND, local_date, to_micros
from engine.domain.clock import to_datetime as to_moment
from engine.domain.errors import LedgerUnavailable
from engine.domain.events import ConsentChanged, FriendshipChanged, LimitChanged, PersonChanged
from engine.domain.gifts import GiftRequest, GiftState
from engine.domain.people import Purpose
from engine.domain.situations import DayCount, GiftSituation, RecentGifts, gift_facts
from engine.ledger import caps, tables
from engine.ledger.caps import CounterKeys
from engine.ledger.circumstances import Circumstances
from engine.ledger.facts import pair_subject, read_pair_context, read_situations
from engine.ledger.statements import Statement

YEAR, MONTH = 365 * DAY, 30 * DAY
UNANSWERED = (GiftState.SENT, GiftState.DECLINED, GiftState.EXPIRED)


@dataclass(frozen=True)
class Given:
    """A gift of a history; times in microseconds before now, `answered` after it was given."""

    sender: str
    recipient: str
    ago: int
    state: str = "accepted"
    fen: int = 900
    answered: int | None = None


def _write(world, given: Iterable[Given]) -> None:
    rows = [
        {
            "gift": f"g{n}",
            "sender": g.sender,
            "recipient": g.recipient,
            "item": "coffee",
            "price_fen": g.fen,
            "relation": "friend",
            "scene": "chat",
            "occasion": "none",
            "state": g.state,
            "origin": "live",
            "occurred_at": world.now - g.ago,
            "outcome_at": None if g.answered is None else world.now - g.ago + g.answered,
            "recorded_at": world.now - g.ago,
        }
        for n, g in enumerate(given)
    ]
    with world.database.writing() as unit:
        unit.execute(delete(tables.gifts))
        if rows:
            unit.execute(insert(tables.gifts), rows)


def _situation(world, at=None, sender="an", recipient="bo", item="coffee") -> GiftSituation:
    at = world.now if at is None else at
    with world.database.reading() as unit:
        contexts = read_pair_context(unit, [(sender, recipient)], at)
        [found] = read_situations(unit, [GiftRequest(sender, recipient, item)], contexts, at)
    return found


def _recent(world, *given: Given, at=None) -> RecentGifts:
    _write(world, given)
    return _situation(world, at).recent


def test_hour_counts_gifts_of_less_than_sixty_minutes_ago(world) -> None:
    # A later gift that is there all the same came first: it counts.
    for ago, counted in ((0, 1), (-1, 1), (-DAY, 1), (HOUR - 1, 1), (HOUR, 0), (HOUR + 1, 0)):
        found = _recent(world, Given("an", "cy", ago, fen=700))
        assert found.sender_hour == DayCount(counted, 700 * counted), ago


def test_hour_counts_held_gifts_but_no_cancelled_nor_received_ones(world) -> None:
    for state, counted in (("held", 1), ("cancelled", 0), ("declined", 1)):
        assert _recent(world, Given("an", "cy", 5, state)).sender_hour.gifts == counted, state
    assert _recent(world, Given("bo", "an", 5)).sender_hour == DayCount()


def test_year_counts_both_ways_until_the_365th_day(world) -> None:
    for pair in (("an", "bo"), ("bo", "an")):
        for ago, counted in ((0, 1), (-1, 0), (YEAR - 1, 1), (YEAR, 0)):
            found = _recent(world, Given(*pair, ago, fen=300), Given(pair[0], "cy", 5))
            assert found.pair_year == DayCount(counted, 300 * counted), (pair, ago)


def test_year_and_day_back_count_nothing_that_is_held_or_cancelled(world) -> None:
    found = _recent(world, *[Given("bo", "an", 5, state) for state in ("held", "cancelled")])
    assert (found.pair_year, found.back_fen_24h) == (DayCount(), 0)


def test_day_back_counts_gifts_of_less_than_24_hours_ago(world) -> None:
    for ago, fen in ((0, 300), (-1, 0), (DAY - 1, 300), (DAY, 0)):
        found = _recent(world, Given("bo", "an", ago, fen=300), Given("an", "bo", ago, fen=1))
        assert found.back_fen_24h == fen, ago


def test_unanswered_counts_from_the_expiry_instant_for_thirty_days(world) -> None:
    for state in UNANSWERED:
        for ago, counted in ((DAY - 1, 0), (DAY, 1), (MONTH - 1, 1), (MONTH, 0), (2 * MONTH, 0)):
            found = _recent(world, Given("an", "bo", ago, state, answered=5))
            assert found.unanswered_30d == counted, (state, ago)


def test_unanswered_counts_no_gift_that_was_answered_or_never_sent(world) -> None:
    for state in set(GiftState) - set(UNANSWERED):
        found = _recent(world, Given("an", "bo", 2 * DAY, state, answered=5))
        assert found.unanswered_30d == 0, state
    assert _recent(world, Given("bo", "an", 2 * DAY, "expired")).unanswered_30d == 0


def test_gift_answered_later_was_unanswered_before(world) -> None:
    gift = Given("an", "bo", 3 * DAY, "accepted", answered=2 * DAY)
    before, after = world.now - DAY - 1, world.now - DAY
    assert _recent(world, gift, at=before).unanswered_30d == 1
    assert _recent(world, gift, at=after).unanswered_30d == 0


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    declined=st.lists(st.tuples(st.integers(0, 40 * DAY), st.integers(1, DAY)), max_size=4),
    moments=st.lists(st.integers(0, 41 * DAY), min_size=1, max_size=4),
)
def test_decline_shows_in_no_fact_of_the_sender_at_any_time(world, declined, moments) -> None:
    def told(state: str, answered: bool) -> list[object]:
        given = [Given("an", "bo", ago, state, 100, d if answered else None) for ago, d in declined]
        _write(world, given)
        edges = [ago - edge for ago, _ in declined for edge in (0, HOUR, DAY - 1, DAY, MONTH)]
        return [
            gift_facts(GiftRequest("an", "bo", "coffee"), _situation(world, at), None, at)
            for at in (world.now - ago for ago in (*moments, *edges))
        ]

    silent = told("sent", False)
    assert told("declined", True) == silent
    assert told("expired", False) == silent


def _expected(world, history: Sequence[Given], at: int) -> RecentGifts:
    """The definitions, gift by gift."""
    told = [(g, world.now - g.ago) for g in history if world.now - g.ago <= at]
    since = [g for g in history if world.now - g.ago > at - HOUR]
    hour = [g for g in since if g.sender == "an" and g.state != "cancelled"]
    known = [(g, t) for g, t in told if g.state not in ("held", "cancelled")]
    there = [(g, t) for g, t in known if (g.sender, g.recipient) == ("an", "bo")]
    back = [(g, t) for g, t in known if (g.sender, g.recipient) == ("bo", "an")]
    year = [g for g, t in there + back if t > at - YEAR]
    unanswered = [
        g
        for g, t in there
        if at - MONTH < t <= at - DAY
        and (g.state in UNANSWERED or (g.answered is not None and t + g.answered > at))
    ]
    return RecentGifts(
        sender_hour=DayCount(len(hour), sum(g.fen for g in hour)),
        pair_year=DayCount(sum(g.fen > 0 for g in year), sum(g.fen for g in year)),
        back_fen_24h=sum(g.fen for g, t in back if t > at - DAY),
        unanswered_30d=len(unanswered),
        friends_since=world.now - DAY if at >= world.now - DAY else None,
    )


_AGO = st.sampled_from([0, HOUR, DAY, MONTH, YEAR]).flatmap(
    lambda edge: st.integers(max(0, edge - 3), edge + 3) | st.integers(0, edge + DAY)
)
_PEOPLE = st.sampled_from([("an", "bo"), ("bo", "an"), ("an", "cy"), ("cy", "an"), ("cy", "bo")])
_HISTORY = st.lists(
    st.builds(
        lambda pair, ago, state, fen, answered: Given(*pair, ago, state, fen, answered),
        _PEOPLE,
        _AGO,
        st.sampled_from([state.value for state in GiftState]),
        st.integers(0, 10**9),
        st.none() | st.integers(0, 3 * DAY),
    ),
    max_size=12,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=_HISTORY, earlier=st.lists(st.integers(0, 2 * DAY), max_size=2))
def test_any_history_is_counted_as_gift_by_gift(world, history, earlier) -> None:
    _write(world, history)
    for ago in (0, *earlier):
        at = world.now - ago
        assert _situation(world, at).recent == _expected(world, history, at)


def _count(world, scope: str, subject: str, day: int, fen: int) -> None:
    row = {"scope": scope, "subject": subject, "day": day, "gifts": 1, "fen": fen}
    with world.database.writing() as unit:
        unit.execute(insert(tables.counters), [row])


@pytest.mark.parametrize(
    ("zone", "month_begins"),
    [("Asia/Shanghai", "2026-03-01T00:00+08:00"), ("America/New_York", "2026-03-01T00:00-05:00")],
)
def test_month_begins_at_the_first_midnight_of_the_persons_own_zone(
    world, zone, month_begins
) -> None:
    midnight = to_micros(to_moment(0).fromisoformat(month_begins))
    world.tell(PersonChanged("z", 0, "an", None, zone), at=midnight - 9 * DAY)
    for day, fen in ((date(2026, 1, 31), 1), (date(2026, 2, 1), 10), (date(2026, 2, 28), 100)):
        _count(world, "sender", "an", day.toordinal(), fen)
    _count(world, "sender", "an", date(2026, 3, 1).toordinal(), 1_000)
    _count(world, "sender", "an", date(2026, 3, 2).toordinal(), 10_000)
    _count(world, "sender", "an", date(2027, 3, 1).toordinal(), 100_000)
    _count(world, "sender", "bo", date(2026, 2, 3).toordinal(), 5)
    _count(world, "recipient", "an", date(2026, 2, 3).toordinal(), 5)
    _count(world, "pair", pair_subject("an", "bo"), date(2026, 2, 3).toordinal(), 5)
    assert _situation(world, midnight - 1).recent.sender_month_fen == 110
    for at in (midnight, midnight + DAY, midnight + 31 * DAY - HOUR - 1):
        assert _situation(world, at).recent.sender_month_fen == 11_000
    assert _situation(world, midnight + 31 * DAY).recent.sender_month_fen == 0


def test_friendship_dates_from_when_both_directions_held(world) -> None:
    world.tell(
        FriendshipChanged("1", world.now - 9 * DAY, "an", "cy", True),
        FriendshipChanged("2", world.now - 4 * DAY, "cy", "an", True),
    )
    assert _situation(world, recipient="cy").recent.friends_since == world.now - 4 * DAY
    before = _situation(world, world.now - 4 * DAY - 1, recipient="cy")
    assert (before.recent.friends_since, before.two_way_friends) == (None, False)


def test_friendship_told_again_is_as_old_as_before_and_one_renewed_is_new(world) -> None:
    for n, (days, active) in enumerate([(9, True), (7, False), (6, True), (4, True), (2, True)]):
        world.tell(FriendshipChanged(f"a{n}", world.now - days * DAY, "an", "cy", active))
    world.tell(FriendshipChanged("b", world.now - 9 * DAY, "cy", "an", True))
    assert _situation(world, recipient="cy").recent.friends_since == world.now - 6 * DAY
    early = _situation(world, world.now - 7 * DAY - 1, recipient="cy")
    assert early.recent.friends_since == world.now - 9 * DAY
    assert not _situation(world, world.now - 7 * DAY, recipient="cy").two_way_friends


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(
        st.tuples(st.integers(1, 30), st.booleans()), max_size=7, unique_by=lambda said: said[0]
    ),
    order=st.randoms(use_true_random=False),
    ago=st.integers(0, 31),
)
def test_friendship_in_any_order_dates_from_its_last_beginning(world, told, order, ago) -> None:
    with world.database.writing() as unit:
        for table in (tables.friendships, tables.received_events):
            unit.execute(delete(table))
    since = world.now - 99 * SECOND
    world.tell(FriendshipChanged("back", since, "cy", "an", True))
    shuffled = [*told]
    order.shuffle(shuffled)
    for n, (seconds, active) in enumerate(shuffled):
        at = world.now - seconds * SECOND
        world.tell(FriendshipChanged(f"e{n}", at, "an", "cy", active))
    at, began = world.now - ago * SECOND, None
    for seconds, active in sorted(told, reverse=True):
        if seconds >= ago:
            began = (began or world.now - seconds * SECOND) if active else None
    found = _situation(world, at, recipient="cy")
    assert (found.recent.friends_since, found.two_way_friends) == (began, began is not None)


def test_person_facts_are_all_read_of_their_own_side(world) -> None:
    joined = world.now - 40 * DAY
    world.tell(
        PersonChanged("1", joined, "an", date(2010, 5, 5), "Europe/Berlin", "CN-HK"),
        LimitChanged("2", world.now, "an", 3, 500, 200),
        ConsentChanged("3", world.now - 5, "bo", Purpose.GUARDIAN, True),
        ConsentChanged("4", world.now - 5, "an", Purpose.OFFERS, True),
    )
    found = _situation(world)
    sender, recipient = found.sender, found.recipient
    assert (sender.birth_date, sender.region, sender.joined_at) == (
        date(2010, 5, 5),
        "CN-HK",
        joined,
    )
    limits = (sender.day_gifts_limit, sender.day_fen_limit, sender.gift_fen_limit)
    assert limits == (3, 500, 200)
    assert (sender.guardian_consent, recipient.guardian_consent) == (False, True)
    assert (recipient.region, recipient.gift_fen_limit) == (None, None)


def test_guardian_consent_holds_from_its_instant_until_it_is_withdrawn(world) -> None:
    world.tell(ConsentChanged("1", world.now - 10, "an", Purpose.GUARDIAN, True))
    world.tell(ConsentChanged("2", world.now - 4, "an", Purpose.GUARDIAN, False))
    holds = [_situation(world, world.now - ago).sender.guardian_consent for ago in (11, 10, 5, 4)]
    assert holds == [False, True, True, False]


def test_odds_that_nobody_told_of_are_not_disclosed(world) -> None:
    for told in (None, False, True):
        world.item(f"box-{told}", mechanics="blind_box", odds_disclosed=told)
        assert _situation(world, item=f"box-{told}").item.odds_disclosed is (told is True)


def test_many_gifts_of_many_pairs_are_read_in_their_order(world) -> None:
    for n in range(40):
        world.item(f"i{n}", price_fen=100 + n)
    _write(world, [Given("an", "bo", 5), Given("bo", "an", 5, fen=7), Given("cy", "bo", 5)])
    people = [("an", "bo"), ("bo", "an"), ("cy", "bo")]
    requests = [GiftRequest(*people[n % 3], f"i{n % 40}") for n in range(200)]
    with world.database.reading() as unit:
        contexts = read_pair_context(unit, [(r.sender, r.recipient) for r in requests], world.now)
        found = read_situations(unit, requests, contexts, world.now)
    assert [s.item.item for s in found] == [r.item for r in requests]
    alone = {pair: _situation(world, None, *pair).recent for pair in people}
    assert [s.recent for s in found] == [alone[r.sender, r.recipient] for r in requests]
    assert alone["an", "bo"].back_fen_24h == 7


def _read_to_send(world) -> None:
    _situation(world)


def _read_to_check(world, many: int = 1) -> None:
    requests = [GiftRequest("an", f"p{n % 3}" if n else "bo", "coffee") for n in range(many)]
    with world.database.reading() as unit:
        Circumstances().read(unit, requests, world.now)


def _read_to_check_many(world) -> None:
    _read_to_check(world, 40)


@pytest.mark.parametrize("read", [_read_to_send, _read_to_check, _read_to_check_many])
def test_no_fact_is_found_by_passing_over_all_gifts_or_counters(world, monkeypatch, read) -> None:
    """The plans on either database name the indexes; an empty table would hide a full pass."""
    _write(world, [Given("an" if n % 9 else f"p{n}", f"p{n % 7}", n * HOUR) for n in range(3_000)])
    with world.database.writing() as unit:
        # So many that a pass over them costs more than looking up a hundred.
        unit.execute(
            text("""
            INSERT INTO counters (scope, subject, day, gifts, fen)
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59999)
            SELECT s.scope, 'p' || (n.i / 100), n.i % 100, 1, 1 FROM n,
              (SELECT 'sender' AS scope UNION SELECT 'pair' UNION SELECT 'recipient') s
        """)
        )
        unit.exec_driver_sql("ANALYZE")
    explain = "EXPLAIN QUERY PLAN" if world.database.is_sqlite else "EXPLAIN"
    plan: list[str] = []
    rows = Statement.rows

    def explained(made, connection, **values):
        told = Statement(f"{explain} {made._sql}")
        plan.extend(str(row[-1]) for row in rows(told, connection, **values))
        return rows(made, connection, **values)

    monkeypatch.setattr(Statement, "rows", explained)
    read(world)
    monkeypatch.undo()
    told = "\n".join(plan)
    for index in ("gifts_sender", "gifts_pair"):
        assert index in told
    for table in ("gifts", "counters"):
        assert f"Seq Scan on {table}" not in told
    assert not any(line.startswith(("SCAN g", "SCAN m", "BLOOM")) for line in plan)


def test_sends_of_one_person_on_both_sides_of_midnight_wait_for_each_other(
    postgresql_database,
) -> None:
    def hold(unit, day: int) -> None:
        keys = CounterKeys("an", pair_subject("an", "bo"), "bo", day, 7)
        caps.lock(unit, keys, "coffee")

    with postgresql_database.writing() as first:
        hold(first, 5)
        with pytest.raises(LedgerUnavailable, match="LockNotAvailable"):  # noqa: SIM117
            with postgresql_database.writing() as second:
                second.exec_driver_sql("SET LOCAL lock_timeout = '200ms'")
                keys = CounterKeys("an", pair_subject("an", "cy"), "cy", 6, 6)
                caps.lock(second, keys, "coffee")
    with postgresql_database.writing() as third:
        hold(third, 6)


def test_local_month_of_the_context_is_the_senders(world) -> None:
    at = to_micros(to_moment(0).fromisoformat("2026-03-01T03:00+08:00"))
    world.tell(PersonChanged("z", 0, "an", None, "America/New_York"), at=at - 9 * DAY)
    with world.database.reading() as unit:
        contexts = read_pair_context(unit, [("an", "bo"), ("bo", "an")], at)
    firsts = [date.fromordinal(context.sender_month) for context in contexts]
    assert firsts == [date(2026, 2, 1), date(2026, 3, 1)]
    assert local_date(at) == date(2026, 3, 1)
