"""What the commands on versions share: the store, who acts, and how a version is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import click

from api.commands.context import Context
from engine.domain.clock import now
from engine.domain.errors import InvalidInput, NotAuthenticated, NotPermitted
from engine.domain.pack_life import Actor
from engine.ledger.keys import ApiKeys, Scope
from engine.shipping import Shipping

KEY_VARIABLE = "LISHANG_KEY"
_NAMED = re.compile(r"([a-z][a-z0-9_]{0,63})@([1-9][0-9]{0,8})")

Command = TypeVar("Command", bound=Callable[..., object])


def key_option(command: Command) -> Command:
    """Add `--key`, by which somebody says who they are."""
    said = f"The secret of your key; better given in the environment, as {KEY_VARIABLE}."
    return click.option("--key", envvar=KEY_VARIABLE, help=said)(command)


def actor(context: Context, secret: str | None, scope: Scope) -> Actor:
    """Return whose key `secret` is.

    Raises
    ------
    NotAuthenticated
        If there is none, or it opens nothing (any more).
    NotPermitted
        If the key does not carry `scope`.
    LedgerUnavailable
        If the database cannot say.
    """
    hint = f"lishang keys create --name YOU --scopes {scope}; then set {KEY_VARIABLE} to its secret"
    if not secret:
        raise NotAuthenticated(f"this asks for a key that carries {scope}", hint)
    key = ApiKeys(context.database()).find(secret.strip(), now())
    if key is None:
        raise NotAuthenticated("the key is unknown, expired or revoked", hint)
    if not key.permits(scope):
        raise NotPermitted(f"the key of {key.name} does not carry {scope}", hint)
    return Actor(key.key_id, key.name)


def shipping(context: Context) -> Shipping:
    """Return the shipping job on a store that holds at least what the rules folder does.

    Raises
    ------
    PolicyError
        If nothing is kept yet and the rules folder cannot be used.
    LedgerUnavailable
        If the database cannot be used.
    """
    made = Shipping(context.database(), context.settings.rules)
    made.seed(now())
    return made


def named_version(text: str) -> tuple[str, int]:
    """Return the pack and the number that `pack@version` names.

    Raises
    ------
    InvalidInput
        If it names none.
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        raise InvalidInput(f"{text!r} names no version", "write it as gift_send@2")
    return found[1], int(found[2])
