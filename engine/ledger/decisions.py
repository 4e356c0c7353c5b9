"""Decisions as they were taken: facts, verdict and the exact pack, enough to replay them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection

from engine.domain.verdicts import DecisionRecord, Effect, FactSet, FiredRule, PackRef, Verdict
from engine.ledger.statements import Statement

_INSERT = Statement("""
INSERT INTO decisions (decision_id, decision, purpose, occurred_at, effect, fired, facts, pack,
  pack_version, pack_hash, latency_us)
VALUES (:decision_id, :decision, :purpose, :occurred_at, :effect, :fired, :facts, :pack,
  :pack_version, :pack_hash, :latency_us)
""")
_FIND = Statement("""
SELECT decision_id, decision, purpose, occurred_at, effect, fired, facts, pack, pack_version,
  pack_hash, latency_us
FROM decisions WHERE decision_id = :decision_id
""")


def record(connection: Connection, records: Sequence[DecisionRecord]) -> None:
    """Append decisions."""
    _INSERT.run_many(
        connection,
        [
            {
                "decision_id": record.decision_id,
                "decision": record.verdict.decision,
                "purpose": record.purpose,
                "occurred_at": record.occurred_at,
                "effect": record.verdict.effect.value,
                "fired": orjson.dumps(record.verdict.fired).decode(),
                "facts": orjson.dumps(record.facts.values).decode(),
                "pack": record.verdict.pack.pack,
                "pack_version": record.verdict.pack.version,
                "pack_hash": record.verdict.pack.hash,
                "latency_us": record.latency_us,
            }
            for record in records
        ],
    )


def find(connection: Connection, decision_id: str) -> DecisionRecord | None:
    """Return the decision with this id, if there is one."""
    row = _FIND.run(connection, decision_id=decision_id).first()
    if row is None:
        return None
    fired = tuple(
        FiredRule(rule["rule"], Effect(rule["effect"]), rule["reason"], rule["requires"])
        for rule in orjson.loads(str(row[5]))
    )
    pack = PackRef(str(row[7]), int(row[8] or 0), str(row[9]))
    return DecisionRecord(
        decision_id=str(row[0]),
        purpose=str(row[2]),
        occurred_at=int(row[3] or 0),
        verdict=Verdict(str(row[1]), Effect(row[4]), fired, pack),
        facts=FactSet(orjson.loads(str(row[6]))),
        latency_us=int(row[10] or 0),
    )
