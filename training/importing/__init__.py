"""Files of history into the ledger: read, checked, stored whole or not at all."""

from training.importing.fields import FILE_KINDS, FileKind
from training.importing.interactions import InteractionColumns, read_interactions
from training.importing.options import FileReport, ImportOptions, ImportReport, Progress
from training.importing.presets import PRESETS, RESEARCH_CONSENTS, preset_sources
from training.importing.reading import Source
from training.importing.run import import_files, import_sources, sources_of
from training.importing.values import MICROSECONDS, NumericTimes, TimeUnit

__all__ = [
    "FILE_KINDS",
    "MICROSECONDS",
    "PRESETS",
    "RESEARCH_CONSENTS",
    "FileKind",
    "FileReport",
    "ImportOptions",
    "ImportReport",
    "InteractionColumns",
    "NumericTimes",
    "Progress",
    "Source",
    "TimeUnit",
    "import_files",
    "import_sources",
    "preset_sources",
    "read_interactions",
    "sources_of",
]
