"""Every statement of the hot paths finds its rows by an index, on both databases.

The jobs run on a real ledger whose driver writes down each statement it is given; then the database
is asked how it would run each of them.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event

from benchmarks.ledger.history import Stream, write_items, write_people
from engine.domain.clock import DAY, HOUR, SECOND
from engine.domain.events import FriendshipChanged, Interacted
from engine.domain.gifts import GiftRequest
from engine.housekeeping import Housekeeping
from engine.ledger import idempotency, outbox
from engine.ledger.database import Database
from engine.ledger.decision_log import RecordedDecisions
from engine.ledger.ego import read_ego
from engine.ledger.feed import Feed
from engine.ledger.idempotency import RequestKey
from engine.ledger.keys import ApiKeys, Scope

GROWING = frozenset(
    {
        *("gifts", "counters", "decisions", "idempotency", "outbox", "postings"),
        *("ties", "tie_structure", "friendships", "blocks", "consents", "people", "items"),
    }
)
"""Tables of which no hot statement reads the whole."""
SMALLER = frozenset(["reviews", "vouchers", "interactions", "received_events", "api_keys"])
PARTIAL = frozenset({"gifts_held", "gifts_due"})
"""Indexes of only those gifts that are asked for: to read the first few in an index's own order
is to read no more than those; SQLite says so by no step of its own."""

Said = tuple[str, Any]
"""A statement as the driver was given it, and its values."""
Hot = Callable[[], object]


class Recording:
    """What a database's driver was given, for connections made while this listens."""

    def __init__(self, database: Database) -> None:
        self._said: dict[str, Any] = {}
        database.close()
        for engine in {database.engine, database.reader}:
            event.listen(engine, "do_connect", self._connect)

    def of(self, hot: Hot) -> list[Said]:
        """Return the distinct statements of what is done."""
        self._said.clear()
        hot()
        return [(sql, values) for sql, values in self._said.items() if _is_planned(sql)]

    def note(self, sql: Any, values: Any) -> None:
        if isinstance(sql, str):
            self._said.setdefault(sql, values)

    def _connect(self, dialect: Any, _record: object, given: Any, named: Any) -> Any:
        note = self.note
        if dialect.name == "sqlite":

            class SqliteCursor(sqlite3.Cursor):
                def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
                    note(sql, values)
                    return super().execute(sql, values)

                def executemany(self, sql: str, rows: Any, /) -> sqlite3.Cursor:
                    rows = list(rows)
                    note(sql, rows[0])
                    return super().executemany(sql, rows)

            class SqliteConnection(sqlite3.Connection):
                def cursor(self, factory: Any = None) -> Any:
                    return super().cursor(SqliteCursor)

                def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
                    return self.cursor().execute(sql, values)

            return dialect.loaded_dbapi.connect(*given, **named, factory=SqliteConnection)

        class PostgresCursor(psycopg.Cursor[Any]):
            def execute(self, sql: Any, values: Any = None, **options: Any) -> Any:
                note(sql, values)
                return super().execute(sql, values, **options)

            def executemany(self, sql: Any, rows: Any, **options: Any) -> None:
                rows = list(rows)
                note(sql, rows[0])
                super().executemany(sql, rows, **options)

        return psycopg.connect(*given, **named, cursor_factory=PostgresCursor)


def _is_planned(sql: str) -> bool:
    first = sql.split(None, 1)[0].upper()
    return first in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}


def whole_reads(connection: Connection, said: Said) -> list[tuple[str, str]]:
    """Return the tables that a statement's plan reads as a whole, each with the step that does."""
    if connection.dialect.name == "sqlite":
        return _sqlite_reads(connection, *said)
    return _postgres_reads(connection, *said)


def _sqlite_reads(connection: Connection, sql: str, values: Any) -> list[tuple[str, str]]:
    driver = connection.connection.driver_connection
    steps = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    if _ends_early(sql, steps):
        return []
    excused = PARTIAL if _in_order(sql, steps) else frozenset[str]()
    return [(table, step) for step in steps for table in _scanned(step, sql, excused)]


def _scanned(step: str, sql: str, excused: frozenset[str]) -> set[str]:
    """Return the table that a step reads as a whole; the step may name it by its alias."""
    # What is searched without an index is the least or the greatest of all; of the feed's own
    # numbers it lies at the table's end.
    for column in re.findall(r"(\w+) IS NOT NULL", sql):
        if not re.search(rf"\b{column} >", sql):
            # To SQLite, what is not null is greater than null: this is no condition.
            step = re.sub(rf"^SEARCH (.*) \({column}>\?\)$", r"SCAN \1", step)
    scan = re.fullmatch(r"(?:SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?", step)
    if scan is None or scan[2] in excused or (step.startswith("SEARCH") and scan[2]):
        return set()
    if step == "SEARCH outbox" and re.search(r"\bmax\(seq\)", sql):
        return set()
    named = re.findall(rf"(\w+)\s+(?:AS\s+)?{scan[1]}\b", sql, re.IGNORECASE)
    return {scan[1], *named} & (GROWING | SMALLER)


