"""Models of MLflow whose class its author wrote, a subclass of `mlflow.pyfunc.PythonModel`.

They are called as `mlflow.pyfunc.load_model(folder).predict(frame)` calls them.
Source: mlflow/pyfunc/model.py and mlflow/models/signature.py of MLflow 3.17.
"""

from __future__ import annotations

import os
from importlib import import_module
from inspect import signature
from typing import Any

from ..errors import StartupError

BASE = ("mlflow.pyfunc.model", "PythonModel")


def disable_telemetry() -> None:
    """Let MLflow 3 send nothing to its developers, unless the user has set the variable."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def adapt(model: Any) -> Any:
    """Return an object of a class of MLflow with the interface of scikit-learn, others unchanged.

    Raises:
        StartupError: Its `load_context` failed.
    """
    is_python_model = BASE in [(cls.__module__, cls.__name__) for cls in type(model).__mro__]
    return PythonModel(model) if is_python_model else model


class PythonModel:
    """An object of the author's class, with `predict(rows)` alone."""

    def __init__(self, model: Any) -> None:
        self.model = model
        names = signature(model.predict).parameters
        self._options = {"params": None} if "params" in names else {}
        # As MLflow decides: any name of the context counts.
        takes_context = "context" in names or len(set(names) - {"self", "params"}) == 2
        context = _context()
        self._context = (context,) if takes_context else ()
        try:
            model.load_context(context)
        except Exception as error:
            kind = type(error).__name__
            raise StartupError(f"load_context of the model failed: {kind}: {error}") from error

    def predict(self, rows: Any) -> Any:
        return self.model.predict(*self._context, rows, **self._options)


def _context() -> Any:
    """Return a context without artifacts and settings. Old releases have no settings."""
    cls = import_module(BASE[0]).PythonModelContext
    has_settings = "model_config" in signature(cls).parameters
    return cls(artifacts={}, **({"model_config": None} if has_settings else {}))
