"""Answers kept under the caller's idempotency key, so that a retry is the same answer."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from engine.domain.errors import IdempotencyConflict
from engine.ledger.statements import Statement

# The placeholder makes a concurrent duplicate wait for this transaction and then find its answer.
_CLAIM = Statement("""
INSERT INTO idempotency (key_id, idempotency_key, body_hash, answer, recorded_at)
VALUES (:key_id, :idempotency_key, :body_hash, '', :recorded_at)
ON CONFLICT (key_id, idempotency_key) DO NOTHING
""")
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
    claimed = _CLAIM.run(
        connection,
        key_id=key.key_id,
        idempotency_key=key.idempotency_key,
        body_hash=key.body_hash,
        recorded_at=at,
    ).rowcount
    if claimed:
        return None
    row = _FIND.run(connection, key_id=key.key_id, idempotency_key=key.idempotency_key).one()
    if row[0] != key.body_hash:
        raise IdempotencyConflict(
            "this idempotency key was used with another body", "use a new key for a new request"
        )
    return str(row[1])


def answer(connection: Connection, key: RequestKey, stored: str) -> None:
    """Keep the answer (JSON) under a key claimed in this transaction."""
    _ANSWER.run(connection, key_id=key.key_id, idempotency_key=key.idempotency_key, answer=stored)
