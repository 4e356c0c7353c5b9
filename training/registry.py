"""Registered models: runs, versions and the champion alias, kept by MLflow."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain.errors import ModelError
from training.compiling import add_compiled
from training.mlflow_errors import reported

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as StoredVersion

CHAMPION = "champion"
"""Alias of the version that serves."""
CHALLENGER = "challenger"
"""Alias of the newest version."""

_PREFIX = "lishang-"
_HISTORY = "lishang.champions"
"""Tag of a registered model: its champions so far, oldest first, the present one last."""
_ARTIFACTS = "model"

# Nothing is reported to anyone, and a dead tracking server is an error within seconds.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_DEFAULTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered version of a model; `registered_at` in microseconds."""

    model: str
    version: str
    aliases: tuple[str, ...]
    registered_at: int
    metrics: Mapping[str, float]


class ModelRegistry:
    """Publishes, promotes and hands out models; MLflow itself is imported at the first use.

    Parameters
    ----------
    tracking_uri
        An MLflow server or database; None takes `MLFLOW_TRACKING_URI`, and without that a SQLite
        file and a folder under `home`.
    home
        Where the local default keeps `mlflow.db` and `mlartifacts/`.
    """

    def __init__(self, tracking_uri: str | None, home: Path) -> None:
        self._home = home.absolute()
        self._database = self._home / "mlflow.db"
        given = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        self._is_local = given is None
        self._uri = given or f"sqlite:///{self._database}"
        self._opened: MlflowClient | None = None

    def publish(
        self,
        model: str,
        folder: Path,
        params: Mapping[str, float | int | str | bool],
        metrics: Mapping[str, float],
        promote: bool = False,
    ) -> ModelVersion:
        """Record a run with its parameters, metrics and files, and register it as a version.

        The version becomes the challenger; it becomes the champion too if there is none yet or if
        `promote` says so. Metrics that are not finite are left out.

        Raises
        ------
        ModelError
            If the files are missing or MLflow cannot store them.
        """
        if not folder.is_dir():
            raise ModelError(f"no model to publish at {folder}", "save the model there first")
        name = _PREFIX + model
        with reported(f"cannot publish the {model} model"):
            client = self._client()
            run_id = client.create_run(self._experiment(client, name)).info.run_id
            for key, parameter in params.items():
                client.log_param(run_id, key, parameter)
            for key, metric in metrics.items():
                if isfinite(metric):
                    # MLflow refuses @ in the name of a metric.
                    client.log_metric(run_id, key.replace("@", "_at_"), metric)
            client.log_artifacts(run_id, str(folder), _ARTIFACTS)
            client.set_terminated(run_id)
            if not client.search_registered_models(filter_string=f"name = '{name}'"):
                client.create_registered_model(name)
            source = f"{client.get_run(run_id).info.artifact_uri}/{_ARTIFACTS}"
            version = str(client.create_model_version(name, source, run_id).version)
            client.set_registered_model_alias(name, CHALLENGER, version)
            if promote or self.champion(model) is None:
                add_compiled(client, run_id, model, _ARTIFACTS)
                _crown(client, name, version)
            return _described(client, client.get_model_version(name, version))

    def champion(self, model: str) -> str | None:
        """Return the champion's version, or None while there is none."""
        return self.champions().get(model)

    def champions(self) -> dict[str, str]:
        """Return the champion's version of every model that has one.

        Cheap enough to ask every few seconds: one query, about 3 ms on the local file.
        """
        if self._is_local and not self._database.exists():
            return {}
        with reported("cannot ask for the champions"):
            found = self._client().search_registered_models(f"name LIKE '{_PREFIX}%'")
        return {
            registered.name.removeprefix(_PREFIX): str(registered.aliases[CHAMPION])
            for registered in found
            if CHAMPION in registered.aliases
        }

    def challenger(self, model: str) -> str:
        """Return the newest version.

        Raises
        ------
        ModelError
            If the model was never trained.
        """
        with reported(f"cannot ask for the {model} challenger"):
            found = _aliases(self._client(), _PREFIX + model).get(CHALLENGER)
        if found is None:
            raise ModelError(f"no {model} model to promote", f"run: lishang train {model}")
        return found

    def fetch(self, model: str, version: str, into: Path) -> Path:
        """Return a local folder with the files of a version, copied under `into` once.

        Several processes may fetch the same version at once: the folder appears whole or not.

        Raises
        ------
        ModelError
            If there is no such version or its files are gone.
        """
        folder = into / f"{model}-{version}"
        if folder.is_dir():
            return folder
        into.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=into, prefix=".fetch-") as scratch,
            reported(f"cannot fetch version {version} of the {model} model"),
        ):
            client = self._client()
            run_id = _run_of(client.get_model_version(_PREFIX + model, version))
            fetched = Path(client.download_artifacts(run_id, _ARTIFACTS, scratch))
            try:
                fetched.rename(folder)
            except OSError:
                if not folder.is_dir():  # otherwise another process was first: same files
                    shutil.copytree(fetched, folder)
        return folder

    def list(self) -> list[ModelVersion]:
        """Return every registered version, by model and newest first."""
        if self._is_local and not self._database.exists():
            return []
        with reported("cannot list the models"):
            client = self._client()
            found = [
                _described(client, stored)
                for registered in client.search_registered_models()
                if registered.name.startswith(_PREFIX)
                for stored in client.search_model_versions(f"name = '{registered.name}'")
            ]
        return sorted(found, key=lambda v: (v.model, -int(v.version)))

    def promote(self, model: str, version: str | None = None) -> ModelVersion:
        """Make `version`, or the challenger when None, the champion; compile its trees first.

        Raises
        ------
        ModelError
            If there is no such version.
        """
        name = _PREFIX + model
        with reported(f"cannot promote the {model} model"):
            client = self._client()
            chosen = version or self.challenger(model)
            stored = client.get_model_version(name, chosen)
            add_compiled(client, _run_of(stored), model, _ARTIFACTS)
            _crown(client, name, chosen)
            return _described(client, stored)

    def rollback(self, model: str) -> ModelVersion:
        """Make the champion before the present one the champion again.

        Raises
        ------
        ModelError
            If there was none before.
        """
        name = _PREFIX + model
        with reported(f"cannot roll the {model} model back"):
            client = self._client()
            history = _history(client, name)
            if len(history) < 2:
                raise ModelError(
                    f"the {model} model has no earlier champion",
                    f"promote a version: lishang models promote {model}",
                )
            stored = client.get_model_version(name, history[-2])
            client.set_registered_model_alias(name, CHAMPION, history[-2])
            client.set_registered_model_tag(name, _HISTORY, ",".join(history[:-1]))
            return _described(client, stored)

    def _client(self) -> MlflowClient:
        if self._opened is None:
            os.environ.update(_ENVIRONMENT)
            for key, value in _DEFAULTS.items():
                os.environ.setdefault(key, value)
            # Lazy because it is slow and reads the settings above when it is imported.
            from mlflow import MlflowClient  # noqa: PLC0415

            logging.getLogger("mlflow").setLevel(logging.WARNING)
            with self._setting_up():
                client = MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
                client.search_registered_models(max_results=1)
            self._opened = client
        return self._opened

    @contextmanager
    def _setting_up(self) -> Iterator[None]:
        """Hold off other processes: two that create the same database at once would both fail."""
        if not self._is_local:
            yield
            return
        self._home.mkdir(parents=True, exist_ok=True)
        with (self._home / "mlflow.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _experiment(self, client: MlflowClient, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # A server keeps the files itself; with a bare database they would fall into the working
        # directory.
        own = None if self._uri.startswith("http") else (self._home / "mlartifacts").as_uri()
        return str(client.create_experiment(name, artifact_location=own))


def _crown(client: MlflowClient, name: str, version: str) -> None:
    history = _history(client, name)
    client.set_registered_model_alias(name, CHAMPION, version)
    if history[-1:] != [version]:
        client.set_registered_model_tag(name, _HISTORY, ",".join([*history, version]))


def _history(client: MlflowClient, name: str) -> list[str]:
    tag = client.get_registered_model(name).tags.get(_HISTORY, "")
    return [version for version in tag.split(",") if version]


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    found = client.search_registered_models(filter_string=f"name = '{name}'")
    return {alias: str(version) for alias, version in found[0].aliases.items()} if found else {}


def _run_of(stored: StoredVersion) -> str:
    if stored.run_id is None:
        raise ModelError(
            f"version {stored.version} of {stored.name} was registered without a run",
            "publish models with lishang train",
        )
    return stored.run_id


def _described(client: MlflowClient, stored: StoredVersion) -> ModelVersion:
    version = str(stored.version)
    return ModelVersion(
        model=stored.name.removeprefix(_PREFIX),
        version=version,
        aliases=tuple(sorted(a for a, v in _aliases(client, stored.name).items() if v == version)),
        registered_at=stored.creation_timestamp * 1_000,
        metrics=dict(client.get_run(_run_of(stored)).data.metrics),
    )
