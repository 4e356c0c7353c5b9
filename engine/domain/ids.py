"""Ids that sort by the time they were made and cannot be guessed."""

from __future__ import annotations

import secrets


def new_id(prefix: str, at: int) -> str:
    """Return a new id such as `gift_0006…`: 14 hex digits of the time `at`, 16 random ones."""
    return f"{prefix}_{at:014x}{secrets.token_hex(8)}"
