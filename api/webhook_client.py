"""One signed delivery: posted to its receiver within a time limit, over one connection for many."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from engine.domain.errors import LishangError
from engine.domain.webhooks import signature

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LIMIT_SECONDS: Final = 10.0
"""How long a delivery may take, from connecting to the end of the answer."""
CONNECT_SECONDS: Final = 5.0
MOST_ANSWER: Final = 64 * 1024
"""How much of an answer is read, so that the connection can be used again."""
_SLICE_SECONDS = 0.2
_LONGEST_FAULT = 200


class DeliveryFailed(LishangError):
    """An event was not taken by its receiver: it is delivered again."""

    code = "DELIVERY_FAILED"


@dataclass(slots=True)
class _Limit:
    """How long a socket's owner waits, and what makes it give up before."""

    seconds: float
    stopping: threading.Event
    end: float = 0.0

    def begin(self) -> None:
        """Let the time run from now on."""
        self.end = monotonic() + self.seconds

    def left(self) -> float:
        """Return the seconds that are left.

        Raises
        ------
        TimeoutError
            If none are, or nobody waits any more.
        """
        left = self.end - monotonic()
        if self.stopping.is_set():
            raise TimeoutError("given up: this worker stops")
        if left <= 0:
            raise TimeoutError(f"no answer within {self.seconds:g} s")
        return left


class _Socket(socket.socket):
    """A socket whose reads all together take no longer than its limit.

    A timeout of the library holds for each read: a byte every few seconds would hold a worker
    for good.
    """

    limit: _Limit

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        while True:
            self.settimeout(min(self.limit.left(), _SLICE_SECONDS))
            with suppress(TimeoutError):
                return super().recv_into(buffer, nbytes, flags)


class _TlsSocket(ssl.SSLSocket):
    """The same over TLS."""

    limit: _Limit

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        while True:
            self.settimeout(min(self.limit.left(), _SLICE_SECONDS))
            with suppress(TimeoutError):
                return super().recv_into(buffer, nbytes, flags)


class WebhookClient:
    """Delivers to one URL; used by one thread.

    Parameters
    ----------
    url
        An http(s) URL that `engine.domain.webhooks.checked_url` accepted.
    secret
        Signs every delivery.
    stopping
        Once set, a delivery under way is given up.
    tls
        Whose certificates are trusted; the machine's own if not given.
    limit
        Seconds that a delivery may take.

    Notes
    -----
    Redirects are not followed (what is signed for one receiver is for no other), proxies of the
    environment not used, certificates always verified. A name is looked up in whatever time the
    machine's resolver allows itself.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        stopping: threading.Event,
        tls: ssl.SSLContext | None = None,
        limit: float = LIMIT_SECONDS,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._authority = parts.netloc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret
        self._tls = tls
        self._limit = _Limit(limit, stopping)
        self._connection: HTTPConnection | None = None

    def deliver(self, message: str, body: bytes, at: int) -> None:
        """Post `body`, signed at `at` (microseconds) under the id `message`.

        Raises
        ------
        DeliveryFailed
            Unless the receiver answers 2xx in time.
        """
        headers = self._headers(message, body, at // 1_000_000)
        self._limit.begin()
        try:
            status = self._post(headers, body)
        # A name of a strange form fails as UnicodeError.
        except (OSError, HTTPException, UnicodeError) as error:
            self.close()
            raise DeliveryFailed(_fault(error)) from error
        if not 200 <= status < 300:
            raise DeliveryFailed(f"answered {status}")

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _headers(self, message: str, body: bytes, timestamp: int) -> dict[str, str]:
        return {
            "Host": self._authority,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "User-Agent": "Lishang-Webhooks/1",
            "webhook-id": message,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, message, timestamp, body),
        }

    def _post(self, headers: dict[str, str], body: bytes) -> int:
        if self._connection is not None:
            # The receiver may have closed it while nothing was sent: then a new one is tried.
            with suppress(ConnectionError, HTTPException):
                return self._exchange(self._connection, headers, body)
            self.close()
        self._connection = self._connect()
        return self._exchange(self._connection, headers, body)

    def _exchange(self, connection: HTTPConnection, headers: dict[str, str], body: bytes) -> int:
        if connection.sock is not None:
            connection.sock.settimeout(self._limit.left())
        connection.request("POST", self._target, body, headers)
        answer = connection.getresponse()
        self._read(answer)
        return answer.status

    def _read(self, answer: HTTPResponse) -> None:
        answer.read(MOST_ANSWER)
        if not answer.isclosed() or answer.will_close:
            self.close()

    def _connect(self) -> HTTPConnection:
        connection = HTTPConnection(self._host, self._port)
        connection.auto_open = 0
        plain = self._reach()
        connection.sock = self._wrapped(plain) if self._secure else plain
        return connection

    def _reach(self) -> _Socket:
        failed: OSError = OSError(f"{self._host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_STREAM
        ):
            made = _Socket(family, kind, protocol)
            made.limit = self._limit
            try:
                made.settimeout(min(self._limit.left(), CONNECT_SECONDS))
                made.connect(address)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                made.close()
                failed = error
            else:
                return made
        raise failed

    def _wrapped(self, plain: _Socket) -> _TlsSocket:
        try:
            plain.settimeout(self._limit.left())
            made = self._context().wrap_socket(plain, server_hostname=self._host)
        except OSError:
            plain.close()
            raise
        if not isinstance(made, _TlsSocket):
            raise TypeError("the context makes its own sockets")
        made.limit = self._limit
        return made

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _TlsSocket
        return self._tls


def _fault(error: Exception) -> str:
    """Return what went wrong, fit for a table and a terminal: the receiver has a say in it."""
    why = f"{type(error).__name__}: {str(error) or type(error).__name__}"[:_LONGEST_FAULT]
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in why
    )
