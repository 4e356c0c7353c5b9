"""The log of decisions as backtests read it: in order, within its window, a little at a time."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from engine.domain.errors import LedgerUnavailable
from engine.domain.verdicts import DecisionRecord, Effect, FactSet, FiredRule, PackRef, Verdict
from engine.domain.versions import RecordedDecision
from engine.ledger import decisions
from engine.ledger.database import Database
from engine.ledger.decision_log import RecordedDecisions

PACK = PackRef("gift_send", 3, "ab" * 32)
RULE = FiredRule("late", Effect.DENY, "LATE", None, (("settle.days", 7), ("a.b", True)), 4)


def record(number: int, at: int, decision: str = "gift_send") -> DecisionRecord:
    verdict = Verdict(decision, Effect.DENY, (RULE,), PACK)
    facts = FactSet({"gift.kind": "礼", "gift.price_fen": number, "gift.to_self": True})
    return DecisionRecord(f"dec_{number}", "check", at, verdict, facts, 5)


def store(database: Database, *records: DecisionRecord) -> None:
    with database.writing() as unit:
        decisions.record(unit, records)


def ids(log: RecordedDecisions, since: int | None = None, until: int | None = None) -> list[str]:
    return [row[0] for part in log.recorded("gift_send", since, until) for row in part]


def test_record_is_found_again_as_it_was(database: Database) -> None:
    made = record(1, 10)
    store(database, made)
    with database.reading() as unit:
        assert decisions.find(unit, "dec_1") == made
        assert decisions.find(unit, "dec_2") is None


def test_record_from_before_rules_could_set_outputs_is_found(database: Database) -> None:
    store(database, record(1, 10))
    old = [{"rule": "late", "effect": "deny", "reason": "LATE", "requires": None}]
    with database.writing() as unit:
        unit.exec_driver_sql(f"UPDATE decisions SET fired = '{orjson.dumps(old).decode()}'")
    with database.reading() as unit:
        found = decisions.find(unit, "dec_1")
    assert found is not None
    assert found.verdict.fired == (FiredRule("late", Effect.DENY, "LATE"),)


def test_log_gives_what_was_recorded(database: Database) -> None:
    made = record(1, 10)
    store(database, made)
    [[row]] = RecordedDecisions(database).recorded("gift_send", None, None)
    found = RecordedDecision(*row)
    assert (found.decision_id, found.occurred_at, found.effect) == ("dec_1", 10, "deny")
    assert (found.pack, found.pack_version, found.pack_hash) == ("gift_send", 3, "ab" * 32)
    assert bytes(found.facts) == orjson.dumps(made.facts.values)
    assert orjson.loads(found.facts) == made.facts.values
    assert orjson.loads(found.fired) == [
        {
            "rule": "late",
            "effect": "deny",
            "reason": "LATE",
            "requires": None,
            "sets": [["settle.days", 7], ["a.b", True]],
            "priority": 4,
        }
    ]


def test_log_is_in_order_of_time_whatever_the_order_of_writing(database: Database) -> None:
    store(database, *(record(n, at) for n, at in enumerate((50, 10, 40, 20, 30))))
    assert ids(RecordedDecisions(database)) == ["dec_1", "dec_3", "dec_4", "dec_2", "dec_0"]


def test_window_holds_its_first_instant_and_not_its_last(database: Database) -> None:
    store(database, *(record(n, n) for n in range(6)))
    log = RecordedDecisions(database)
    assert ids(log, 2, 4) == ["dec_2", "dec_3"]
    assert ids(log, None, 2) == ["dec_0", "dec_1"]
    assert ids(log, 4) == ["dec_4", "dec_5"]
    assert ids(log, 4, 4) == []
    assert [log.count("gift_send", *w) for w in ((2, 4), (None, 2), (4, None), (4, 4))] == [
        2, 2, 2, 0,
    ]  # fmt: skip


def test_other_decisions_are_not_in_the_log(database: Database) -> None:
    store(database, record(1, 1), record(2, 2, "offer_show"))
    log = RecordedDecisions(database)
    assert ids(log) == ["dec_1"]
    assert log.count("gift_send", None, None) == log.count("offer_show", None, None) == 1


def test_log_of_many_parts_loses_and_doubles_nothing(database: Database) -> None:
    # Many of one instant: a part may end between them.
    store(database, *(record(n, n // 400) for n in range(1_203)))
    found = ids(RecordedDecisions(database))
    assert sorted(found) == sorted(f"dec_{n}" for n in range(1_203))


def test_log_shows_one_instant_of_the_ledger(database: Database) -> None:
    store(database, *(record(n, n) for n in range(600)))
    parts = RecordedDecisions(database).recorded("gift_send", None, None)
    read = len(next(parts))
    store(database, record(9_999, 9_999))
    assert read + sum(map(len, parts)) == 600


def test_log_left_half_read_gives_its_connection_back(database: Database) -> None:
    store(database, *(record(n, n) for n in range(600)))
    in_use = []
    for _ in range(3):
        parts = RecordedDecisions(database).recorded("gift_send", None, None)
        next(parts)
        parts.close()
        in_use.append(database.reader.pool.checkedout())
    # On SQLite the ledger keeps a few connections for the next who asks.
    assert in_use[0] == in_use[-1] <= (2 if database.is_sqlite else 0)
    store(database, record(9_999, 1))


def test_memory_stays_flat_however_long_the_log_is(database: Database) -> None:
    """60 MB of facts, made by the database itself, so that no memory of ours was free before."""
    _fill(database, 15_000, 4_000)
    before = most = _resident()
    read = 0
    for part in RecordedDecisions(database).recorded("gift_send", None, None):
        read += len(part)
        most = max(most, _resident())
    assert read == 15_000
    assert most - before < 25_000_000


def test_database_that_breaks_while_read_is_a_failure_of_ours(
    postgresql_database: Database,
) -> None:
    store(postgresql_database, *(record(n, n) for n in range(600)))
    parts = RecordedDecisions(postgresql_database).recorded("gift_send", None, None)
    next(parts)
    with postgresql_database.writing() as unit:
        unit.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(LedgerUnavailable):
        list(parts)


def _resident() -> int:
    """Return the bytes of memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _fill(database: Database, count: int, size: int) -> None:
    numbers, padding = (
        (f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})"
         " SELECT", f"hex(zeroblob({size // 2}))")
        if database.is_sqlite
        else ("SELECT", f"repeat('0', {size})")
    )  # fmt: skip
    source = "s" if database.is_sqlite else f"generate_series(1, {count}) AS s(n)"
    with database.writing() as unit:
        unit.exec_driver_sql(
            "INSERT INTO decisions (decision_id, decision, purpose, occurred_at, effect, fired,"
            f" facts, pack, pack_version, pack_hash, latency_us) {numbers} 'dec_' || n,"
            f" 'gift_send', 'check', n, 'allow', '[]', '{{\"t.s\": \"' || {padding} || '\"}}',"
            f" 'gift_send', 1, 'ab', 1 FROM {source}"
        )
