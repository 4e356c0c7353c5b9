"""What MLflow raises, as errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.domain.errors import ModelError


@contextmanager
def reported(message: str) -> Iterator[None]:
    """Turn what MLflow and the files raise into a ModelError."""
    try:
        yield
    except ModelError:
        raise
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(f"{message}: {error}", "is MLFLOW_TRACKING_URI right?") from error
    except Exception as error:
        # MlflowException is looked up late, since MLflow is imported late.
        if type(error).__module__.startswith(("mlflow", "sqlalchemy")):
            raise ModelError(f"{message}: {error}", "is MLFLOW_TRACKING_URI right?") from error
        raise
