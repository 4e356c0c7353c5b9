"""Vouchers' codes: shown once, kept as a hash, redeemed once."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection

from engine.ledger.statements import Statement

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: nothing in it is taken for something else when it is read out."""
_LENGTH, _GROUP = 20, 5
_READ_AS = str.maketrans("OIL", "011", " -")

_ISSUE = Statement("""
INSERT INTO vouchers (gift, code_hash, issued_at) VALUES (:gift, :code_hash, :issued_at)
ON CONFLICT (gift) DO UPDATE SET code_hash = excluded.code_hash, issued_at = excluded.issued_at
WHERE vouchers.redeemed_at IS NULL
""")
# By a clock that was set back, a code could be used before it was issued.
_REDEEM = Statement("""
UPDATE vouchers
SET redeemed_at = CASE WHEN issued_at > :redeemed_at THEN issued_at ELSE :redeemed_at END
WHERE gift = :gift AND code_hash = :code_hash AND redeemed_at IS NULL
""")


def issue(connection: Connection, gift: str, at: int) -> str:
    """Give a gift a new code at `at` (microseconds) and return it; one of before opens no more.

    Notes
    -----
    A code is 100 random bits. Nobody finds one by guessing, nor from its SHA-256, so that neither
    salt nor a slow hash adds anything; the hash also finds it in one look-up.
    """
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    code = "-".join(letters[n : n + _GROUP] for n in range(0, _LENGTH, _GROUP))
    _ISSUE.run(connection, gift=gift, code_hash=hash_of(code), issued_at=at)
    return code


def redeem(connection: Connection, gift: str, code: str, at: int) -> bool:
    """Use a gift's code up at `at` (microseconds); tell whether it was the right one."""
    used = _REDEEM.run(connection, gift=gift, code_hash=hash_of(code), redeemed_at=at)
    return used.rowcount == 1


def hash_of(code: str) -> str:
    """Return the hash under which a code is kept, however it was typed: SHA-256 in hexadecimal."""
    return hashlib.sha256(code.upper().translate(_READ_AS).encode()).hexdigest()
