"""Counts and durations for Prometheus, summed over however many workers there are."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Final, cast

from flask import Flask, Request, Response, current_app
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from api.auth import is_marked, scope_of
from api.layers import Memory, layers_of
from api.logging import route_of
from engine.domain.verdicts import PackRef
from engine.ledger.keys import Scope

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable naming the folder through which workers share their numbers."""
ANSWERS: Final = "/v1/gifts/<gift>:answer"
"""The route that everything a recipient does is counted as: accept, decline, swap, voucher."""
_EXTENSION: Final = "lishang.metrics"
# The library's own signatures say no types.
_collect_files = cast(Callable[..., object], MultiProcessCollector)
_forget = cast(Callable[..., None], mark_process_dead)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What one process counts; `render` tells the numbers of all of them.

    Parameters
    ----------
    folder
        Where the workers share their numbers; None for a process by itself. In the former case the
        environment variable `SHARED_FOLDER` must have named it before this module was imported.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._registry = CollectorRegistry()
        self._versions: dict[str, str] = {}
        self._deciding: dict[str, PackRef | None] = {}
        self._requests = Counter(
            "lishang_requests_total",
            "Requests answered",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "lishang_request_seconds",
            "Time to answer a request",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._decisions = Counter(
            "lishang_decisions_total",
            "Decisions of the policy; one with several reasons counts under each",
            ["decision", "effect", "reason"],
            registry=self._registry,
        )
        self._counted: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._decided: dict[tuple[str, str, str], Counter] = {}
        self._waiting = Gauge(
            "lishang_decisions_waiting",
            "Decisions of checks that are not written to the ledger yet",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._anomalies = Counter(
            "lishang_policy_anomalies_total",
            "Requests refused because the rules could not decide in good order",
            ["kind"],
            registry=self._registry,
        )
        self._retired = Counter(
            "lishang_policy_engines_retired_total",
            "Rules engines given up after an anomaly",
            registry=self._registry,
        )
        self._retired_told: Callable[[], int] = int
        self._retired_counted = 0
        self._counting = threading.Lock()
        self._models = Gauge(
            "lishang_model_in_use",
            "1 for the version that answers",
            ["model", "version"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )

        self._packs = Gauge(
            "lishang_pack_in_use",
            "1 for the version of rules that decides",
            ["decision", "pack", "version"],
            registry=self._registry,
            multiprocess_mode="livemax",
        )
        self._rulebook_faults = Counter(
            "lishang_rulebook_faults_total",
            "Looks at the stored versions of rules that could not be followed",
            ["kind"],
            registry=self._registry,
        )
        self._shadow_verdicts = Counter(
            "lishang_shadow_verdicts_total",
            "Verdicts of versions in shadow",
            ["pack", "version"],
            registry=self._registry,
        )
        self._shadow_differences = Counter(
            "lishang_shadow_differences_total",
            "Verdicts of versions in shadow that differ from the enforced ones",
            ["pack", "version", "kind"],
            registry=self._registry,
        )
        self._shadow_failures = Counter(
            "lishang_shadow_failures_total",
            "Evaluations in which a version in shadow gave no verdict",
            ["pack", "version"],
            registry=self._registry,
        )

        self._swept = Counter(
            "lishang_gifts_swept_total",
            "Gifts that were moved because their time had come",
            registry=self._registry,
        )
        self._background_faults = Counter(
            "lishang_background_faults_total",
            "Tasks in the background that could not be done and are tried again",
            ["task"],
            registry=self._registry,
        )
        self._deliveries = Counter(
            "lishang_webhook_deliveries_total",
            "Attempts to deliver an event",
            ["webhook", "outcome"],
            registry=self._registry,
        )
        self._undelivered = Counter(
            "lishang_webhook_events_missed_total",
            "Events that were not kept until they could be delivered",
            ["webhook"],
            registry=self._registry,
        )
        self._lag = Gauge(
            "lishang_webhook_lag_seconds",
            "How long the oldest event that some webhook was not told of has waited",
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that took `seconds`; `route` is its template, never its path."""
        known = method if method in _METHODS else "OTHER"
        # Looking children up by their labels costs more than counting does.
        counted = self._counted.get((known, route, status))
        if counted is None:
            counted = self._counted[known, route, status] = (
                self._requests.labels(known, route, str(status)),
                self._seconds.labels(known, route),
            )
        requests, durations = counted
        requests.inc()
        durations.observe(seconds)

    def decided(
        self, decision: str, effect: str, reasons: Iterable[str] = (), times: int = 1
    ) -> None:
        """Count `times` decisions that had the same reason codes."""
        for reason in tuple(reasons) or ("none",):
            told = self._decided.get((decision, effect, reason))
            if told is None:
                told = self._decided[decision, effect, reason] = self._decisions.labels(
                    decision, effect, reason
                )
            told.inc(times)

    def decisions_waiting(self, waiting: int) -> None:
        """Note how many decisions of checks wait to be written."""
        self._waiting.set(waiting)

    def anomaly(self, kind: str) -> None:
        """Count a request refused because the rules could not decide in good order."""
        self._anomalies.labels(kind).inc()

    def follow_retired_engines(self, told: Callable[[], int]) -> None:
        """Count engines given up as `told` tells how many they are, after every request."""
        self._retired_told = told

    def count_retired_engines(self) -> None:
        """Count the engines given up since this was last called."""
        told = self._retired_told()
        with self._counting:
            if told > self._retired_counted:
                self._retired.inc(told - self._retired_counted)
                self._retired_counted = told

    def model_in_use(self, model: str, version: str) -> None:
        """Note which version of a model answers from now on."""
        before = self._versions.get(model)
        if before is not None and before != version:
            self._models.labels(model, before).set(0)
        self._versions[model] = version
        self._models.labels(model, version).set(1)

    def pack_in_use(self, decision: str, ref: PackRef | None) -> None:
        """Note which version of rules decides `decision` from now on; None if none does."""
        before = self._deciding.get(decision)
        if before == ref:
            return
        if before is not None:
            self._packs.labels(decision, before.pack, str(before.version)).set(0)
        if ref is not None:
            self._packs.labels(decision, ref.pack, str(ref.version)).set(1)
        self._deciding[decision] = ref

    def rulebook_fault(self, kind: str) -> None:
        """Count that the stored versions of rules could not be followed."""
        self._rulebook_faults.labels(kind).inc()

    def shadow_evaluated(
        self, shadow: PackRef, verdicts: int, differences: Mapping[str, int]
    ) -> None:
        """Count verdicts of a version in shadow, and by kind those that differ."""
        self._shadow_verdicts.labels(shadow.pack, str(shadow.version)).inc(verdicts)
        for kind, times in differences.items():
            self._shadow_differences.labels(shadow.pack, str(shadow.version), kind).inc(times)

    def shadow_failed(self, shadow: PackRef) -> None:
        """Count an evaluation in which a version in shadow gave no verdict."""
        self._shadow_failures.labels(shadow.pack, str(shadow.version)).inc()

    def gifts_swept(self, gifts: int) -> None:
        """Count gifts that were moved because their time had come."""
        self._swept.inc(gifts)

    def housekeeping_fault(self, task: str) -> None:
        """Count that a task of housekeeping could not be done."""
        self._background_faults.labels(task).inc()

    def delivering_fault(self, task: str) -> None:
        """Count that something other than a receiver failed while webhooks were told."""
        self._background_faults.labels(task).inc()

    def webhook_delivered(self, webhook: str) -> None:
        """Count an event that was taken."""
        self._deliveries.labels(webhook, "delivered").inc()

    def webhook_failed(self, webhook: str) -> None:
        """Count an attempt to deliver that failed."""
        self._deliveries.labels(webhook, "failed").inc()

    def webhook_missed(self, webhook: str, events: int) -> None:
        """Count events that were not kept until they could be delivered."""
        self._undelivered.labels(webhook).inc(events)

    def webhook_lag(self, seconds: float) -> None:
        """Note how long the oldest undelivered event has waited."""
        self._lag.set(seconds)

    def render(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        if self._folder is None:
            return generate_latest(self._registry)
        _forget_dead_workers(self._folder)
        shared = CollectorRegistry()
        _collect_files(shared, path=str(self._folder))
        return generate_latest(shared)


def metrics_from_env() -> Metrics:
    """Return this process's metrics, shared if the server that started it says where."""
    folder = os.environ.get(SHARED_FOLDER)
    return Metrics(Path(folder) if folder else None)


def install(app: Flask, metrics: Metrics) -> None:
    """Count every request of `app`."""
    app.extensions[_EXTENSION] = metrics

    @cache
    def is_answer(endpoint: str | None) -> bool:
        # These numbers are for everybody to see. By itself a decline would be counted at once,
        # with its duration; beside acceptances only, whoever is told of those could subtract them.
        view = app.view_functions.get(endpoint or "")
        return is_marked(view) and scope_of(view) is Scope.GIFTS_ANSWER

    def begin(_request: Request, kept: Memory) -> None:
        kept.metrics_started = perf_counter()

    def end(request: Request, kept: Memory, response: Response) -> None:
        ended = perf_counter()
        seconds = ended - kept.get("metrics_started", ended)
        route = ANSWERS if is_answer(request.endpoint) else route_of(request)
        metrics.answered(request.method, route, response.status_code, seconds)
        metrics.count_retired_engines()

    layers_of(app).add(begin, end)


def current_metrics() -> Metrics:
    """Return the metrics of the application that answers now."""
    return cast(Metrics, current_app.extensions[_EXTENSION])


def _forget_dead_workers(folder: Path) -> None:
    # What a dead worker counted stays counted; what it was (its models) is no longer so.
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _is_alive(pid):
            _forget(pid, path=str(folder))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
