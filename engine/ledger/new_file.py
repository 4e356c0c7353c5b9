"""A file that appears when it is whole and on disk, for its owner's eyes, and replaces none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import IO

from engine.domain.errors import InvalidInput


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file (mode 0600) that becomes `path` if all goes well, else leaves none.

    Raises
    ------
    InvalidInput
        If there is such a file already, also by the time this one is whole; if it cannot be
        written.
    """
    try:
        if path.exists():
            raise _exists(path)
        with _appearing(path) as file:
            yield file
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    made, part = mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(made, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name(Path(part), path)
    finally:
        Path(part).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, is on disk
    finally:
        os.close(folder)


def _name(part: Path, path: Path) -> None:
    """Let the file `part` be found as `path`, unless another is: of two that end at once, one is.

    Raises
    ------
    FileExistsError
        If there is one.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        # Where a file has one name only, this one is taken first: for a moment it is empty.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        part.replace(path)


def _exists(path: Path) -> InvalidInput:
    return InvalidInput(f"{path} exists already", "nothing is replaced: name another file")
