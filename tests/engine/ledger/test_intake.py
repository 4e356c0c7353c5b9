"""Live events: idempotent, all or nothing, effective at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, insert, or_, select

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import Conflict
from engine.domain.events import (
    BlockChanged,
    ConsentChanged,
    FriendshipChanged,
    Interacted,
    LimitChanged,
    PersonChanged,
    Unsaid,
)
from engine.domain.gifts import GiftRequest
from engine.domain.people import Purpose
from engine.domain.situations import GiftSituation
from engine.ledger import intake, tables
from engine.ledger.facts import read_pair_context, read_situations
from engine.ledger.histories import read_consents


def _situation(world, sender="an", recipient="bo") -> GiftSituation:
    with world.database.reading() as unit:
        [context] = read_pair_context(unit, [(sender, recipient)], world.now)
        [found] = read_situations(
            unit, [GiftRequest(sender, recipient, "coffee")], [context], world.now
        )
    return found


def test_unfriending_ends_the_two_way_friendship_at_its_instant(world) -> None:
    assert _situation(world).two_way_friends
    world.tell(FriendshipChanged("u1", world.now + 1, "bo", "an", False), at=world.now + 1)
    assert _situation(world).two_way_friends  # not yet
    world.tell(FriendshipChanged("u2", world.now, "bo", "an", False))
    assert not _situation(world).two_way_friends


def test_befriending_twice_and_unfriending_once_leaves_no_friendship(world) -> None:
    world.tell(FriendshipChanged("b2", world.now - 5, "an", "bo", True))
    world.tell(FriendshipChanged("u", world.now - 1, "an", "bo", False))
    assert not _situation(world).two_way_friends


def test_block_holds_in_both_directions_until_lifted(world) -> None:
    world.block("bo", "an")
    assert _situation(world).blocked
    assert _situation(world, "bo", "an").blocked
    world.tell(BlockChanged("lift", world.now, "bo", "an", False))
    assert not _situation(world).blocked


def test_person_event_keeps_what_it_does_not_tell(world) -> None:
    world.tell(PersonChanged("p1", world.now, "an", date(2000, 2, 29), "Europe/Berlin"))
    world.tell(PersonChanged("p2", world.now, "an"))
    assert _situation(world).sender.birth_date == date(2000, 2, 29)


def test_zone_of_a_person_changes_at_the_midnight_of_the_zone_before(world) -> None:
    def zone(later_hours: int) -> str:
        at = world.now + later_hours * HOUR
        with world.database.reading() as unit:
            [context] = read_pair_context(unit, [("an", "bo")], at)
            [found] = read_situations(unit, [GiftRequest("an", "bo", "coffee")], [context], at)
        return found.sender.zone

    world.tell(PersonChanged("p1", world.now, "an", None, "Europe/Berlin"))
    world.tell(PersonChanged("p2", world.now, "an", None, "Pacific/Kiritimati"))
    assert [zone(hours) for hours in (0, 11, 12)] == [
        "Asia/Shanghai",
        "Asia/Shanghai",
        "Pacific/Kiritimati",
    ]


def test_limit_is_set_and_lifted(world) -> None:
    world.tell(LimitChanged("l1", world.now, "an", 3, 5_000))
    assert _situation(world).sender.day_gifts_limit == 3
    world.tell(LimitChanged("l2", world.now, "an", None, 5_000))
    sender = _situation(world).sender
    assert (sender.day_gifts_limit, sender.day_fen_limit) == (None, 5_000)


def test_consent_follows_the_last_word(world) -> None:
    def agreed() -> bool:
        with world.database.reading() as unit:
            return read_consents(unit, ["an"], Purpose.OFFERS, world.now)["an"]

    assert not agreed()
    world.tell(ConsentChanged("c1", world.now - 9, "an", Purpose.OFFERS, True))
    assert agreed()
    world.tell(ConsentChanged("c2", world.now - 5, "an", Purpose.OFFERS, False))
    assert not agreed()


def test_objection_to_tie_scoring_by_either_side_is_read_with_the_pair(world) -> None:
    def scorable() -> bool:
        with world.database.reading() as unit:
            return read_pair_context(unit, [("an", "bo")], world.now)[0].scorable

    assert scorable()
    world.tell(ConsentChanged("c1", world.now, "bo", Purpose.TIE_SCORING, False))
    assert not scorable()


def test_tie_of_a_known_child_is_not_scorable(world) -> None:
    today = date.fromordinal(719_163 + world.now // DAY)
    world.tell(PersonChanged("p1", world.now, "bo", today.replace(year=today.year - 13)))
    with world.database.reading() as unit:
        assert not read_pair_context(unit, [("an", "bo")], world.now)[0].scorable


def test_repeated_event_is_counted_as_repeated_and_changes_nothing(world) -> None:
    event = Interacted("m1", world.now, "an", "bo", "message", 1.0)
    assert world.tell(event) == intake.Intake(accepted=1, repeated=0)
    assert world.tell(event) == intake.Intake(accepted=0, repeated=1)
    with world.database.reading() as unit:
        assert unit.execute(select(func.count()).select_from(tables.interactions)).scalar() == 1


def test_reused_id_with_other_content_refuses_the_whole_batch(world) -> None:
    world.tell(Interacted("m1", world.now, "an", "bo", "message", 1.0))
    with pytest.raises(Conflict, match="m1"):
        world.tell(
            Interacted("m0", world.now, "an", "bo", "message", 1.0),
            Interacted("m1", world.now, "an", "bo", "message", 2.0),
        )
    with world.database.reading() as unit:
        events = unit.execute(select(tables.interactions.c.event)).scalars().all()
    assert events == ["live:m1"]


def test_late_friendship_event_counts_by_when_it_happened(world) -> None:
    # The end is told before the beginning that it does not belong to.
    world.tell(FriendshipChanged("late", world.now - 2 * DAY, "an", "bo", False))
    assert _situation(world).two_way_friends


def test_crossing_batches_about_the_same_people_all_go_in(world) -> None:
    def tell(n: int) -> None:
        pairs = [("an", "bo"), ("bo", "an"), ("an", "cy"), ("cy", "bo")]
        ordered = pairs if n % 2 else pairs[::-1]
        world.tell(
            *[
                FriendshipChanged(f"{n}-{m}", world.now - 100 + m, *pair, active=bool(n % 3))
                for m, pair in enumerate(ordered)
            ],
            *[
                Interacted(f"i{n}-{m}", world.now - 100 + m, *pair, "message", 1.0)
                for m, pair in enumerate(ordered)
            ],
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(24)))
    with world.database.reading() as unit:
        assert unit.execute(select(func.count()).select_from(tables.interactions)).scalar() == 96


def test_gift_limit_stays_where_a_limit_event_does_not_speak_of_it(world) -> None:
    world.tell(LimitChanged("l1", world.now - 9, "an", None, None, 700))
    world.tell(LimitChanged("l2", world.now - 8, "an", 3, 5_000))
    assert _situation(world).sender.gift_fen_limit == 700
    # Told late, and about one limit only: the newer word on the others stands.
    world.tell(LimitChanged("l3", world.now - 10, "an", 9, 9, 900))
    sender = _situation(world).sender
    assert (sender.day_gifts_limit, sender.gift_fen_limit) == (3, 700)
    world.tell(LimitChanged("l4", world.now - 7, "an", 3, 5_000, None))
    assert _situation(world).sender.gift_fen_limit is None


def test_event_without_a_newer_field_is_the_event_it_was_before(world) -> None:
    """The hashes are those of events received before there were regions and gift limits."""
    world.tell(
        PersonChanged("p", 5, "an", date(2000, 2, 29), "Europe/Berlin"),
        LimitChanged("l", 5, "an", 3, None),
    )
    before = {
        "p": "('PersonChanged', 'p', 5, 'an', datetime.date(2000, 2, 29), 'Europe/Berlin')",
        "l": "('LimitChanged', 'l', 5, 'an', 3, None)",
    }
    with world.database.reading() as unit:
        query = select(tables.received_events.c.event, tables.received_events.c.body_hash)
        received = {row.event: row.body_hash for row in unit.execute(query)}
    for event, content in before.items():
        assert received[event] == sha256(content.encode()).hexdigest()
    for told in (
        PersonChanged("p", 5, "an", date(2000, 2, 29), "Europe/Berlin", "CN"),
        LimitChanged("l", 5, "an", 3, None, None),
    ):
        with pytest.raises(Conflict):
            world.tell(told)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(
        st.tuples(
            st.integers(1, 60),
            st.sampled_from([None, "CN", "CN-HK", "DE"]),
            st.sampled_from([Unsaid.UNSAID, None, 0, 700]),
        ),
        unique_by=lambda said: said[0],
        max_size=6,
    ),
    order=st.randoms(use_true_random=False),
)
def test_region_and_gift_limit_are_what_was_said_last_in_whatever_order_it_came(
    sqlite_database, told, order
) -> None:
    with sqlite_database.writing() as unit:
        for table in (tables.people, tables.received_events):
            unit.execute(delete(table))
    shuffled = [*told]
    order.shuffle(shuffled)
    for n, (at, region, limit) in enumerate(shuffled):
        with sqlite_database.writing() as unit:
            events = [
                PersonChanged(f"p{n}", at, "an", None, None, region),
                LimitChanged(f"l{n}", at, "an", None, None, limit),
            ]
            intake.receive(unit, events, 100)
    with sqlite_database.reading() as unit:
        found = unit.execute(select(tables.people.c.region, tables.people.c.gift_fen_limit))
        row = found.one_or_none()
    regions = [region for _, region, _ in sorted(told) if region is not None]
    limits = [limit for _, _, limit in sorted(told, key=lambda said: said[0])]
    said = [limit for limit in limits if limit is not Unsaid.UNSAID]
    expected = (regions[-1] if regions else None, said[-1] if said else None)
    assert (tuple(row) if row else (None, None)) == expected


CHANGES = st.lists(
    st.tuples(st.integers(1, 60), st.booleans()), unique_by=lambda change: change[0], max_size=8
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES, order=st.randoms(use_true_random=False))
def test_changes_told_in_any_order_give_the_timeline_of_when_they_happened(
    sqlite_database, changes, order
) -> None:
    with sqlite_database.writing() as unit:
        for table in (
            tables.people,
            tables.friendships,
            tables.blocks,
            tables.consents,
            tables.received_events,
        ):
            unit.execute(delete(table))
    told = list(changes)
    order.shuffle(told)
    for n, (at, on) in enumerate(told):
        with sqlite_database.writing() as unit:
            intake.receive(
                unit,
                [
                    FriendshipChanged(f"f{n}", at, "an", "bo", on),
                    BlockChanged(f"b{n}", at, "an", "bo", on),
                    ConsentChanged(f"c{n}", at, "an", Purpose.OFFERS, on),
                    LimitChanged(f"l{n}", at, "an", at, None),
                ],
                100,
            )
    for now in range(62):
        so_far = [on for at, on in sorted(changes) if at <= now]
        holds = bool(so_far) and so_far[-1]
        with sqlite_database.reading() as unit:
            for table in (tables.friendships, tables.blocks):
                in_force = select(func.count()).where(
                    table.c.since <= now, or_(table.c.until.is_(None), table.c.until > now)
                )
                assert unit.execute(in_force).scalar() == int(holds)
            assert read_consents(unit, ["an"], Purpose.OFFERS, now)["an"] == holds
    if changes:
        with sqlite_database.reading() as unit:
            limits = unit.execute(select(tables.people.c.day_gifts_limit)).scalars().all()
        assert max(at for at, _ in changes) in limits


def test_event_of_a_clock_that_runs_ahead_is_effective_at_once(world) -> None:
    world.tell(BlockChanged("b", world.now + 60_000_000, "bo", "an", True))
    assert _situation(world).blocked


def test_late_change_inside_an_imported_span_keeps_the_spans_end(world) -> None:
    with world.database.writing() as unit:
        unit.execute(
            insert(tables.friendships).values(
                person="cy", friend="an", since=0, until=world.now - 10, recorded_at=0
            )
        )
    world.befriend("an", "cy", both=False)
    world.tell(FriendshipChanged("again", world.now - 50, "cy", "an", True))
    assert not _situation(world, "an", "cy").two_way_friends


def test_live_id_taken_by_an_imported_event_is_a_conflict(world) -> None:
    with world.database.writing() as unit:
        unit.execute(
            insert(tables.interactions).values(
                event="live:m1",
                sender="an",
                recipient="bo",
                kind="message",
                weight=1.0,
                occurred_at=0,
                recorded_at=0,
            )
        )
    with pytest.raises(Conflict, match="imported"):
        world.tell(Interacted("m1", world.now, "an", "bo", "message", 1.0))


def test_change_of_a_person_imported_without_a_date_is_no_joining(world) -> None:
    with world.database.writing() as unit:
        unit.execute(insert(tables.people).values(person="old", recorded_at=0))
    world.tell(PersonChanged("moves", world.now - 5, "old", None, "Europe/Berlin"))
    with world.database.reading() as unit:
        person = unit.execute(select(tables.people).where(tables.people.c.person == "old")).one()
    assert (person.zone, person.joined_at) == ("Europe/Berlin", None)


def test_late_event_fills_in_what_a_newer_one_left_out(world) -> None:
    world.tell(PersonChanged("new", world.now - 5, "an", None, "Europe/Berlin"))
    world.tell(PersonChanged("old", world.now - 9, "an", date(2014, 1, 1), "Asia/Tokyo"))
    with world.database.reading() as unit:
        person = unit.execute(select(tables.people).where(tables.people.c.person == "an")).one()
    assert (person.birth_date, person.zone, person.joined_at) == (
        "2014-01-01",
        "Europe/Berlin",
        world.now - 9,
    )


def test_imported_end_stands_in_whatever_order_changes_before_it_are_told(world) -> None:
    with world.database.writing() as unit:
        for friend in ("cy", "di"):
            unit.execute(
                insert(tables.friendships).values(
                    person=friend, friend="an", since=0, until=world.now - 10, recorded_at=0
                )
            )
    for friend, order in (("cy", (False, True)), ("di", (True, False))):
        changes = {False: world.now - 50, True: world.now - 30}
        for active in order:
            world.tell(
                FriendshipChanged(f"{friend}{active}", changes[active], friend, "an", active)
            )
        world.befriend("an", friend, both=False)
        assert not _situation(world, "an", friend).two_way_friends