def _ends_early(sql: str, steps: list[str]) -> bool:
    """Tell whether a scan takes the first few rows in the order in which they lie."""
    asks_all = re.search(r"\bWHERE\b(?!\s+\w+ IS NOT NULL\s+ORDER)", sql)
    return len(steps) == 1 and _in_order(sql, steps) and not asks_all


def _in_order(sql: str, steps: list[str]) -> bool:
    """Tell whether the first few rows are taken as they lie, and not sorted before."""
    return " LIMIT " in sql and not any("TEMP B-TREE" in step for step in steps)


def _postgres_reads(connection: Connection, sql: str, values: Any) -> list[tuple[str, str]]:
    driver = connection.connection.driver_connection

    def plan(options: str, asked: str) -> dict[str, Any]:
        # Prepared, the numbers in a generic plan would be parameters that are not given.
        told = driver.execute(f"EXPLAIN ({options}FORMAT JSON) {asked}", prepare=False).fetchone()
        return told[0][0]["Plan"]

    plans = [plan("", psycopg.ClientCursor(driver).mogrify(sql, values))]
    if driver.info.server_version >= 160_000:
        # A statement that was prepared long ago is planned for any values where that seems
        # no dearer, the planning itself (2.5 for each table) counted.
        generic = plan("GENERIC_PLAN, ", _numbered(sql))
        if generic["Total Cost"] <= plans[0]["Total Cost"] + 25:
            plans.append(generic)
    return [why for one in plans for why in _whole(one, limited=False)]


def _whole(node: Mapping[str, Any], limited: bool) -> Iterator[tuple[str, str]]:
    kind, table, index = node["Node Type"], node.get("Relation Name"), node.get("Index Name")
    if kind == "Seq Scan":
        yield str(table), kind
    by_index = kind in {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}
    if by_index and not limited and "Index Cond" not in node:
        yield str(table), f"{kind} of {index}"
    for part in node.get("Plans", ()):
        yield from _whole(part, limited=kind == "Limit")


