"""The versions of packs, what was done to them and which are in service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row

from engine.domain.errors import LedgerUnavailable
from engine.domain.pack_life import Action, Actor, PackEvent, PackState, StoredVersion
from engine.domain.verdicts import PackRef
from engine.domain.versions import InService, Newest, StoredText
from engine.ledger.database import Database
from engine.ledger.statements import Statement

_COLUMNS = """
  v.pack, v.version, v.decides, v.hash, v.body, v.state, v.effective_from, v.effective_until,
  v.author, v.author_name, v.published_at, v.checks, v.backtest, v.approver, v.approver_name,
  v.enforced_at, EXISTS (SELECT 1 FROM pack_events e
    WHERE e.pack = v.pack AND e.version = v.version
    AND e.action IN ('shadowed', 'shadowed without history')) AS shadowed
"""
_FIND = Statement(f"""
SELECT {_COLUMNS} FROM pack_versions v WHERE v.pack = :pack AND v.version = :version
""")
_BY_HASH = Statement(f"""
SELECT {_COLUMNS} FROM pack_versions v WHERE v.hash = :hash ORDER BY v.pack, v.version
""")
_VERSIONS = Statement(f"""
SELECT {_COLUMNS} FROM pack_versions v
WHERE v.pack = :pack OR :everything ORDER BY v.pack {{bytewise}}, v.version
""")
_DECIDING = Statement(f"""
SELECT {_COLUMNS} FROM pack_versions v
WHERE v.decides = :decides ORDER BY v.pack {{bytewise}}, v.version
""")
_IN_SERVICE = Statement("""
SELECT pack, version, decides, hash, body, state FROM pack_versions
WHERE state IN ('enforced', 'shadow')
ORDER BY coalesce(enforced_at, 0) DESC, pack {bytewise}, version DESC
""")
_NEWEST = Statement("""
SELECT revision, pack, version, occurred_at FROM pack_events ORDER BY revision DESC LIMIT 1
""")
_EVENTS = Statement("""
SELECT revision, pack, version, action, actor, actor_name, occurred_at FROM pack_events
WHERE pack = :pack OR :everything ORDER BY revision
""")
_EVENTS_DECIDING = Statement("""
SELECT e.revision, e.pack, e.version, e.action, e.actor, e.actor_name, e.occurred_at
FROM pack_events e JOIN pack_versions v ON v.pack = e.pack AND v.version = e.version
WHERE v.decides = :decides ORDER BY e.revision
""")
_ADD = Statement("""
INSERT INTO pack_versions (pack, version, decides, hash, body, state, effective_from,
  effective_until, author, author_name, published_at, checks, backtest, approver, approver_name,
  enforced_at)
VALUES (:pack, :version, :decides, :hash, :body, :state, :effective_from, :effective_until,
  :author, :author_name, :published_at, :checks, NULL, NULL, NULL, :enforced_at)
""")
_MOVE = Statement("""
UPDATE pack_versions SET state = :state WHERE pack = :pack AND version = :version
""")
_ENFORCE = Statement("""
UPDATE pack_versions SET state = 'enforced', approver = :approver, approver_name = :approver_name,
  enforced_at = :enforced_at
