"""`lishang keys`: make, list, end and renew the services' keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

from api.commands.context import Context
from api.commands.tables import show_table
from engine.domain.clock import DAY, HOUR, now, parse_time, to_datetime, to_micros
from engine.domain.errors import InvalidInput
from engine.ledger.keys import ApiKey, ApiKeys, Scope

_SPAN = re.compile(r"(\d{1,5})([dh])")
_LATEST = to_micros(datetime(9999, 1, 1, tzinfo=UTC))


@click.group()
def keys() -> None:
    """Make, list, end and renew the keys that services call with."""


@keys.command()
@click.option("--name", required=True, help="Whose key it is.")
@click.option("--scopes", required=True, help="What it may do, separated by commas.")
@click.option(
    "--expires", default="90d", show_default=True, help="A span (90d, 12h), a time or never."
)
@click.pass_obj
def create(context: Context, name: str, scopes: str, expires: str) -> None:
    """Make a key and print its secret, which is shown this once."""
    at = now()
    key_id, secret = _keys(context).create(name, _scopes(scopes), _expiry(expires, at), at)
    click.echo(f"key {key_id}; the secret is not shown again:", err=True)
    click.echo(secret)


@keys.command("list")
@click.pass_obj
def list_keys(context: Context) -> None:
    """List every key with its scopes and its end."""
    at = now()
    show_table(
        ("key", "name", "scopes", "created", "expires", "state"),
        [
            (
                key.key_id,
                key.name,
                ", ".join(sorted(key.scopes)),
                _minute(key.created_at),
                "never" if key.expires_at is None else _minute(key.expires_at),
                _state(key, at),
            )
            for key in _keys(context).list()
        ],
    )


@keys.command()
@click.argument("key")
@click.pass_obj
def revoke(context: Context, key: str) -> None:
    """End KEY; running servers refuse it within 5 seconds."""
    _keys(context).revoke(key, now())
    click.echo(f"key {key} has ended")


@keys.command()
@click.argument("key")
@click.option("--grace", default="0h", show_default=True, help="How long the old secret lasts.")
@click.pass_obj
def rotate(context: Context, key: str, grace: str) -> None:
    """Give KEY a new secret and print it; id, scopes and expiry stay."""
    secret = _keys(context).rotate(key, now(), _span(grace))
    click.echo(f"key {key}; the secret is not shown again:", err=True)
    click.echo(secret)


def _keys(context: Context) -> ApiKeys:
    return ApiKeys(context.database())


def _scopes(text: str) -> frozenset[Scope]:
    named = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(named) - set(Scope))
    if unknown:
        raise InvalidInput(
            f"unknown scopes: {', '.join(unknown)}", f"choose from: {', '.join(Scope)}"
        )
    return frozenset(Scope(name) for name in named)


def _expiry(text: str, at: int) -> int | None:
    if text == "never":
        return None
    expires = at + _span(text) if _SPAN.fullmatch(text) else parse_time(text)
    return min(expires, _LATEST)


def _span(text: str) -> int:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InvalidInput(f"cannot read the span {text!r}", "write it as 90d or 12h")
    return int(found[1]) * (DAY if found[2] == "d" else HOUR)


def _minute(at: int) -> str:
    return f"{to_datetime(at):%Y-%m-%d %H:%MZ}"


def _state(key: ApiKey, at: int) -> str:
    if key.revoked_at is not None and key.revoked_at <= at:
        return "rotated away" if key.retired else "revoked"
    if key.expires_at is not None and key.expires_at <= at:
        return "expired"
    return "old secret, in grace" if key.retired else "valid"
