"""Webhooks as rows: how far each was told, when it is tried again, which worker delivers now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row

from engine.domain.clock import SECOND
from engine.domain.errors import UnknownReference
from engine.domain.gift_events import FeedEvent, GiftEventKind
from engine.domain.ids import new_id
from engine.domain.webhooks import LONGEST_DELAY, Webhook, checked_url, delay_after, new_secret
from engine.ledger import outbox
from engine.ledger.database import Database
from engine.ledger.statements import Statement

LEASED_FOR: Final = 60 * SECOND
"""How long (microseconds) a worker may deliver without a sign: then another one does."""

_COLUMNS = """webhook, url, secret, kinds, position, attempts, next_at, leased_until, failing_since,
  fault, created_at"""
_INSERT = Statement(f"""
INSERT INTO webhooks ({_COLUMNS})
VALUES (:webhook, :url, :secret, :kinds, :position, 0, :created_at, 0, NULL, NULL, :created_at)
""")
_ALL = Statement(f"SELECT {_COLUMNS} FROM webhooks ORDER BY created_at, webhook")
_FIND = Statement(f"SELECT {_COLUMNS} FROM webhooks WHERE webhook = :webhook")
_DELETE = Statement("DELETE FROM webhooks WHERE webhook = :webhook")
# A time that lies further ahead than any is ever set was set by a clock that went back since.
_FREE = """(leased_until <= :at OR leased_until > :no_lease)
  AND (next_at <= :at OR next_at > :no_delay)"""
_DUE = Statement(f"""
SELECT webhook FROM webhooks WHERE position < :end AND {_FREE} ORDER BY next_at, webhook
""")
# Whoever was served last comes last when there are more than the workers can serve at once.
_LEASE = Statement(f"""
UPDATE webhooks SET leased_until = :until, next_at = :at WHERE webhook = :webhook AND {_FREE}
""")
# Whoever has lost the lease, or whose webhook is removed, changes nothing.
_HELD = "webhook = :webhook AND leased_until = :lease AND position = :position"
_ADVANCE = Statement(f"""
UPDATE webhooks
SET position = :reached, leased_until = :until, attempts = 0, failing_since = NULL, fault = NULL
WHERE {_HELD}
""")
_RELEASE = Statement(f"UPDATE webhooks SET leased_until = 0 WHERE {_HELD}")
_FAIL = Statement(f"""
UPDATE webhooks
SET leased_until = 0, attempts = :attempts, next_at = :next_at, failing_since = :failing_since,
  fault = :fault
