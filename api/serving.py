"""The server: any number of workers behind one port, drained when it is told to end."""

from __future__ import annotations

import atexit
import gc
import multiprocessing
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from importlib import import_module
from typing import Any, Final, Protocol, cast, runtime_checkable

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from api.settings import Settings
from engine.domain.errors import InvalidInput, LishangError

APPLICATION: Final = "api.app:create_app"
"""What a worker calls with the settings to get its application."""
DRAIN_SECONDS: Final = 30
"""How long a request may go on after the server was told to end."""
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

Application = Callable[..., Any]


@runtime_checkable
class Finishing(Protocol):
    """An application that has something to finish when its worker ends."""

    def finish(self) -> None:
        """Finish it."""
        ...


def serve(
    settings: Settings,
    workers: int = 1,
    application: str = APPLICATION,
    announce: Callable[[str], None] = print,
) -> None:
    """Answer requests until SIGTERM or SIGINT; then finish those under way and return.

    Parameters
    ----------
    settings
        Host, port and whatever the application needs.
    workers
        How many processes answer; each answers one request at a time, so that the tail of the
        latency stays short and no model is used from two threads.
    application
        `module:function` that makes the application from the settings.
    announce
        Is told the address once it is taken.

    Raises
    ------
    InvalidInput
        If the address cannot be taken.
    SystemExit
        With status 1 if a worker keeps failing.
    """
    port = free_port(settings.host, settings.port)
    settings = settings.model_copy(update={"port": port})
    # Workers start as fresh interpreters: a forked one would inherit what this process has opened
    # and locked (a parent that predicted with two threads hangs its forked child).
    multiprocessing.set_start_method("spawn", force=True)
    shared = tempfile.mkdtemp(prefix="lishang-metrics-")
    os.environ[SHARED_FOLDER] = shared
    server = Server(
        application,
        address=settings.host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=1,
        http=HTTPModes.http1,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=DRAIN_SECONDS,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=_log_config(),
    )
    server.on_startup(partial(announce, f"http://{_bracketed(settings.host)}:{port}"))
    try:
        server.serve(target_loader=partial(_load, settings=settings))
    finally:
        os.environ.pop(SHARED_FOLDER, None)
        shutil.rmtree(shared, ignore_errors=True)


def _load(application: str, settings: Settings) -> Application:
    """Make the application in a worker's process."""
    module, _, function = application.partition(":")
    made: object = getattr(import_module(module), function)(settings)
    # What is loaded by now lives as long as the worker (a quarter of a million objects): looking
    # through it in every full collection would stop the request under way for a tenth of a second.
    gc.collect()
    gc.freeze()
    if isinstance(made, Finishing):
        # The interpreter of a worker ends when every request under way has been answered.
        atexit.register(_finish, made)
    return cast(Application, made)


def _finish(application: Finishing) -> None:
    try:
        application.finish()
    except LishangError as error:
        structlog.get_logger("shutdown").error("not finished", why=str(error))


def free_port(host: str, port: int) -> int:
    """Return `port`, or a free one for 0.

    Raises
    ------
    InvalidInput
        If something listens there already.
    """
    # The workers share the port by SO_REUSEPORT, which lets a second server take it without a
    # word; asked for without that option, it is refused while anyone listens.
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with closing(socket.socket(family, kind, protocol)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise InvalidInput(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "end what listens there or choose another: --port",
        ) from error


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _log_config() -> dict[str, Any]:
    """Return the logging of the server itself: our form, on standard error."""
    handler = {
        "class": "logging.StreamHandler",
        "formatter": "json",
        "stream": "ext://sys.stderr",
    }
    return {
        "formatters": {"json": {"()": "api.logging.JsonLines"}},
        "handlers": {"console": handler},
        "loggers": {"_granian": {"handlers": ["console"], "propagate": False}},
    }