WHERE pack = :pack AND version = :version
""")
_ATTACH = Statement("""
UPDATE pack_versions SET backtest = :report WHERE pack = :pack AND version = :version
""")
_NOTE = Statement("""
INSERT INTO pack_events (revision, pack, version, action, actor, actor_name, occurred_at)
SELECT coalesce(max(revision), 0) + 1, :pack, :version, :action, :actor, :actor_name, :occurred_at
FROM pack_events
""")


class PackVersions:
    """The versions in one database; the `PackStore` of the policy.

    Parameters
    ----------
    database
        The ledger.

    Notes
    -----
    Every reading method raises `LedgerUnavailable` if the database cannot say.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> Newest:
        """Return the newest change; its revision is 0 before the first."""
        with self._database.reading() as connection:
            return _newest(connection)

    def in_service(self) -> InService:
        """Return what is in service, as of one instant of the database; newest enforced first."""
        with self._database.reading(snapshot=True) as connection:
            newest = _newest(connection)
            rows = _IN_SERVICE.run(connection).all()
        texts = [(row.state, StoredText(_ref(row), row.decides, row.body)) for row in rows]
        return InService(
            newest,
            tuple(text for state, text in texts if state == PackState.ENFORCED),
            tuple(text for state, text in texts if state == PackState.SHADOW),
        )

    def find(self, pack: str, version: int) -> StoredVersion | None:
        """Return that version, if there is one."""
        with self._database.reading() as connection:
            return find(connection, pack, version)

    def find_by_hash(self, pack_hash: str) -> StoredVersion | None:
        """Return the version with this hash, if there is one: a hash covers pack and version."""
        with self._database.reading() as connection:
            row = _BY_HASH.run(connection, hash=pack_hash).first()
        return None if row is None else _version(row)

    def versions(self, pack: str | None = None) -> list[StoredVersion]:
        """Return the versions of `pack`, or of every pack, by pack and number."""
        with self._database.reading() as connection:
            return versions(connection, pack)

    def events(self, pack: str | None = None) -> list[PackEvent]:
        """Return what was done to `pack`, or to every pack, oldest first."""
        with self._database.reading() as connection:
            rows = _EVENTS.run(connection, pack=pack or "", everything=pack is None).all()
        return [_event(row) for row in rows]

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Yield a transaction in which nobody else changes a version: what is read stays true.

        Readers are not held up; they see all of it or nothing.

        Raises
        ------
        LedgerUnavailable
            If the database cannot be reached, refuses the work, or another change goes on for
            longer than a writer waits.
        """
        with self._database.writing() as connection:
            # On SQLite a writer holds the whole database already.
            if not self._database.is_sqlite:
                connection.exec_driver_sql("LOCK TABLE pack_events IN SHARE ROW EXCLUSIVE MODE")
            yield connection


def find(connection: Connection, pack: str, version: int) -> StoredVersion | None:
    """Return that version, if there is one."""
    row = _FIND.run(connection, pack=pack, version=version).first()
    return None if row is None else _version(row)


def versions(connection: Connection, pack: str | None = None) -> list[StoredVersion]:
    """Return the versions of `pack`, or of every pack, by pack and number."""
    rows = _VERSIONS.run(connection, pack=pack or "", everything=pack is None)
    return [_version(row) for row in rows]


def deciding(connection: Connection, decision: str) -> list[StoredVersion]:
    """Return the versions of every pack that decides `decision`, by pack and number."""
    return [_version(row) for row in _DECIDING.run(connection, decides=decision)]


def events_deciding(connection: Connection, decision: str) -> list[PackEvent]:
    """Return what was done to every pack that decides `decision`, oldest first."""
    return [_event(row) for row in _EVENTS_DECIDING.run(connection, decides=decision)]


def add(connection: Connection, version: StoredVersion) -> None:
    """Keep a new version."""
    _ADD.run(
        connection,
        pack=version.ref.pack,
        version=version.ref.version,
        decides=version.decides,
        hash=version.ref.hash,
        body=version.text,
        state=version.state,
        effective_from=version.effective_from,
        effective_until=version.effective_until,
        author=version.author.id,
        author_name=version.author.name,
        published_at=version.published_at,
        checks=version.checks,
        enforced_at=version.enforced_at,
    )


def move(connection: Connection, ref: PackRef, state: PackState) -> None:
    """Give a version another state."""
    _MOVE.run(connection, pack=ref.pack, version=ref.version, state=state)


def enforce(connection: Connection, ref: PackRef, approver: Actor, enforced_at: int) -> None:
    """Put a version in service as of `enforced_at`."""
    _ENFORCE.run(
        connection,
        pack=ref.pack,
        version=ref.version,
        approver=approver.id,
        approver_name=approver.name,
        enforced_at=enforced_at,
    )


def attach(connection: Connection, ref: PackRef, report: str) -> None:
    """Keep a backtest's report (JSON) with a version, instead of any before it."""
    _ATTACH.run(connection, pack=ref.pack, version=ref.version, report=report)


def note(connection: Connection, ref: PackRef, action: Action, actor: Actor, at: int) -> None:
    """Write down what was done under the next revision; only within `PackVersions.changing`."""
    _NOTE.run(
        connection,
        pack=ref.pack,
        version=ref.version,
        action=action,
        actor=actor.id,
        actor_name=actor.name,
        occurred_at=at,
    )


def _newest(connection: Connection) -> Newest:
    row = _NEWEST.run(connection).first()
    if row is None:
        return Newest(0, "", 0, 0)
    return Newest(int(row.revision), row.pack, int(row.version), int(row.occurred_at))


def _ref(row: Row[*tuple[Any, ...]]) -> PackRef:
    return PackRef(row.pack, int(row.version), row.hash)


def _event(row: Row[*tuple[Any, ...]]) -> PackEvent:
    try:
        action = Action(row.action)
    except ValueError as error:
        raise _not_ours(f"event {row.revision}", row.action) from error
    actor = Actor(row.actor, row.actor_name)
    return PackEvent(
        int(row.revision), row.pack, int(row.version), action, actor, int(row.occurred_at)
    )


def _version(row: Row[*tuple[Any, ...]]) -> StoredVersion:
    try:
        state = PackState(row.state)
    except ValueError as error:
        raise _not_ours(f"{row.pack} version {row.version}", row.state) from error
    return StoredVersion(
        ref=_ref(row),
        decides=row.decides,
        text=row.body,
        state=state,
        effective_from=int(row.effective_from),
        effective_until=None if row.effective_until is None else int(row.effective_until),
        author=Actor(row.author, row.author_name),
        published_at=int(row.published_at),
        checks=row.checks,
        backtest=row.backtest,
        shadowed=bool(row.shadowed),
        approver=None if row.approver is None else Actor(row.approver, row.approver_name or ""),
        enforced_at=None if row.enforced_at is None else int(row.enforced_at),
    )


def _not_ours(what: str, word: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{what} of the stored packs says {word!r}, which means nothing here",
        "it was written by hand or by a newer version of this service",
    )
