"""The server with what a test bends: its clock, and how large its SQLite file may grow.

`python -m bent_server serve --port N --workers N`; the rest comes from the environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

from api.app import create_app
from api.serving import serve
from api.settings import Settings
from api.wiring import Services, build
from engine.domain.clock import now

OFFSET_FILE = "BENT_CLOCK"
"""Names a file that holds by how many microseconds the clock is wrong; none is right."""
PAGES_FILE = "BENT_PAGES"
"""Names a file that holds how many pages the database may have (`PRAGMA max_page_count`)."""
_NO_LIMIT = 4_294_967_294


def clock() -> int:
    """Return the time in microseconds, bent as the file says at this moment."""
    path = os.environ.get(OFFSET_FILE)
    try:
        return now() + (int(Path(path).read_text()) if path else 0)
    except FileNotFoundError:
        return now()


def create(settings: Settings) -> Flask:
    """Return the application as a worker makes it."""
    service = build(settings, clock)
    if not isinstance(service, Services):
        raise TypeError(f"the rules of this test are unfit: {service}")
    if service.database.is_sqlite:
        event.listen(service.database.engine, "checkout", limit)
    return create_app(settings, service)


def limit(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    """Let a connection that is about to be used make the file no larger than it may be now."""
    try:
        pages = int(Path(os.environ[PAGES_FILE]).read_text())
    except (FileNotFoundError, KeyError):
        pages = _NO_LIMIT
    connection.cursor().execute(f"PRAGMA max_page_count={pages}")


def main() -> None:
    given = dict(zip(sys.argv[2::2], sys.argv[3::2], strict=True))
    settings = Settings.from_env(os.environ).model_copy(update={"port": int(given["--port"])})
    serve(
        settings,
        int(given["--workers"]),
        application="bent_server:create",
        announce=lambda address: print(address, flush=True),
    )


if __name__ == "__main__":
    main()
