"""The compiled trees of a version, made when it becomes champion and kept with its run."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain.errors import ModelError
from training.mlflow_errors import reported

if TYPE_CHECKING:
    from mlflow import MlflowClient

COMPILED = frozenset({"ties"})
"""Models that are served compiled."""


def add_compiled(client: MlflowClient, run_id: str, model: str, artifacts: str) -> None:
    """Compile the trees among the files of a run and add the code to them.

    To be done before anyone is told to fetch the version. What is compiled for this machine
    already is left alone. Nothing fails for want of machine code: what cannot be compiled or
    stored is logged, and served by LightGBM.

    Parameters
    ----------
    client
        Of the MLflow server or database that holds the run.
    run_id
        The run of the version.
    model
        Its name; only those in `COMPILED` are compiled.
    artifacts
        The folder of the model's files within the run.
    """
    if model not in COMPILED:
        return
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lishang-compile-") as scratch,
            reported(f"cannot store compiled trees with the {model} model"),
        ):
            folder = Path(client.download_artifacts(run_id, artifacts, scratch))
            for path, files in _compiled(folder):
                where = Path(artifacts, path.parent.relative_to(folder)).as_posix()
                for file in files:
                    client.log_artifact(run_id, str(file), where)
    except ModelError as error:
        logging.getLogger(__name__).warning("the %s model is served uncompiled: %s", model, error)


def _compiled(folder: Path) -> list[tuple[Path, tuple[Path, Path]]]:
    """Return the boosters of `folder` that were compiled now, each with the files made."""
    # Lazy because workers ask the registry for champions and start without LightGBM and LLVM.
    from models.compiled_trees import (  # noqa: PLC0415
        compile_trees,
        compiled_files,
        is_compiled,
        stored_trees,
    )

    made = []
    for path in stored_trees(folder):
        if not is_compiled(path):
            compile_trees(path)
            made.append((path, compiled_files(path)))
    return made
