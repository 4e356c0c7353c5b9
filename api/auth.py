"""Who may call: a bearer key on every route that is not marked public."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Final, ParamSpec, TypeVar

from flask import Flask, Request

from api.layers import Memory, layers_of
from engine.domain.clock import Clock
from engine.domain.errors import NotAuthenticated, NotPermitted
from engine.ledger.keys import ApiKey, ApiKeys, Scope, hash_of, well_formed

REMEMBERED_SECONDS: Final = 2.0
"""How long a worker trusts what it read of a key: a revocation acts within this time."""
REMEMBERED_KEYS: Final = 1_024
_SCOPE: Final = "__lishang_scope__"
_PUBLIC: Final = "public"

P = ParamSpec("P")
R = TypeVar("R")


def requires(scope: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Open a view to keys that carry `scope`; in the view the key is `flask.g.api_key`."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        setattr(view, _SCOPE, scope)
        return view

    return mark


def public(view: Callable[P, R]) -> Callable[P, R]:
    """Open a view to everyone."""
    setattr(view, _SCOPE, _PUBLIC)
    return view


def is_marked(view: object) -> bool:
    """Tell whether a view says who may call it."""
    return hasattr(view, _SCOPE)


def scope_of(view: object) -> Scope | None:
    """Return the scope that a view requires; None if it is public.

    Raises
    ------
    NotPermitted
        If the view does not say: then nobody may call it.
    """
    mark = getattr(view, _SCOPE, None)
    if mark == _PUBLIC:
        return None
    if not isinstance(mark, Scope):
        raise NotPermitted("nobody may call this route", "mark the view with its scope")
    return mark


class KeyCache:
    """What a worker remembers of the keys it saw lately, good ones and bad ones apart.

    Parameters
    ----------
    keys
        Where keys are looked up.
    clock
        Tells the time in microseconds, for expiry.
    seconds
        How long an answer is trusted.
    size
        How many answers of either sort are kept: a flood of bad keys pushes out no good one.
    """

    def __init__(
        self,
        keys: ApiKeys,
        clock: Clock,
        seconds: float = REMEMBERED_SECONDS,
        size: int = REMEMBERED_KEYS,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._seconds = seconds
        self._size = size
        self._good: OrderedDict[str, tuple[float, ApiKey]] = OrderedDict()
        self._bad: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def find(self, secret: str) -> ApiKey | None:
        """Return the key that `secret` opens now, if it opens one.

        Raises
        ------
        LedgerUnavailable
            If the key is not remembered and the database cannot say.
        """
        if not well_formed(secret):
            return None
        hashed, at = hash_of(secret), self._clock()
        oldest = monotonic() - self._seconds
        with self._lock:
            good = self._good.get(hashed)
            if good is not None and good[0] > oldest:
                return good[1] if good[1].valid(at) else None
            bad = self._bad.get(hashed)
            if bad is not None and bad > oldest:
                return None
        asked = monotonic()  # before the question: what changes meanwhile is not held longer
        key = self._keys.find(secret, at)
        with self._lock:
            self._good.pop(hashed, None)
            self._bad.pop(hashed, None)
            if key is None:
                self._bad[hashed] = asked
            else:
                self._good[hashed] = (asked, key)
            for remembered in (self._good, self._bad):
                if len(remembered) > self._size:
                    remembered.popitem(last=False)
        return key


def install(app: Flask, cache: KeyCache) -> None:
    """Ask every request of `app` for the key that its view requires."""

    def authenticate(request: Request, kept: Memory) -> None:
        endpoint = request.endpoint
        if endpoint is None:
            return  # no such route: the router's own refusal follows
        scope = scope_of(app.view_functions[endpoint])
        if scope is None:
            return
        kept.api_key = _permitted(cache, scope, request)

    layers_of(app).add(authenticate)


def _permitted(cache: KeyCache, scope: Scope, request: Request) -> ApiKey:
    kind, _, secret = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    key = cache.find(secret.strip()) if kind.lower() == "bearer" else None
    if key is None:
        # One answer for a missing, unknown, expired and revoked key: it tells a guesser nothing.
        raise NotAuthenticated("no valid key came with the request", "Authorization: Bearer lsk_…")
    if not key.permits(scope):
        raise NotPermitted(f"this key lacks the scope {scope}", "ask for a key that carries it")
    return key
