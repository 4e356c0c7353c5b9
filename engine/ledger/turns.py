"""Turns: work of which one transaction at a time is enough, whoever's it is."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import Connection

from engine.ledger.statements import Statement

_ADVISORY_ROOM = 0x6C69  # "li": apart from what others may lock on the same server
_TRY = Statement("SELECT pg_try_advisory_xact_lock(:room, :turn)")


class Turn(IntEnum):
    """What one transaction at a time does."""

    PLACING = 1
    """Giving events their places in the feed."""
    PRUNING = 2
    """Deleting what is old."""


def taken(connection: Connection, turn: Turn) -> bool:
    """Take a turn until this transaction has ended; False if another has it now.

    On SQLite whoever may write is alone.
    """
    if connection.dialect.name == "sqlite":
        return True
    held = _TRY.run(connection, room=_ADVISORY_ROOM, turn=turn.value)
    return bool(held.scalar_one())
