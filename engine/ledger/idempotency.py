"""Answers kept under the caller's idempotency key, so that a retry is the same answer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from engine.domain.clock import HOUR
from engine.domain.errors import IdempotencyConflict
from engine.ledger.statements import Statement

KEPT_FOR = 24 * HOUR
"""How long an answer is remembered; after that the key is as good as new."""

# The placeholder makes a concurrent duplicate wait for this transaction and then find its answer.
_CLAIM = Statement("""
INSERT INTO idempotency (key_id, idempotency_key, body_hash, answer, recorded_at)
VALUES (:key_id, :idempotency_key, :body_hash, '', :recorded_at)
ON CONFLICT (key_id, idempotency_key) DO UPDATE
  SET body_hash = excluded.body_hash, answer = '', recorded_at = excluded.recorded_at
  WHERE idempotency.recorded_at <= :forgotten
RETURNING key_id
""")
_OLD = """
SELECT {place} FROM idempotency WHERE recorded_at <= :forgotten ORDER BY recorded_at LIMIT :most
"""
# By their place in the table: told apart by their keys, PostgreSQL would look through all of them.
# It asks again whether a row is old once it has waited for somebody who takes its key anew.
_PRUNE = {
    "sqlite": Statement(f"""
DELETE FROM idempotency WHERE rowid IN ({_OLD.format(place="rowid")})
  AND recorded_at <= :forgotten
"""),
    "postgresql": Statement(f"""
DELETE FROM idempotency WHERE ctid = ANY (ARRAY ({_OLD.format(place="ctid")}))
  AND recorded_at <= :forgotten
"""),
}
_FIND = Statement("""
SELECT body_hash, answer FROM idempotency
WHERE key_id = :key_id AND idempotency_key = :idempotency_key
""")
_ANSWER = Statement("""
UPDATE idempotency SET answer = :answer
WHERE key_id = :key_id AND idempotency_key = :idempotency_key
""")


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's idempotency key with the hash of the body it came with."""

    key_id: str
    idempotency_key: str
    body_hash: str


def claim(connection: Connection, key: RequestKey, at: int) -> str | None:
    """Take the key for this transaction, or return the answer (JSON) it already has.

    Raises
    ------
    IdempotencyConflict
        If the key was used with another body.
    """
    claimed = _CLAIM.row(
        connection,
        key_id=key.key_id,
        idempotency_key=key.idempotency_key,
        body_hash=key.body_hash,
        recorded_at=at,
        forgotten=at - KEPT_FOR,
    )
    if claimed is not None:
        return None
    [row] = _FIND.rows(connection, key_id=key.key_id, idempotency_key=key.idempotency_key)
    if row[0] != key.body_hash:
        raise IdempotencyConflict(
            "this idempotency key was used with another body", "use a new key for a new request"
        )
    return str(row[1])


def answer(connection: Connection, key: RequestKey, stored: str) -> None:
    """Keep the answer (JSON) under a key claimed in this transaction."""
    _ANSWER.tell(connection, key_id=key.key_id, idempotency_key=key.idempotency_key, answer=stored)


def prune(connection: Connection, at: int, most: int) -> int:
    """Delete up to `most` answers that are too old by `at` (microseconds); return how many."""
    statement = _PRUNE[connection.dialect.name]
    return statement.run(connection, forgotten=at - KEPT_FOR, most=most).rowcount
