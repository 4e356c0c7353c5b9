"""Webhooks are told: a thread of each worker looks for whom, others deliver, one to each."""

from __future__ import annotations

import random
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

import structlog

from api.schemas.feed import Event
from api.webhook_client import LIMIT_SECONDS, DeliveryFailed, WebhookClient
from engine.domain.clock import SECOND, Clock
from engine.domain.gift_events import FeedEvent
from engine.domain.webhooks import Webhook
from engine.ledger.feed import Feed
from engine.ledger.webhooks import Webhooks

POLL_SECONDS: Final = 1.0
MOST_AT_ONCE: Final = 4
"""Webhooks that one worker delivers to at the same time: one that hangs keeps no other waiting."""
_NOTE_SECONDS = 1.0
"""How often progress is noted: what was delivered since is delivered again after a crash."""
_TURN_SECONDS = 10.0
"""How long one webhook is served before another has its turn."""
_EVENTS_AT_ONCE = 100
_LOOK, _DELIVER = "look", "deliver"


class DeliveringMetrics(Protocol):
    """Where it is told how it goes."""

    def webhook_delivered(self, webhook: str) -> None:
        """Count an event that was taken."""

    def webhook_failed(self, webhook: str) -> None:
        """Count an attempt that failed."""

    def webhook_missed(self, webhook: str, events: int) -> None:
        """Count events that were not kept until they could be delivered."""

    def webhook_lag(self, seconds: float) -> None:
        """Note how long the oldest undelivered event has waited."""

    def delivering_fault(self, task: str) -> None:
        """Count that something other than a receiver failed."""


