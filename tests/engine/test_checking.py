"""Checks: how much they ask of the database, alone or a thousand, and what they answer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select, text

from engine.domain.clock import DAY, HOUR
from engine.domain.errors import LedgerUnavailable, UnknownReference
from engine.domain.events import PersonChanged
from engine.domain.gifts import GiftRequest
from engine.domain.verdicts import Effect
from engine.gift_policy import GiftPolicy
from engine.gift_terms import GiftTerms
from engine.gifting import Gifting
from engine.ledger import decisions, tables
from engine.ledger.circumstances import Circumstances
from engine.ledger.facts import read_pair_context, read_situations
from engine.ledger.idempotency import RequestKey

COFFEE = GiftRequest("an", "bo", "coffee")
ZONES = (None, "Asia/Shanghai", "Pacific/Kiritimati", "Pacific/Midway", "Europe/Berlin")


class NoModels:
    """A service before its first training."""

    ties = gifts = offers = None


@pytest.fixture
def gifting(world, shipped_policy) -> Iterator[Gifting]:
    made = Gifting(
        world.database, GiftPolicy(shipped_policy, NoModels()), GiftTerms(shipped_policy)
    )
    yield made
    made.log.close()


@pytest.fixture
def statements(world) -> Iterator[Callable[[], int]]:
    """Counts the statements with parameters that the drivers sent since it was last asked."""
    database, traced = world.database, []
    database.close()  # connections made from here on are watched
    told: list[str] = []
    with tempfile.TemporaryDirectory() as folder:

        def watch(connection, _record) -> None:
            if database.is_sqlite:
                connection.set_trace_callback(told.append)
            else:
                log = (Path(folder) / f"{len(traced)}").open("w+b")
                traced.append((connection, log))
                connection.pgconn.trace(log.fileno())

        def count() -> int:
            if database.is_sqlite:
                found = sum(s.lstrip().startswith(("SELECT", "WITH", "INSERT")) for s in told)
                told.clear()
                return found
            found = 0
            for connection, log in traced:
                connection.pgconn.untrace()
                log.seek(0)
                # Every statement with parameters is one Bind, prepared before or not.
                found += sum(b"\tBind\t" in line for line in log.read().splitlines())
                log.seek(0)
                log.truncate()
                connection.pgconn.trace(log.fileno())
            return found

        for engine in {database.engine, database.reader}:
            event.listen(engine, "connect", watch)
        yield count
        for engine in {database.engine, database.reader}:
            event.remove(engine, "connect", watch)
        database.close()
        for _, log in traced:
            log.close()


def _moved(world, *people: str) -> None:
    """Tell that people live where it is the day before; a zone holds from the next midnight on."""
    at = world.now - 40 * DAY
    told = [PersonChanged(f"z-{person}", at, person, None, "Pacific/Midway") for person in people]
    world.tell(*told, at=at)


def _batch(size: int) -> list[GiftRequest]:
    return [GiftRequest(f"s{n % 7}", f"r{n % 400}", "coffee") for n in range(size)]


def test_check_reads_all_its_facts_in_one_statement(gifting, world, statements) -> None:
    gifting.check(COFFEE, world.now)
    gifting.log.flush()
    statements()
    gifting.check(COFFEE, world.now)
    assert statements() == 1


def test_check_of_somebody_far_away_reads_twice_and_once_from_then_on(
    gifting, world, statements
) -> None:
    _moved(world, "an")
    statements()
    asked = []
    for _ in range(3):
        gifting.check(COFFEE, world.now)
        asked.append(statements())
    assert asked == [2, 1, 1]


def test_batch_reads_as_often_whatever_its_size(gifting, world, statements) -> None:
    asked = []
    for size in (2, 40, 1_000):
        gifting.check_many(_batch(size), world.now)
        asked.append(statements())
        gifting.log.flush()
        statements()
    assert asked == [1, 1, 1]


def test_batch_with_people_far_away_reads_twice_whatever_its_size(
    gifting, world, statements
) -> None:
    _moved(world, *[f"s{n}" for n in range(7)])
    statements()
    asked = []
    for size in (3, 700):
        fresh = GiftPolicy(gifting._policy.engine, NoModels())
        with world.database.reading() as unit:
            fresh.consider(unit, _batch(size), world.now)
        asked.append(statements())
    assert asked == [2, 2]


def test_empty_batch_asks_for_nothing(gifting, world, statements) -> None:
    assert gifting.check_many([], world.now) == []
    assert statements() == 0


def test_batch_answers_in_order_and_tells_of_unknown_items(gifting, world) -> None:
    requests = [COFFEE, GiftRequest("an", "bo", "none-such"), GiftRequest("an", "cy", "coffee")]
    first, unknown, last = gifting.check_many(requests, world.now)
    assert first.answer.effect is Effect.ALLOW
    assert isinstance(unknown, UnknownReference)
    assert "none-such" in unknown.message
    assert last.answer.reasons == ("NOT_TWO_WAY_FRIENDS",)


def test_batch_of_unknown_items_alone_records_nothing(gifting, world) -> None:
    [unknown] = gifting.check_many([GiftRequest("an", "bo", "none-such")], world.now)
    gifting.log.flush()
    assert isinstance(unknown, UnknownReference)
    with world.database.reading() as unit:
        assert unit.execute(select(func.count()).select_from(tables.decisions)).scalar() == 0


def test_batch_records_what_each_check_alone_would(gifting, world) -> None:
    requests = [COFFEE, GiftRequest("bo", "an", "coffee"), GiftRequest("an", "cy", "coffee")]
    together = gifting.check_many(requests, world.now)
    alone = [gifting.check(request, world.now) for request in requests]
    gifting.log.flush()
    with world.database.reading() as unit:
        for one, other in zip(together, alone, strict=True):
            batched = decisions.find(unit, one.answer.decision_id)
            single = decisions.find(unit, other.answer.decision_id)
            assert (batched.verdict, batched.facts) == (single.verdict, single.facts)


def test_check_counts_the_day_of_the_senders_own_zone(gifting, world) -> None:
    _moved(world, "an")
    for n in range(10):
        key = RequestKey("service", f"k{n}", "same")
        sent = gifting.send(COFFEE, "none", f"paid-{n}", key, world.now)
        assert sent.effect is Effect.ALLOW
    # It is noon in Shanghai, and 17 o'clock of the day before on Midway.
    checks = [gifting.check(COFFEE, world.now + hours * HOUR) for hours in (0, 6, 7)]
    effects = [checked.answer.effect for checked in checks]
    assert effects == [Effect.DENY, Effect.DENY, Effect.ALLOW]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(st.sampled_from(ZONES), min_size=4, max_size=4),
    asked=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(["coffee", "none-such"])),
        max_size=9,
    ),
    ago=st.integers(0, 24),
)
def test_circumstances_are_what_context_and_situation_tell_one_after_the_other(
    world, told, asked, ago
) -> None:
    """Whatever was guessed of the zones, and whichever statement found it."""
    at = world.now - ago * HOUR
    with world.database.writing() as unit:
        unit.execute(tables.people.delete())
        unit.execute(
            text("INSERT INTO people (person, zone, recorded_at) VALUES (:person, :zone, 0)"),
            [{"person": f"p{n}", "zone": zone} for n, zone in enumerate(told)],
        )
        unit.execute(tables.counters.delete())
        day = at // DAY + 719_163
        rows = [
            {"scope": scope, "subject": f"p{n}", "day": day + shift, "gifts": 5 + n, "fen": shift}
            for scope in ("sender", "recipient")
            for n in range(4)
            for shift in (-1, 0, 1)
        ]
        unit.execute(tables.counters.insert(), rows)
    requests = [GiftRequest(f"p{one}", f"p{other}", item) for one, other, item in asked]
    circumstances = Circumstances()
    with world.database.reading() as unit:
        contexts = read_pair_context(unit, [(r.sender, r.recipient) for r in requests], at)
        situations = read_situations(unit, requests, contexts, at)
        for _ in range(2):  # the second time nothing is guessed wrongly
            found = circumstances.read(unit, requests, at)
            assert found == [*zip(contexts, situations, strict=True)]


def test_check_that_cannot_be_recorded_is_no_answer(gifting, world, monkeypatch) -> None:
    monkeypatch.setattr(gifting.log, "_most", 0)
    with world.database.writing() as unit:
        unit.execute(text("ALTER TABLE decisions RENAME TO decisions_elsewhere"))
    for ask in (
        lambda: gifting.check(COFFEE, world.now),
        lambda: gifting.check_many([COFFEE], world.now),
    ):
        with pytest.raises(LedgerUnavailable):
            ask()
    with world.database.writing() as unit:
        unit.execute(text("ALTER TABLE decisions_elsewhere RENAME TO decisions"))
    assert gifting.check(COFFEE, world.now).answer.effect is Effect.ALLOW
