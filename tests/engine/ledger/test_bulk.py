"""Many rows at once: what is new, what changes, what contradicts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from engine.domain.errors import LedgerUnavailable
from engine.ledger.bulk import BulkWriter, Completion, Contradiction, Stored
from engine.ledger.database import Database
from engine.ledger.staging import Columns

UNTIL = Completion(("until",), "until", None)


def friendships(*rows: tuple[str, int, int | None]) -> Columns:
    return {
        "person": [person for person, _, _ in rows],
        "friend": ["zoe"] * len(rows),
        "since": [since for _, since, _ in rows],
        "until": [until for _, _, until in rows],
        "recorded_at": [since for _, since, _ in rows],
    }


def items(*rows: tuple[str, str | None, int | None, int | None]) -> Columns:
    return {
        "item": [item for item, _, _, _ in rows],
        "name": [name for _, name, _, _ in rows],
        "price_fen": [price for _, _, price, _ in rows],
        "stock": [stock for _, _, _, stock in rows],
        **{
            column: [None] * len(rows)
            for column in ("tier", "category", "kind", "mechanics", "relations", "scenes")
        },
        "recorded_at": [None] * len(rows),
    }


CONSTANTS = {
    "tier": "goods",
    "category": "other",
    "kind": "goods",
    "mechanics": "direct",
    "relations": "friend",
    "scenes": "chat",
    "recorded_at": 0,
}


def stored(database: Database, query: str) -> Sequence[tuple[object, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def add(database: Database, columns: Columns, completion: Completion | None = UNTIL) -> Stored:
    with database.writing() as connection, BulkWriter(connection) as writer:
        return writer.insert_new("friendships", columns, ("until",), completion)


def test_insert_new_counts_only_rows_whose_key_is_new(database: Database) -> None:
    assert add(database, friendships(("ann", 1, None), ("bob", 1, 9))) == Stored(2)
    assert add(database, friendships(("ann", 1, None), ("bob", 1, 9), ("cy", 1, None))) == Stored(1)
    assert add(database, friendships()) == Stored(0)


def test_insert_new_completes_open_rows_and_reports_contradictions(database: Database) -> None:
    add(database, friendships(("ann", 1, None), ("bob", 1, 9), ("cy", 1, 9)))
    again = friendships(("ann", 1, 7), ("bob", 1, 8), ("cy", 1, None), ("dee", 1, 5))
    assert add(database, again) == Stored(1, 1, (Contradiction(1, ("until",)),))
    assert stored(database, "SELECT person, until FROM friendships ORDER BY 1") == [
        ("ann", 7),
        ("bob", 9),
        ("cy", 9),
        ("dee", 5),
    ]


def test_insert_new_meets_its_own_rows_in_one_batch(database: Database) -> None:
    assert add(database, friendships(("ann", 1, None), ("ann", 1, 7))) == Stored(1, 1)
    assert stored(database, "SELECT until FROM friendships") == [(7,)]


def test_insert_new_after_one_that_met_known_rows_still_works(database: Database) -> None:
    """On PostgreSQL the direct copy failed once; the transaction and the writer go on."""
    with database.writing() as connection, BulkWriter(connection) as writer:
        for batch, expected in (
            (friendships(("ann", 1, None)), 1),
            (friendships(("bob", 1, None), ("ann", 1, None)), 1),
            (friendships(("cy", 1, None)), 1),
        ):
            assert writer.insert_new("friendships", batch).new == expected
    assert stored(database, "SELECT count(*) FROM friendships") == [(3,)]


def test_insert_new_of_a_row_without_a_value_it_needs_is_an_error_not_a_loss(
    database: Database,
) -> None:
    columns = {**friendships(("ann", 1, None)), "recorded_at": [None]}
    with pytest.raises(LedgerUnavailable, match="the database refused"):
        add(database, columns)
    assert stored(database, "SELECT count(*) FROM friendships") == [(0,)]


def test_insert_absent_leaves_subjects_alone_that_have_any_row(database: Database) -> None:
    def consents(*rows: tuple[str, str, int]) -> Columns:
        return {
            "person": [person for person, _, _ in rows],
            "purpose": [purpose for _, purpose, _ in rows],
            "since": [since for _, _, since in rows],
            "granted": [True] * len(rows),
            "recorded_at": [0] * len(rows),
        }

    with database.writing() as connection, BulkWriter(connection) as writer:
        by = ("person", "purpose")
        assert writer.insert_absent("consents", consents(("ann", "offers", 5)), by) == 1
        more = consents(("ann", "offers", 0), ("ann", "tie_scoring", 0), ("bob", "offers", 0))
        assert writer.insert_absent("consents", more, by) == 2
        assert writer.insert_absent("consents", more, by) == 0
    assert stored(database, "SELECT person, purpose, since FROM consents ORDER BY 1, 2") == [
        ("ann", "offers", 5),
        ("ann", "tie_scoring", 0),
        ("bob", "offers", 0),
    ]


def test_upsert_adds_changes_and_leaves_alone(database: Database) -> None:
    with database.writing() as connection, BulkWriter(connection) as writer:
        copied = {"name": "item"}
        first = items(("rose", "Red rose", 520, 3), ("tea", None, 900, None))
        assert writer.upsert("items", first, copied, CONSTANTS) == Stored(2)
        assert writer.upsert("items", first, copied, CONSTANTS) == Stored(0)
        second = items(("rose", None, 620, None), ("tea", None, 900, None), ("ink", "Ink", 5, 0))
        assert writer.upsert("items", second, copied, CONSTANTS) == Stored(1, 1)
        assert writer.prices() == {"rose": 620, "tea": 900, "ink": 5}
        assert writer.ids("items") == {"rose", "tea", "ink"}
    assert stored(database, "SELECT item, name, stock, tier FROM items ORDER BY 1") == [
        ("ink", "Ink", 0, "goods"),
        ("rose", "Red rose", 3, "goods"),
        ("tea", "tea", None, "goods"),
    ]


def test_bulk_writer_leaves_the_page_cache_as_it_was(sqlite_database: Database) -> None:
    with sqlite_database.writing() as connection:
        before = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
        with BulkWriter(connection) as writer:
            assert writer.is_empty("ties")
            assert connection.exec_driver_sql("PRAGMA cache_size").scalar_one() != before
        assert connection.exec_driver_sql("PRAGMA cache_size").scalar_one() == before


def test_bulk_writer_leaves_no_temporary_tables(database: Database) -> None:
    add(database, friendships(("ann", 1, None)))
    add(database, friendships(("ann", 1, 5)))
    # A second writer on the same pooled connection meets a clean slate.
    assert add(database, friendships(("ann", 1, 5))) == Stored(0)


TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.lists(TEXTS, max_size=8), weight=st.floats(0, 1e300))
def test_insert_new_stores_any_text_and_number_exactly(
    database: Database, ids: list[str], weight: float
) -> None:
    with database.writing() as connection, BulkWriter(connection) as writer:
        connection.execute(text("DELETE FROM interactions"))
        for _ in range(2):
            rows = len(ids)
            writer.insert_new(
                "interactions",
                {
                    "event": ids,
                    "sender": ids,
                    "recipient": ["\\N"] * rows,
                    "kind": ["NULL"] * rows,
                    "weight": [weight] * rows,
                    "occurred_at": [2**62] * rows,
                    "recorded_at": [0] * rows,
                },
                ("sender", "weight"),
            )
    found = stored(
        database, "SELECT event, sender, recipient, kind, weight, occurred_at FROM interactions"
    )
    expected = {(i, i, "\\N", "NULL", weight, 2**62) for i in ids}
    assert set(found) == expected
    assert len(found) == len(expected)