def _numbered(sql: str) -> str:
    """Return a statement of psycopg's with `$1, $2…` for its parameters."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        name = found[1] or f"#{len(numbers)}"
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return re.sub(r"%%|%s|%\((\w+)\)s", number, sql)


def _hot_paths(house, item: str, other: str) -> dict[str, Hot]:
    """Everything that happens often, by name; each is done once, on gifts of its own."""
    now, feed = house.now, Feed(house.database)
    keys, log = ApiKeys(house.database), RecordedDecisions(house.database)
    _, secret = keys.create("plans", frozenset({Scope.GIFTS_SEND}), None, 1)
    ask, retry = GiftRequest("an", "bo", item), RequestKey("k", "again", "")
    answer = RequestKey("k", "answer", "")
    ours = {name: house.send(item, at=now - 60 * SECOND * n) for n, name in enumerate("abcdef")}
    for name in "cde":
        house.moving.accept(ours[name], "bo", None, None, now)
    code = house.moving.issue_voucher(ours["d"], "bo", now)
    held = [house.send("watch", at=now) for _ in range(2)]
    keeping = Housekeeping(house.database, house.moving, lambda: now)

    def pruned() -> None:
        with house.database.writing() as unit:
            idempotency.prune(unit, now + HOUR, 100)
            outbox.prune(unit, now + HOUR, 3)

    def ego() -> None:
        with house.database.reading() as unit:
            assert len(read_ego(unit, "an", now))

    def looked_through() -> None:
        assert list(log.recorded("gift_send", now - HOUR, now + 1))
        assert log.count("gift_send", now - HOUR, now + 1)

    return {
        "key": lambda: keys.find(secret, now),
        "check": lambda: house.gifting.check(ask, now),
        "check:batch": lambda: house.gifting.check_many([ask, replace(ask, sender="cy")] * 3, now),
        "send": lambda: house.gifting.send(ask, "none", "pay-again", retry, now),
        "send again": lambda: house.gifting.send(ask, "none", "pay-again", retry, now),
        "send denied": lambda: house.gifting.send(
            replace(ask, recipient="cy"), "none", "pay-no", RequestKey("k", "no", ""), now
        ),
        "show": lambda: house.gifting.find(ours["a"]),
        "accept": lambda: house.moving.accept(ours["a"], "bo", "1 Plum Lane", answer, now + 1),
        "decline": lambda: house.moving.decline(ours["b"], "bo", None, now + 1),
        "voucher": lambda: house.moving.issue_voucher(ours["c"], "bo", now + 1),
        "redeem": lambda: house.moving.redeem(ours["d"], code, None, now + 1),
        "refund": lambda: house.moving.refund(ours["e"], None, now + 1),
        "swap": lambda: house.swapping.swap(ours["f"], "bo", other, None, now + 1),
        "held": lambda: house.reviewing.waiting((now - DAY, ""), 10),
        "approve": lambda: house.reviewing.decide(held[0], True, house.reviewer, None, now + 1),
        "reject": lambda: house.reviewing.decide(held[1], False, house.reviewer, None, now + 1),
        "feed": lambda: [feed.page(None, 10), feed.page(1, 10)],
        "events": lambda: house.world.tell(
            FriendshipChanged("e1", now, "an", "cy", True),
            Interacted("e2", now, "an", "bo", "call", 1),
        ),
        "housekeeping": lambda: keeping.once(now + 2 * HOUR),
        "sweep": lambda: house.moving.expire_due(now + 40 * DAY),
        "prune": pruned,
        "log": looked_through,
        "ties of a person": ego,
    }


def _found(house, *settings: str) -> dict[str, tuple[str, str]]:
    """Return what hot statements read as a whole: by path, table and step, with one of them."""
    recording = Recording(house.database)
    found: dict[str, tuple[str, str]] = {}
    for name, hot in _hot_paths(house, "coffee", "tart").items():
        said = recording.of(hot)
        assert said, f"{name} said nothing to the database"
        with house.database.reading(snapshot=True) as connection:
            if not house.database.is_sqlite:
                for setting in settings:
                    connection.exec_driver_sql(f"SET LOCAL {setting}")
            for one in said:
                for table, step in whole_reads(connection, one):
                    found[f"{name}: {step} of {table}"] = table, " ".join(one[0].split())[:300]
    return found


def test_hot_statements_on_a_new_ledger_have_an_index_for_every_table(house) -> None:
    # PostgreSQL reads a table of one page as a whole whatever indexes there are: what counts is
    # that there is one to use as soon as the table grows.
    watched = GROWING | SMALLER
    found = {
        why: said
        for why, (table, said) in _found(house, "enable_seqscan = off").items()
        if table in watched and "Index" not in why
    }
    assert found == {}


def test_hot_statements_on_a_full_analysed_ledger_use_an_index_for_every_table(house) -> None:
    stream = Stream(20_000, house.now)
    with house.database.writing() as connection:
        write_items(connection, 20_000)
        write_people(connection, 60_000, house.now, bound=4_000)
        stream.write_gifts(connection, 0, stream.gifts)
        stream.write_counters(connection)
        stream.write_logs(connection)
    with house.database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    assert {why: said for why, (table, said) in _found(house).items() if table in GROWING} == {}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT gift FROM gifts WHERE price_fen > 5",
        "SELECT count(*) FROM decisions d WHERE d.purpose = 'check'",
        "UPDATE counters SET gifts = gifts WHERE fen > 7",
        "DELETE FROM idempotency WHERE body_hash = 'none'",
        "SELECT 1 FROM people p JOIN ties t ON t.newest_at = p.joined_at WHERE p.person = 'an'",
        "SELECT max(occurred_at) FROM postings",
        "SELECT gift FROM gifts WHERE due_at IS NOT NULL AND due_at + 0 <= 9"
        " ORDER BY due_at + 0 LIMIT 5",
        "SELECT count(*) FROM gifts WHERE state = 'held'",
    ],
)
def test_statement_that_reads_a_whole_table_is_found(house, sql) -> None:
    with house.database.reading() as connection:
        assert whole_reads(connection, (sql, () if house.database.is_sqlite else None))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT gift FROM gifts WHERE gift = 'g'",
        "SELECT t.state FROM people p JOIN ties t ON t.sender = p.person WHERE p.person = 'an'",
        "UPDATE counters SET gifts = 1 WHERE scope = 'sender' AND subject = 'an' AND day = 7",
        "SELECT gift FROM gifts WHERE state = 'held' ORDER BY occurred_at, gift LIMIT 5",
        "SELECT gift FROM gifts WHERE due_at <= 9 ORDER BY due_at, gift LIMIT 5",
    ],
)
def test_statement_that_uses_an_index_is_not_blamed(house, sql) -> None:
    with house.database.reading(snapshot=True) as connection:
        if not house.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        assert whole_reads(connection, (sql, () if house.database.is_sqlite else None)) == []
