"""What was acknowledged, held against the ledger: nothing lost, nothing twice, no cap passed."""

from __future__ import annotations

from collections.abc import Iterable

from rulebook import (
    PAIR_FEN,
    PAIR_GIFTS,
    RECIPIENT_FEN,
    RECIPIENT_GIFTS,
    SENDER_FEN,
    SENDER_GIFTS,
)
from storm import Told
from town import Town

_CAPS = {
    "sender": (SENDER_GIFTS, SENDER_FEN),
    "pair": (PAIR_GIFTS, PAIR_FEN),
    "recipient": (RECIPIENT_GIFTS, RECIPIENT_FEN),
}


def sent_gifts(seen: Iterable[Told]) -> dict[str, Told]:
    """Return what was told of each acknowledged gift, by its id."""
    return {
        one.body["gift"]: one
        for one in seen
        if one.call.path == "/v1/gifts" and one.status in {201, 202}
    }


def check_acknowledged(town: Town, seen: Iterable[Told], complete: bool = True) -> int:
    """Hold every acknowledged sending against the ledger; return how many gifts there are.

    Parameters
    ----------
    complete
        Whether every sending was answered in the end, so that no other gift may be there.
    """
    seen = list(seen)
    told = sent_gifts(seen)
    rows = town.rows(
        "SELECT gift, sender, recipient, item, payment_ref, state, occurred_at FROM gifts"
    )
    kept = {row.gift: row for row in rows}
    lost = told.keys() - kept.keys()
    assert not lost, f"{len(lost)} acknowledged gifts are not in the ledger: {sorted(lost)[:3]}"
    if complete:
        unknown = kept.keys() - told.keys()
        assert not unknown, f"{len(unknown)} gifts that nobody was told of: {sorted(unknown)[:3]}"
    for gift, one in told.items():
        row = kept[gift]
        asked = one.call.body
        assert (row.sender, row.recipient) == (asked["sender"], asked["recipient"])
        assert row.payment_ref == asked["payment_ref"]
    # Denials are answers too: each decision that was told of is recorded.
    decided = {one.body["decision_id"] for one in seen if "decision_id" in one.body}
    recorded = {row[0] for row in town.rows("SELECT decision_id FROM decisions")}
    assert decided <= recorded, f"{len(decided - recorded)} decisions are not recorded"
    payments = [row.payment_ref for row in rows]
    assert len(set(payments)) == len(payments)
    return len(kept)


def check_caps(town: Town) -> None:
    """See that no cap and no stock was passed, by the counters and by the gifts themselves."""
    for scope, (gifts, fen) in _CAPS.items():
        over = town.rows(
            "SELECT subject, gifts, fen FROM counters WHERE scope = :scope AND (gifts > :gifts"
            " OR (fen > :fen AND fen < 100000))",
            scope=scope,
            gifts=gifts,
            fen=fen,
        )
        assert not over, f"passed the cap of the {scope}: {over[:3]}"
    counted = town.one("SELECT coalesce(sum(gifts), 0) FROM counters WHERE scope = 'sender'")
    living = town.one(
        "SELECT count(*) FROM gifts WHERE state NOT IN ('cancelled', 'expired')"
        " AND NOT (state = 'declined' AND due_at IS NULL)"
    )
    assert counted == living
    assert not town.rows("SELECT item FROM items WHERE stock < 0 OR stock_taken < 0")
    assert not town.rows("SELECT gift FROM postings GROUP BY gift, entry HAVING sum(fen) <> 0"), (
        "an entry does not sum to zero"
    )


def deadlocks(town: Town) -> int:
    """Return how many deadlocks PostgreSQL has had to break in this database; 0 on SQLite."""
    if town.database.is_sqlite:
        return 0
    return int(
        town.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    )
