"""An import from beginning to end: every file checked, all stored in one transaction or none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from engine.domain.clock import local_date
from engine.domain.errors import InvalidInput
from engine.ledger.bulk import BulkWriter
from engine.ledger.database import Database
from engine.ledger.structure import refresh_pairs
from engine.ledger.ties import rebuild_ties
from training.importing.checking import Checked, Checker, Known
from training.importing.fields import FILE_KINDS, mapping_of
from training.importing.options import FileReport, ImportOptions, ImportReport, Progress
from training.importing.reading import Source
from training.importing.rejects import Reject, RejectsFile, refusal
from training.importing.storing import Store


def import_files(
    database: Database,
    files: Mapping[str, Path],
    options: ImportOptions,
    progress: Progress | None = None,
) -> ImportReport:
    """Import files of history into a migrated ledger.

    Parameters
    ----------
    files
        Kind of file (`people`, `gifts`, …) to the file; see `FILE_KINDS`.
    progress
        Told how far the work has come.

    Raises
    ------
    FileRefused
        If a file has more bad rows than `options.max_bad` or is of no readable form. Nothing is
        stored then, of no file.
    InvalidInput
        If a file is not there, or a kind, field or column that was named does not exist.
    """
    return import_sources(database, sources_of(files.items(), options), options, progress)


def sources_of(files: Iterable[tuple[str, Path]], options: ImportOptions) -> tuple[Source, ...]:
    """Return the files (kind and file) as sources, in the order in which they are imported."""
    given = list(files)
    unknown = sorted({kind for kind, _ in given} - set(FILE_KINDS))
    if unknown:
        raise InvalidInput(f"no kind of file is called {unknown[0]!r}", f"use {list(FILE_KINDS)}")
    return tuple(
        Source(kind, path, mapping_of(kind, options.mapping), options.times)
        for name, kind in FILE_KINDS.items()
        for told, path in given
        if told == name
    )


def import_sources(
    database: Database,
    sources: Sequence[Source],
    options: ImportOptions,
    progress: Progress | None = None,
) -> ImportReport:
    """Import sources (files, or another's formats read as such); otherwise as `import_files`."""
    started = time.perf_counter()
    with (
        database.writing() as connection,
        BulkWriter(connection) as writer,
        ExitStack() as lists,
    ):
        store = Store(writer, options)
        run = _Run(store, _known(writer, options), options, progress or _silent, lists)
        ended = [run.import_one(source) for source in sources]
        run.refuse_if_bad(ended)
        people, consents = store.record_people()
        ties = 0
        if store.touched:
            run.tell("ties", 0.0)
            ties = rebuild_ties(connection, store.pairs)
            run.tell("ties", 1.0)
        befriended = store.befriended
        left = befriended is None or refresh_pairs(connection, befriended, options.clock()) > 0
    return ImportReport(
        files=tuple(one.report for one in ended),
        people=people,
        consents=consents + store.consents,
        ties=ties,
        structure_left=left,
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, slots=True)
class _Ended:
    report: FileReport
    first: Reject | None


@dataclass(slots=True)
class _Run:
    """What the files of one import share."""

    store: Store
    known: Known
    options: ImportOptions
    tell: Progress
    lists: ExitStack
    _listed: dict[Path, RejectsFile] = field(default_factory=dict)
    _refused: bool = False

    def import_one(self, source: Source) -> _Ended:
        """Check and write one file; once a file is to be refused, only go on checking."""
        started = time.perf_counter()
        file = self.store.open_file(source)
        checker = Checker(source, self.known, local_date(self.options.clock()))
        listed = self._list_beside(source.path)
        read = new = changed = bad = 0
        first: Reject | None = None
        for batch in source.batches():
            checked = checker.check(batch)
            rejects = list(checked.rejects)
            self._learn(source, checked)
            rows = len(batch.lines) + len(batch.misfits)
            bad += rows - len(checked.lines)
            self._refused = self._refused or bad > self.options.max_bad
            if not self._refused:
                stored, contradicting = file.take(checked)
                new, changed = new + stored.new, changed + stored.changed
                bad += len(contradicting)
                self._refused = bad > self.options.max_bad
                rejects += contradicting
            read += rows
            first = first or next(iter(rejects), None)
            listed.add(rejects)
            self.tell(source.path.name, batch.share)
        return _Ended(
            FileReport(
                kind=source.kind.name,
                path=source.path,
                read=read,
                new=new,
                changed=changed,
                bad=bad,
                seconds=time.perf_counter() - started,
                rejects=listed.path if bad else None,
            ),
            first,
        )

    def refuse_if_bad(self, ended: Sequence[_Ended]) -> None:
        """Raise the error of the first file that has too many bad rows."""
        for one in ended:
            if one.report.bad > self.options.max_bad and one.first is not None:
                raise refusal(one.report.bad, self.options.max_bad, one.first, one.report.rejects)

    def _list_beside(self, path: Path) -> RejectsFile:
        wanted = self.options.rejects or path.with_name(f"{path.name}.rejects.csv")
        if wanted not in self._listed:
            listed = self.lists.enter_context(closing(RejectsFile(wanted)))
            self._listed[wanted] = listed
        return self._listed[wanted]

    def _learn(self, source: Source, checked: Checked) -> None:
        """What a file describes may be referred to by those after it."""
        described = source.kind.describes
        if described is None:
            return
        named: set[str] | None = getattr(self.known, source.kind.name)
        if named is not None:
            named.update(checked.columns[described].to_pylist())


def _known(writer: BulkWriter, options: ImportOptions) -> Known:
    if not options.strict:
        return Known()
    return Known(writer.ids("people"), writer.ids("items"), writer.ids("offers"))


def _silent(_label: str, _share: float) -> None:
    """Progress that nobody watches."""
