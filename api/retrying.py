"""The idempotency key that a caller may send with a move, tied to what is asked for."""

from __future__ import annotations

import hashlib

from flask import g, request
from pydantic import BaseModel

from api.schemas.gift_moves import MoveHeader
from engine.ledger.idempotency import RequestKey


def key_of(header: MoveHeader, body: BaseModel | None = None) -> RequestKey | None:
    """Return the key of this request, if it came with one: the same key on another path or with
    another body is another request."""
    if header.idempotency_key is None:
        return None
    asked = f"{request.path}\n{body.model_dump_json() if body else ''}"
    hashed = hashlib.sha256(asked.encode()).hexdigest()
    return RequestKey(g.api_key.key_id, header.idempotency_key, hashed)