WHERE {_HELD}
""")


class Webhooks:
    """The webhooks of one ledger.

    Parameters
    ----------
    database
        The ledger.
    leased_for
        How long (microseconds) a lease lasts.

    Notes
    -----
    Times come from the workers' clocks: they may differ by as much as a lease lasts before two
    workers deliver to one webhook at once, which its receiver sees as a repetition.
    """

    def __init__(self, database: Database, leased_for: int = LEASED_FOR) -> None:
        self._database = database
        self._leased_for = leased_for

    def add(
        self,
        url: str,
        kinds: Iterable[GiftEventKind],
        at: int,
        from_start: bool = False,
        insecure: bool = False,
    ) -> tuple[str, str]:
        """Begin to deliver events to `url`; return the webhook's id and its secret.

        Parameters
        ----------
        kinds
            What is delivered; nothing named: everything.
        from_start
            Whether it is told of every event that is kept, not only of those from now on.
        insecure
            Whether a URL without TLS is accepted.

        Raises
        ------
        InvalidInput
            If nothing may be delivered to `url`.
        """
        webhook, secret = new_id("wh", at), new_secret()
        checked = checked_url(url, insecure)
        with self._database.writing() as unit:
            # What was committed before now belongs to the past, also where it lacks its place.
            outbox.place(unit)
            _INSERT.run(
                unit,
                webhook=webhook,
                url=checked,
                secret=secret,
                kinds=",".join(sorted(set(kinds))),
                position=_start(unit) if from_start else outbox.end(unit),
                created_at=at,
            )
        return webhook, secret

    def all(self) -> list[Webhook]:
        """Return every webhook, oldest first."""
        with self._database.reading() as unit:
            return [_webhook(row) for row in _ALL.run(unit)]

    def remove(self, webhook: str) -> None:
        """End delivering to a webhook; a delivery under way may still arrive.

        Raises
        ------
        UnknownReference
            If there is no such webhook.
        """
        with self._database.writing() as unit:
            if not _DELETE.run(unit, webhook=webhook).rowcount:
                raise UnknownReference(
                    f"no webhook has the id {webhook!r}", "see: lishang webhooks list"
                )

    def due(self, at: int) -> list[str]:
        """Return whom there is something to tell at `at` (microseconds), the longest due first."""
        with self._database.reading() as unit:
            end = outbox.end(unit)
            return [str(row[0]) for row in _DUE.run(unit, end=end, **self._free(at))]

    def waiting(self, webhook: Webhook) -> int:
        """Return how many events are kept that a webhook was not told of, wanted or not."""
        with self._database.reading() as unit:
            oldest = outbox.read(unit, webhook.position, 1)
            return outbox.end(unit) - oldest[0].position + 1 if oldest else 0

    def lag(self, at: int) -> int:
        """Return how long (microseconds) the oldest undelivered event has waited; 0: none has."""
        with self._database.reading() as unit:
            positions = [int(row.position) for row in _ALL.run(unit)]
            since = outbox.waiting_since(unit, min(positions)) if positions else None
        return 0 if since is None else max(0, at - since)

    def lease(self, webhook: str, at: int) -> Webhook | None:
        """Take a webhook for this worker alone; None if another has it or nothing is due."""
        with self._database.writing() as unit:
            until = at + self._leased_for
            if not _LEASE.run(unit, webhook=webhook, until=until, **self._free(at)).rowcount:
                return None
            return _webhook(_FIND.run(unit, webhook=webhook).one())

    def next_events(self, webhook: Webhook, most: int) -> list[FeedEvent]:
        """Return up to `most` events that a webhook was not told of, wanted or not."""
        with self._database.reading() as unit:
            return outbox.read(unit, webhook.position, most)

    def advance(self, leased: Webhook, position: int, at: int) -> Webhook | None:
        """Note that a webhook was told up to `position`, and lease it anew.

        Returns None if the lease was lost meanwhile: then another worker delivers.
        """
        with self._database.writing() as unit:
            until = at + self._leased_for
            if not _ADVANCE.run(unit, reached=position, until=until, **_held(leased)).rowcount:
                return None
            return _webhook(_FIND.run(unit, webhook=leased.webhook).one())

    def release(self, leased: Webhook) -> None:
        """Let other workers deliver."""
        with self._database.writing() as unit:
            _RELEASE.run(unit, **_held(leased))

    def fail(self, leased: Webhook, fault: str, at: int, chance: float) -> None:
        """Note that the next event could not be delivered, and let it wait.

        Parameters
        ----------
        chance
            A random number in 0…1, of which the time to wait depends.
        """
        attempts = leased.attempts + 1
        with self._database.writing() as unit:
            _FAIL.run(
                unit,
                attempts=attempts,
                next_at=at + delay_after(attempts, chance),
                failing_since=at if leased.failing_since is None else leased.failing_since,
                fault=fault,
                **_held(leased),
            )

    def _free(self, at: int) -> dict[str, int]:
        return {
            "at": at,
            "no_lease": at + 2 * self._leased_for,
            "no_delay": at + 2 * LONGEST_DELAY,
        }


def _start(connection: Connection) -> int:
    oldest = outbox.read(connection, 0, 1)
    return oldest[0].position - 1 if oldest else 0


def _held(leased: Webhook) -> dict[str, str | int]:
    return {
        "webhook": leased.webhook,
        "lease": leased.leased_until,
        "position": leased.position,
    }


def _webhook(row: Row[*tuple[Any, ...]]) -> Webhook:
    return Webhook(
        webhook=str(row.webhook),
        url=str(row.url),
        secret=str(row.secret),
        kinds=frozenset(GiftEventKind(kind) for kind in row.kinds.split(",") if kind),
        position=int(row.position),
        attempts=int(row.attempts),
        next_at=int(row.next_at),
        leased_until=int(row.leased_until),
        failing_since=row.failing_since,
        fault=row.fault,
        created_at=int(row.created_at),
    )
