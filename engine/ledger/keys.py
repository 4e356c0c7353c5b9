"""The services' keys: what each may do and until when; of the secret itself only a hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from engine.domain.errors import Conflict, InvalidInput, UnknownReference
from engine.ledger.database import Database
from engine.ledger.statements import Statement

PREFIX = "lsk_"
"""How every secret begins, so that scanners recognise one that leaked."""
NAME_LENGTH = 128
_RANDOM_BYTES = 32
_LENGTH = len(PREFIX) + 43  # 32 bytes in unpadded URL-safe base64
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")

_COLUMNS = "key_id, name, scopes, created_at, expires_at, revoked_at"
_INSERT = Statement("""
INSERT INTO api_keys (key_id, name, secret_hash, scopes, created_at, expires_at, revoked_at)
VALUES (:key_id, :name, :secret_hash, :scopes, :created_at, :expires_at, :revoked_at)
""")
_BY_HASH = Statement(f"SELECT {_COLUMNS} FROM api_keys WHERE secret_hash = :secret_hash")
_ALL = Statement(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, key_id")
_LOCKED = Statement(f"""
SELECT {_COLUMNS}, secret_hash FROM api_keys WHERE key_id = :key_id {{for_update}}
""")
_REVOKE = Statement("""
UPDATE api_keys SET revoked_at = :at
WHERE (key_id = :key_id OR key_id LIKE :retired) AND (revoked_at IS NULL OR revoked_at > :at)
""")
_REPLACE = Statement("UPDATE api_keys SET secret_hash = :secret_hash WHERE key_id = :key_id")
_RETIRED_COUNT = Statement("SELECT count(*) FROM api_keys WHERE key_id LIKE :retired")


class Scope(StrEnum):
    """What a key may do; `admin` implies every other scope."""

    GIFTS_CHECK = "gifts:check"
    GIFTS_SEND = "gifts:send"
    GIFTS_READ = "gifts:read"
    GIFTS_ANSWER = "gifts:answer"
    GIFTS_REDEEM = "gifts:redeem"
    GIFTS_REFUND = "gifts:refund"
    GIFTS_REVIEW = "gifts:review"
    FEED_READ = "feed:read"
    TIES_READ = "ties:read"
    TIES_EXPORT = "ties:export"
    RECOMMEND_READ = "recommend:read"
    OFFERS_SCORE = "offers:score"
    EVENTS_WRITE = "events:write"
    POLICY_EVALUATE = "policy:evaluate"
    POLICY_READ = "policy:read"
    POLICY_WRITE = "policy:write"
    POLICY_APPROVE = "policy:approve"
    MODELS_WRITE = "models:write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret; times in microseconds.

    `key_id` stays the same when the secret is rotated, so that what is scoped to a key (such as
    an idempotency key) outlives the rotation. `retired` marks a rotated secret in its grace.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    retired: bool = False

    def valid(self, at: int) -> bool:
        """Tell whether the key opens anything at the instant `at`."""
        ends = [end for end in (self.expires_at, self.revoked_at) if end is not None]
        return all(at < end for end in ends)

    def permits(self, scope: Scope) -> bool:
        """Tell whether the key carries `scope`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class ApiKeys:
    """The keys in one database.

    Parameters
    ----------
    database
        The ledger.

    Notes
    -----
    A secret is 32 random bytes. A slow, salted hash protects what people choose, because guessing
    it is cheap; 2^256 equally likely secrets cannot be guessed at any speed, and every request
    pays for the hash. One SHA-256 also allows the lookup by index.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, scopes: frozenset[Scope], expires_at: int | None, at: int
    ) -> tuple[str, str]:
        """Make a key and return its id and its secret, which cannot be read again.

        Raises
        ------
        InvalidInput
            If the name is empty or too long, no scope is given or the expiry is not after `at`.
        """
        if not 1 <= len(name) <= NAME_LENGTH or not name.isprintable():
            raise InvalidInput(
                "unusable name for a key", f"use 1 to {NAME_LENGTH} printable characters"
            )
        if not scopes:
            raise InvalidInput("a key needs a scope", f"choose from: {', '.join(Scope)}")
        if expires_at is not None and expires_at <= at:
            raise InvalidInput("the key would have expired already", "choose a later expiry")
        key_id, secret = f"k{secrets.token_hex(6)}", _new_secret()
        with self._database.writing() as connection:
            _INSERT.run(
                connection,
                key_id=key_id,
                name=name,
                secret_hash=hash_of(secret),
                scopes=",".join(sorted(scopes)),
                created_at=at,
                expires_at=expires_at,
                revoked_at=None,
            )
        return key_id, secret

    def list(self) -> list[ApiKey]:
        """Return every key that ever was, oldest first, retired secrets included."""
        with self._database.reading() as connection:
            return [_key(row) for row in _ALL.run(connection)]

    def find(self, secret: str, at: int) -> ApiKey | None:
        """Return the key that `secret` opens at `at`; None if it is unknown, expired or revoked.

        Raises
        ------
        LedgerUnavailable
            If the database cannot say.
        """
        if not well_formed(secret):
            return None
        with self._database.reading() as connection:
            row = _BY_HASH.run(connection, secret_hash=hash_of(secret)).one_or_none()
        key = None if row is None else _key(row)
        return key if key is not None and key.valid(at) else None

    def revoke(self, key_id: str, at: int) -> None:
        """End the key at `at`, with any rotated secret still in its grace; repeating is harmless.

        Raises
        ------
        UnknownReference
            If there is no such key.
        """
        with self._database.writing() as connection:
            _require(connection, key_id)
            _REVOKE.run(connection, key_id=key_id, retired=_retired_like(key_id), at=at)

    def rotate(self, key_id: str, at: int, grace: int = 0) -> str:
        """Give the key a new secret and return it; the old one ends `grace` microseconds later.

        Raises
        ------
        UnknownReference
            If there is no such key.
        Conflict
            If the key has ended already.
        """
        secret = _new_secret()
        with self._database.writing() as connection:
            row = _require(connection, key_id)
            key = _key(row)
            if not key.valid(at):
                raise Conflict(f"the key {key_id} has ended", "create a new key")
            retired = _RETIRED_COUNT.run(connection, retired=_retired_like(key_id)).scalar_one()
            _REPLACE.run(connection, secret_hash=hash_of(secret), key_id=key_id)
            _INSERT.run(
                connection,
                key_id=f"{key_id}.{retired + 1}",
                name=key.name,
                secret_hash=row.secret_hash,
                scopes=row.scopes,
                created_at=key.created_at,
                expires_at=key.expires_at,
                revoked_at=at + max(grace, 0),
            )
        return secret


def well_formed(secret: str) -> bool:
    """Tell whether a text could be one of our secrets at all."""
    return len(secret) == _LENGTH and secret.startswith(PREFIX) and _ALPHABET.issuperset(secret)


def hash_of(secret: str) -> str:
    """Return the hash under which a secret is stored: SHA-256 in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def _retired_like(key_id: str) -> str:
    # The id of an existing key is a letter and hexadecimal digits: no wildcard among them.
    return f"{key_id}.%"


def _require(connection: Connection, key_id: str) -> Row[*tuple[Any, ...]]:
    row = _LOCKED.run(connection, key_id=key_id).one_or_none()
    # A retired secret's row belongs to its key and is no key of its own.
    if row is None or "." in key_id:
        raise UnknownReference(f"no key has the id {key_id!r}", "see: lishang keys list")
    return row


def _key(row: Row[*tuple[Any, ...]]) -> ApiKey:
    known = set(Scope)
    key_id, _, retired = row.key_id.partition(".")
    return ApiKey(
        key_id=key_id,
        name=row.name,
        # A scope that this code does not know grants nothing here.
        scopes=frozenset(Scope(text) for text in row.scopes.split(",") if text in known),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        retired=bool(retired),
    )
