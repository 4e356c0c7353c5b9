"""What reviewers decided of held gifts, once for each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from engine.domain.gifts import GiftState
from engine.ledger.statements import Statement

_INSERT = Statement("""
INSERT INTO reviews (gift, outcome, decision_id, reviewer, reviewer_name, decided_at)
VALUES (:gift, :outcome, :decision_id, :reviewer, :reviewer_name, :decided_at)
""")
_FIND = Statement("""
SELECT gift, outcome, decision_id, reviewer, reviewer_name, decided_at
FROM reviews WHERE gift = :gift
""")


@dataclass(frozen=True, slots=True)
class Review:
    """Who decided what of a held gift, and when (microseconds)."""

    gift: str
    outcome: GiftState
    """`sent` or `cancelled`."""
    decision_id: str | None
    """Of the rules' second look; None where the reviewer refused."""
    reviewer: str
    """A key's id."""
    reviewer_name: str
    decided_at: int


def record(connection: Connection, review: Review) -> None:
    """Write a review of a locked gift that was held until now."""
    _INSERT.run(
        connection,
        gift=review.gift,
        outcome=review.outcome.value,
        decision_id=review.decision_id,
        reviewer=review.reviewer,
        reviewer_name=review.reviewer_name,
        decided_at=review.decided_at,
    )


def find(connection: Connection, gift: str) -> Review | None:
    """Return the review of a gift, if there was one."""
    row = _FIND.run(connection, gift=gift).first()
    if row is None:
        return None
    return Review(row[0], GiftState(row[1]), *row[2:])
