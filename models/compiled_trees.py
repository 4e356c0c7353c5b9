"""Trees as machine code: compiled when a version is promoted, served only where it agrees."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import lightgbm as lgb
import lleaves
import numpy as np
import structlog
from llvmlite import binding
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.domain.errors import ModelError
from engine.domain.pair_state import Floats
from models.boosting import load_booster, predict, read_booster

TOLERANCE = 1e-12
"""How far compiled trees may lie from the booster, absolutely and relatively: the order in which
leaves are added differs."""

_TARGET = {"target_cpu": "generic", "target_cpu_features": ""}
"""Code for any processor of the architecture: comparing numbers gains nothing from newer ones (it
was no faster), and who promotes is seldom the machine that serves."""

_PROBES = 1_000
_AS_ZERO = float(np.float32(1e-35))
"""LightGBM reads what is no larger than this (`kZeroThreshold`) as 0, compiled code as it is: they
differ at −1e-35 itself, where a threshold may lie."""

_BROKEN = (AssertionError, LookupError, OSError, RuntimeError, ValueError)
"""What lleaves and LLVM raise for a model or a file that they cannot take."""


class _Form(BaseModel):
    """What is written beside compiled trees; hexadecimal SHA-256 of both files it belongs to."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    machine: str
    model_sha256: str
    code_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A booster that predicts; compiled where that was done for this kind of machine.

    Several threads may predict at once, and a process may fork after loading: predicting runs
    plain code on its own arrays.
    """

    booster: lgb.Booster
    """For contributions and saving."""
    _code: lleaves.Model | None = None

    @property
    def compiled(self) -> bool:
        """Whether machine code predicts rather than `Booster.predict`."""
        return self._code is not None

    def predict(self, rows: Floats) -> Floats:
        """Return the predictions (n) for `rows` (n × features), on one thread.

        Compiled trees agree with the booster within `TOLERANCE`.
        """
        if self._code is None:
            return predict(self.booster, rows)
        if len(rows) == 0:
            return np.zeros(0)
        return np.asarray(self._code.predict(rows, n_jobs=1), dtype=np.float64)

    @classmethod
    def load(cls, path: Path, names: Sequence[str]) -> Trees:
        """Return the booster stored at `path`, compiled if `compile_trees` was run on it.

        A compiled form that is damaged or of another machine, model or library is passed over; so
        is one that does not predict what the booster does, which is logged.

        Raises
        ------
        ModelError
            If the booster itself is absent, unreadable or was fitted on other columns than
            `names`.
        """
        booster = load_booster(path, names)
        if not is_compiled(path):
            return cls(booster)
        try:
            return cls(booster, _checked(path, booster))
        except ModelError as error:
            structlog.get_logger("trees").warning("not compiled", path=str(path), why=str(error))
            return cls(booster)


def compile_trees(path: Path) -> Path:
    """Compile the booster stored at `path`; return the path of the code, written beside it.

    It takes half a second for 150 trees of 6 leaves and half a minute for 600 of 24. What is
    written appears whole or not at all, and only after it has agreed with the booster.

    Raises
    ------
    ModelError
        If the booster cannot be read or compiled, or its compiled form predicts something else.
    """
    code, form = compiled_files(path)
    booster = read_booster(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".compile-") as scratch:
            copy = Path(scratch) / path.name
            copy.write_bytes(path.read_bytes())
            made, described = compiled_files(copy)
            lleaves.Model(str(copy)).compile(cache=str(made), **_TARGET)
            found = _Form(machine=machine(), model_sha256=_hash(copy), code_sha256=_hash(made))
            described.write_text(found.model_dump_json() + "\n", encoding="utf-8")
            _checked(copy, booster)
            # A reader in between finds the hashes of another code, and does without.
            made.replace(code)
            described.replace(form)
    except _BROKEN as error:
        raise ModelError(f"cannot compile the trees at {path}: {error!r}") from error
    return code


def compiled_files(path: Path) -> tuple[Path, Path]:
    """Return where the code of the booster stored at `path` belongs, and what describes it."""
    return path.with_suffix(".o"), path.with_suffix(".compiled.json")


def is_compiled(path: Path) -> bool:
    """Whether whole compiled files of this very model for this machine lie beside `path`."""
    code, form = compiled_files(path)
    try:
        found = _Form.model_validate_json(form.read_bytes())
        # A damaged object would end the process in LLVM, so its hash is asked first.
        return found == _Form(machine=machine(), model_sha256=_hash(path), code_sha256=_hash(code))
    except (OSError, ValidationError):
        return False


def stored_trees(folder: Path) -> list[Path]:
    """Return the paths of all boosters stored in `folder` and below, in order."""
    return sorted(path for path in folder.rglob("*.txt") if _is_booster(path))


def machine() -> str:
    """Return what compiled trees are bound to: architecture, system and the two libraries."""
    libraries = " ".join(f"{name} {version(name)}" for name in ("lleaves", "llvmlite"))
    return f"{binding.get_process_triple()} {_TARGET['target_cpu']} {libraries}"


def _checked(path: Path, booster: lgb.Booster) -> lleaves.Model:
    """Return the code beside `path`, once it has predicted what `booster` does.

    Raises
    ------
    ModelError
        If it cannot be loaded or predicts something else.
    """
    try:
        code = lleaves.Model(str(path))
        code.compile(cache=str(compiled_files(path)[0]), **_TARGET)
        rows = _probes(path.read_text(encoding="utf-8"), booster.num_feature())
        found, wanted = code.predict(rows, n_jobs=1), predict(booster, rows)
    except _BROKEN as error:
        raise ModelError(f"cannot load the compiled trees of {path}: {error!r}") from error
    if found.shape != wanted.shape or not np.allclose(
        found, wanted, rtol=TOLERANCE, atol=TOLERANCE
    ):
        raise ModelError(f"the compiled trees of {path} do not predict what the booster does")
    return code


def _probes(text: str, width: int) -> Floats:
    """Return rows (1,000 × width) on, just above and just below the thresholds of the trees.

    A third of the columns of a row lie exactly on a threshold, where a wrong comparison shows;
    now and then one is absent, zero or infinite.
    """
    columns = _numbers(text, "split_feature=").astype(np.int64)
    thresholds = _numbers(text, "threshold=")
    generator = np.random.default_rng(0)
    rows = np.zeros((_PROBES, width))
    for column in range(width):
        own = np.unique(thresholds[columns == column])
        if len(own):
            rows[:, column] = generator.choice(own, _PROBES)
    toward = generator.choice([-np.inf, 0.0, np.inf], rows.shape)
    rows = np.where(toward == 0.0, rows, np.nextafter(rows, toward))
    rows[np.abs(rows) <= _AS_ZERO] = 0.0
    odd = generator.random(rows.shape) < 0.05
    rows[odd] = generator.choice([np.nan, 0.0, -np.inf, np.inf], int(np.count_nonzero(odd)))
    return rows


def _numbers(text: str, field: str) -> Floats:
    """Return the numbers that every tree of a stored booster gives for `field`, end to end."""
    lines = (line.removeprefix(field) for line in text.splitlines() if line.startswith(field))
    return np.array(" ".join(lines).split(), dtype=np.float64)


def _is_booster(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().strip() == b"tree"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
