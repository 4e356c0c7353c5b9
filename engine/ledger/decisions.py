"""Decisions as they were taken: facts, verdict and the exact pack, enough to replay them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row

from engine.domain.errors import PolicyError
from engine.domain.verdicts import DecisionRecord, Effect, FactSet, PackRef, Verdict, fired_rules
from engine.ledger.statements import Insertion, Statement, Value, run_listed

DecisionRow = tuple[Value, ...]
"""A decision as it is stored, column by column."""

_COLUMNS = (
    "decision_id",
    "purpose",
    "occurred_at",
    "facts",
    "latency_us",
    "decision",
    "effect",
    "fired",
    "pack",
    "pack_version",
    "pack_hash",
)
_INSERT = Insertion("decisions", _COLUMNS)
_FIND = Statement("""
SELECT decision_id, decision, purpose, occurred_at, effect, fired, facts, pack, pack_version,
  pack_hash, latency_us
FROM decisions WHERE decision_id = :decision_id
""")
# What a gift came of, and what it points to. Its decision of now may be another one than the one
# it was sent or held by: that of a review or a swap.
_SENT = """(purpose IN ('settle', 'review') OR (purpose = 'send' AND effect <> 'deny')
  OR EXISTS (SELECT 1 FROM gifts WHERE gifts.decision_id = decisions.decision_id))"""
_COUNT_BEFORE = Statement(f"""
SELECT count(*), COALESCE(sum(CASE WHEN {_SENT} THEN 1 ELSE 0 END), 0)
FROM decisions WHERE occurred_at < :before
""")
_KINDS_BEFORE = Statement(
    "SELECT DISTINCT decision FROM decisions WHERE occurred_at < :before ORDER BY decision"
)
_NEXT_BEFORE = Statement("""
SELECT occurred_at, decision_id FROM decisions
WHERE decision = :kind AND occurred_at >= :at AND occurred_at < :before
  AND (occurred_at > :at OR decision_id > :decision_id)
ORDER BY occurred_at, decision_id LIMIT :most
""")
_DELETE_UNLESS_SENT = f"""
DELETE FROM decisions WHERE decision_id IN ({{listed}}) AND NOT {_SENT} RETURNING decision_id
"""
_EARLIEST = -(2**63)


def record(connection: Connection, records: Sequence[DecisionRecord]) -> None:
    """Append decisions."""
    append(connection, rows_of(records))


def append(connection: Connection, rows: Sequence[DecisionRow]) -> None:
    """Append decisions that `rows_of` has written out, so that no lock waits for the writing."""
    _INSERT.run(connection, rows)


def rows_of(records: Sequence[DecisionRecord]) -> list[DecisionRow]:
    """Return decisions as they are stored, for `append`."""
    # Decisions with the same rules fired share one verdict: what it says is written out once.
    said: dict[int, DecisionRow] = {}
    rows: list[DecisionRow] = []
    for record in records:
        verdict = record.verdict
        columns = said.get(id(verdict))
        if columns is None:
            columns = said[id(verdict)] = _said(verdict)
        facts = orjson.dumps(record.facts.values).decode()
        rows.append(
            (
                record.decision_id,
                record.purpose,
                record.occurred_at,
                facts,
                record.latency_us,
                *columns,
            )
        )
    return rows


def _said(verdict: Verdict) -> DecisionRow:
    pack = verdict.pack
    fired = orjson.dumps(verdict.fired).decode()
    return (verdict.decision, verdict.effect.value, fired, pack.pack, pack.version, pack.hash)


def find(connection: Connection, decision_id: str) -> DecisionRecord | None:
    """Return the decision with this id, if there is one.

    Raises
    ------
    PolicyError
        If it cannot be read: somebody changed it in the database.
    """
    row = _FIND.run(connection, decision_id=decision_id).first()
    if row is None:
        return None
    try:
        return _record(row)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise PolicyError(
            f"the decision {decision_id!r} is not as it was recorded: {error!r}",
            "it was changed in the database",
        ) from error


def _record(row: Row[*tuple[Any, ...]]) -> DecisionRecord:
    pack = PackRef(str(row[7]), int(row[8] or 0), str(row[9]))
    facts = orjson.loads(str(row[6]))
    if not isinstance(facts, dict):
        raise TypeError("the facts are no object")
    return DecisionRecord(
        decision_id=str(row[0]),
        purpose=str(row[2]),
        occurred_at=int(row[3] or 0),
        verdict=Verdict(str(row[1]), Effect(row[4]), fired_rules(str(row[5])), pack),
        facts=FactSet(facts),
        latency_us=int(row[10] or 0),
    )


def count_before(connection: Connection, before: int) -> tuple[int, int]:
    """Return how many decisions are older than `before` (microseconds), and how many of these
    gifts point to."""
    older, sent = _COUNT_BEFORE.run(connection, before=before).one()
    return int(older), int(sent)


def kinds_before(connection: Connection, before: int) -> list[str]:
    """Return which decisions, such as `gift_send`, were taken before an instant."""
    return [str(kind) for kind in _KINDS_BEFORE.run(connection, before=before).scalars()]


def next_before(
    connection: Connection, kind: str, before: int, last: tuple[int, str] | None, most: int
) -> list[tuple[int, str]]:
    """Return instants and ids of the oldest decisions of one kind before an instant.

    Parameters
    ----------
    kind
        Such as `gift_send`.
    before
        Microseconds, not included.
    last
        The last of the part before; None for the first part.
    most
        How many at most.
    """
    at, decision_id = last or (_EARLIEST, "")
    found = _NEXT_BEFORE.run(
        connection, kind=kind, before=before, at=at, decision_id=decision_id, most=most
    )
    return [(int(row[0]), str(row[1])) for row in found]


def delete_unless_sent(connection: Connection, listed: Sequence[str]) -> int:
    """Delete the decisions with these ids that no gift points to; return how many they were."""
    return len(run_listed(connection, _DELETE_UNLESS_SENT, listed))
