"""Webhooks: where events are delivered to, how each is signed, when a failed one is tried again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from engine.domain.clock import SECOND
from engine.domain.errors import InvalidInput
from engine.domain.gift_events import GiftEventKind

SECRET_PREFIX: Final = "whsec_"
FIRST_DELAY: Final = 2 * SECOND
"""How long (microseconds) a delivery waits after its first failure, at most."""
LONGEST_DELAY: Final = 900 * SECOND
"""However often it failed, it is tried again within this time (microseconds)."""
LONGEST_URL: Final = 2_048
_SECRET_BYTES = 32
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Webhook:
    """One receiver of events; times in microseconds."""

    webhook: str
    url: str
    secret: str = field(repr=False)
    kinds: frozenset[GiftEventKind]
    """What it is told of; empty for everything."""
    position: int
    """The place in the feed up to which it has been told."""
    attempts: int
    """How often the next event failed to be delivered."""
    next_at: int
    """The next event is not delivered before."""
    leased_until: int
    """Until then one worker delivers, and no other does."""
    failing_since: int | None
    fault: str | None
    """Of the last attempt, where it failed."""
    created_at: int

    def wants(self, kind: GiftEventKind) -> bool:
        """Tell whether it is told of such events."""
        return not self.kinds or kind in self.kinds


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a delivery as Standard Webhooks has it: `v1,` and base64.

    Parameters
    ----------
    secret
        `whsec_` and the key in base64.
    message
        The delivery's id, the same at every attempt.
    timestamp
        When it is sent, in seconds since 1970.
    body
        Exactly the bytes that are sent.
    """
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def delay_after(attempts: int, chance: float) -> int:
    """Return how long (microseconds) to wait after an event failed for the `attempts`th time.

    Parameters
    ----------
    attempts
        1 or more; each doubles the time, up to `LONGEST_DELAY`.
    chance
        A random number in 0…1: half of the time depends on it, so that many that failed together
        do not come back together.
    """
    doubled = FIRST_DELAY << min(attempts - 1, 30)
    return round(min(doubled, LONGEST_DELAY) * (1 + chance) / 2)


def checked_url(url: str, insecure: bool = False) -> str:
    """Return `url` if events may be delivered there.

    Parameters
    ----------
    insecure
        Whether a URL without TLS is accepted for other hosts than this one too.

    Raises
    ------
    InvalidInput
        If it is no http(s) URL, carries a password or a fragment, or lacks TLS.
    """
    if len(url) > LONGEST_URL or not _VISIBLE.fullmatch(url):
        raise InvalidInput(
            "the URL is too long or not plain ASCII", f"up to {LONGEST_URL} visible characters"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidInput(f"the URL cannot be read: {error}", _FORM) from error
    if parts.scheme not in {"http", "https"} or not _names_host(host) or port == 0:
        raise InvalidInput("the URL names no host to reach by HTTP", _FORM)
    if parts.username is not None or parts.password is not None or "#" in url:
        raise InvalidInput(
            "the URL carries a user, a password or a fragment",
            "leave them out: the receiver knows us by the signature",
        )
    if parts.scheme == "http" and not insecure and not _is_loopback(host):
        raise InvalidInput(
            "without TLS anyone on the way can read who gives what to whom",
            "use https://…, or say --insecure",
        )
    return url


_FORM = "write it as https://host/path"


def _names_host(host: str) -> bool:
    if ":" in host or host.replace(".", "").isdigit():
        return _address(host) is not None
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
