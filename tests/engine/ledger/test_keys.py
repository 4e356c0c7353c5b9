"""Keys keep only a hash, end when told and outlive the rotation of their secret."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from engine.domain.errors import Conflict, InvalidInput, UnknownReference
from engine.ledger import tables
from engine.ledger.database import Database
from engine.ledger.keys import PREFIX, ApiKeys, Scope, hash_of

AT = 1_000_000_000
SCOPES = frozenset({Scope.GIFTS_CHECK, Scope.TIES_READ})


@pytest.fixture
def keys(database: Database) -> ApiKeys:
    return ApiKeys(database)


def test_key_when_created_opens_with_its_scopes_and_is_stored_as_a_hash_only(
    keys: ApiKeys, database: Database
) -> None:
    key_id, secret = keys.create("shop", SCOPES, AT + 10, AT)
    assert secret.startswith(PREFIX)
    assert len(secret) == 47
    found = keys.find(secret, AT)
    assert found is not None
    assert (found.key_id, found.name, found.scopes) == (key_id, "shop", SCOPES)
    assert found.permits(Scope.TIES_READ)
    assert not found.permits(Scope.GIFTS_SEND)
    with database.reading() as connection:
        row = connection.execute(select(tables.api_keys)).one()
    assert row.secret_hash == hash_of(secret)
    assert not any(secret in str(value) for value in row)


def test_key_of_admin_permits_every_scope(keys: ApiKeys) -> None:
    _, secret = keys.create("root", frozenset({Scope.ADMIN}), None, AT)
    found = keys.find(secret, AT)
    assert found is not None
    assert all(found.permits(scope) for scope in Scope)


def test_key_ends_at_the_instant_of_its_expiry(keys: ApiKeys) -> None:
    _, secret = keys.create("shop", SCOPES, AT + 10, AT)
    assert keys.find(secret, AT + 9) is not None
    assert keys.find(secret, AT + 10) is None


def test_key_when_revoked_ends_and_stays_listed(keys: ApiKeys) -> None:
    key_id, secret = keys.create("shop", SCOPES, None, AT)
    _, other = keys.create("other", SCOPES, None, AT + 1)
    keys.revoke(key_id, AT + 5)
    keys.revoke(key_id, AT + 7)
    assert keys.find(secret, AT + 5) is None
    assert keys.find(other, AT + 5) is not None
    assert [(key.key_id == key_id, key.revoked_at) for key in keys.list()] == [
        (True, AT + 5),
        (False, None),
    ]


def test_key_when_rotated_keeps_its_id_and_ends_the_old_secret(keys: ApiKeys) -> None:
    key_id, old = keys.create("shop", SCOPES, None, AT)
    new = keys.rotate(key_id, AT + 1)
    assert keys.find(old, AT + 1) is None
    found = keys.find(new, AT + 1)
    assert found is not None
    assert (found.key_id, found.scopes, found.retired) == (key_id, SCOPES, False)


def test_key_when_rotated_with_grace_answers_to_both_under_one_id(keys: ApiKeys) -> None:
    key_id, first = keys.create("shop", SCOPES, None, AT)
    second = keys.rotate(key_id, AT, grace=100)
    third = keys.rotate(key_id, AT + 1, grace=100)
    for secret in (first, second, third):
        found = keys.find(secret, AT + 50)
        assert found is not None
        # What is scoped to the key, such as an idempotency key, must not change with the secret.
        assert found.key_id == key_id
    assert keys.find(first, AT + 100) is None
    assert keys.find(second, AT + 101) is None
    assert keys.find(third, AT + 101) is not None


def test_key_when_revoked_in_its_grace_ends_every_secret(keys: ApiKeys) -> None:
    key_id, old = keys.create("shop", SCOPES, None, AT)
    new = keys.rotate(key_id, AT, grace=100)
    keys.revoke(key_id, AT + 1)
    assert keys.find(old, AT + 1) is None
    assert keys.find(new, AT + 1) is None


def test_key_that_has_ended_cannot_be_rotated(keys: ApiKeys) -> None:
    key_id, _ = keys.create("shop", SCOPES, AT + 10, AT)
    with pytest.raises(Conflict):
        keys.rotate(key_id, AT + 10)


@pytest.mark.parametrize("key_id", ["k0", "", "%", "k%", "k000000000000.1"])
def test_key_that_does_not_exist_is_an_unknown_reference(keys: ApiKeys, key_id: str) -> None:
    created, secret = keys.create("shop", SCOPES, None, AT)
    keys.rotate(created, AT)
    for wrong in (key_id, f"{created}.1"):
        with pytest.raises(UnknownReference):
            keys.revoke(wrong, AT)
        with pytest.raises(UnknownReference):
            keys.rotate(wrong, AT)
    assert secret


@pytest.mark.parametrize(
    ("name", "scopes", "expires_at"),
    [
        ("", SCOPES, None),
        ("x" * 129, SCOPES, None),
        ("a\x00b", SCOPES, None),
        ("shop", frozenset(), None),
        ("shop", SCOPES, AT),
    ],
)
def test_key_with_unusable_terms_is_refused(
    keys: ApiKeys, name: str, scopes: frozenset[Scope], expires_at: int | None
) -> None:
    with pytest.raises(InvalidInput):
        keys.create(name, scopes, expires_at, AT)
    assert keys.list() == []


def test_key_with_a_scope_of_a_later_version_grants_only_what_is_known(
    keys: ApiKeys, database: Database
) -> None:
    _, secret = keys.create("shop", SCOPES, None, AT)
    with database.writing() as connection:
        connection.execute(tables.api_keys.update().values(scopes="gifts:check,moon:land"))
    found = keys.find(secret, AT)
    assert found is not None
    assert found.scopes == {Scope.GIFTS_CHECK}


@pytest.mark.parametrize("secret", ["", "lsk_", PREFIX + "é" * 43, PREFIX + "A" * 43, "x" * 47])
def test_secret_that_no_key_has_finds_nothing(keys: ApiKeys, secret: str) -> None:
    keys.create("shop", SCOPES, None, AT)
    assert keys.find(secret, AT) is None