class Delivering:
    """Delivers the feed of one ledger to its webhooks, beside other workers that do.

    Parameters
    ----------
    webhooks
        Who is told.
    feed
        Gives events their places.
    clock
        Tells the time in microseconds.
    poll, limit
        Seconds from one look to the next, and that a delivery may take.
    tls
        Whose certificates are trusted; the machine's own if not given.
    chance
        Random numbers in 0…1, for the time until the next attempt.
    """

    def __init__(
        self,
        webhooks: Webhooks,
        feed: Feed,
        clock: Clock,
        poll: float = POLL_SECONDS,
        limit: float = LIMIT_SECONDS,
        tls: ssl.SSLContext | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._webhooks = webhooks
        self._feed = feed
        self._clock = clock
        self._poll = poll
        self._limit = limit
        self._tls = tls
        self._chance = chance
        self._metrics: DeliveringMetrics | None = None
        self._faults: dict[str, str] = {}
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._under_way: dict[str, threading.Thread] = {}

    def start(self, metrics: DeliveringMetrics | None = None) -> None:
        """Look for whom to tell every second, in the background, until `stop`."""
        with self._starting:
            self._metrics = metrics or self._metrics
            if self._thread is None and not self._stopping.is_set():
                self._thread = threading.Thread(target=self._keep, name="delivering", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Give up what is under way and end; other workers go on with it at once."""
        self._stopping.set()
        with self._starting:
            if self._thread is not None:
                self._thread.join()
        for thread in self._under_way.values():
            thread.join()

    def _keep(self) -> None:
        while not self._stopping.wait(self._poll):
            self._safely(_LOOK, self._look)

    def _look(self) -> None:
        self._feed.place()
        for webhook in self._webhooks.due(self._clock()):
            alive = {name: thread for name, thread in self._under_way.items() if thread.is_alive()}
            self._under_way = alive
            if webhook not in alive and len(alive) < MOST_AT_ONCE:
                self._begin(webhook)
        if self._metrics is not None:
            self._metrics.webhook_lag(self._webhooks.lag(self._clock()) / SECOND)

    def _begin(self, webhook: str) -> None:
        thread = threading.Thread(
            target=self._safely,
            args=(_DELIVER, lambda: self._deliver(webhook), webhook),
            name=webhook,
            daemon=True,
        )
        self._under_way[webhook] = thread
        thread.start()

    def _deliver(self, webhook: str) -> None:
        """Tell a webhook all there is to tell, as far as it takes it."""
        leased = self._webhooks.lease(webhook, self._clock())
        if leased is None:
            return
        if self._tls is None and leased.url.startswith("https:"):
            self._tls = ssl.create_default_context()
        client = WebhookClient(leased.url, leased.secret, self._stopping, self._tls, self._limit)
        turn_ends = monotonic() + _TURN_SECONDS
        try:
            while leased is not None:
                events = self._webhooks.next_events(leased, _EVENTS_AT_ONCE)
                if not events or self._stopping.is_set():
                    break
                leased = self._tell(leased, events, client, turn_ends)
                if monotonic() >= turn_ends:
                    break
            if leased is not None:
                self._webhooks.release(leased)
        finally:
            client.close()

    def _tell(
        self, leased: Webhook, events: list[FeedEvent], client: WebhookClient, turn_ends: float
    ) -> Webhook | None:
        """Deliver `events` in order, at least one and until the turn ends; return the lease as it
        is then, None once it is let go."""
        self._count_missed(leased, events[0].position - leased.position - 1)
        held, reached, noted = leased, leased.position, monotonic()
        for placed in events:
            if leased.wants(placed.event.kind):
                fault = self._try(leased.webhook, client, placed)
                if fault is not None:
                    self._note_failure(held, reached, fault)
                    return None
            reached = placed.position
            if monotonic() - noted >= _NOTE_SECONDS:
                advanced = self._webhooks.advance(held, reached, self._clock())
                if advanced is None:
                    return None
                held, noted = advanced, monotonic()
            if monotonic() >= turn_ends:
                break
        if reached == held.position:
            return held
        return self._webhooks.advance(held, reached, self._clock())

    def _try(self, webhook: str, client: WebhookClient, placed: FeedEvent) -> str | None:
        """Deliver one event; return what went wrong, None if nothing."""
        event = Event.of(placed)
        try:
            client.deliver(event.id, event.model_dump_json().encode(), self._clock())
        except DeliveryFailed as failed:
            return failed.message
        if self._metrics is not None:
            self._metrics.webhook_delivered(webhook)
        return None

    def _note_failure(self, held: Webhook, reached: int, fault: str) -> None:
        current: Webhook | None = held
        if reached > held.position:
            current = self._webhooks.advance(held, reached, self._clock())
        if current is None:
            return
        if self._stopping.is_set():
            # Given up by us: the receiver is not to blame.
            self._webhooks.release(current)
            return
        self._webhooks.fail(current, fault, self._clock(), self._chance())
        if self._metrics is not None:
            self._metrics.webhook_failed(held.webhook)
        structlog.get_logger("webhooks").warning(
            "delivery failed", webhook=held.webhook, attempt=current.attempts + 1, why=fault
        )

    def _count_missed(self, leased: Webhook, events: int) -> None:
        if events <= 0:
            return
        if self._metrics is not None:
            self._metrics.webhook_missed(leased.webhook, events)
        structlog.get_logger("webhooks").error(
            "events not kept", webhook=leased.webhook, events=events, after=leased.position
        )

    def _safely(self, task: str, work: Callable[[], None], webhook: str = "") -> None:
        """Do a part of the work, and go on whatever becomes of it."""
        try:
            work()
        # Everything: were these threads to die, nobody would be told anything any more. What was
        # leased falls to whoever looks after the lease has run out.
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            told = self._faults.get(task + webhook) == why
            self._faults[task + webhook] = why
            with suppress(Exception):  # such as a log that cannot be written
                if self._metrics is not None:
                    self._metrics.delivering_fault(task)
                if not told:
                    structlog.get_logger("webhooks").error(
                        "not done", task=task, webhook=webhook, why=why
                    )
        else:
            self._faults.pop(task + webhook, None)
