"""Models of MLflow whose class its author wrote, a subclass of `mlflow.pyfunc.PythonModel`.

They are called as `mlflow.pyfunc.load_model(folder).predict(frame)` calls them.
Source: mlflow/pyfunc/model.py, mlflow/models/utils.py and signature.py of MLflow 3.17.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Collection, Mapping

from ..errors import StartupError
from ..manifest import Context

MODULE = "mlflow.pyfunc.model"
BASE = (MODULE, "PythonModel")
CHATS = {"ChatModel", "ChatAgent", "ResponsesAgent"}
SCRIPT = "modelpack_script"
"""The name of the module that a script is run as."""


def disable_telemetry() -> None:
    """Let MLflow 3 send nothing to its developers, unless the user has set the variable."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


class Script:
    """A script that MLflow runs to get the model."""

    def __init__(self, source: bytes, path: str) -> None:
        self.source = source
        self.path = path

    def run(self, settings: Mapping[str, Any]) -> Any:
        """Return the object that the script passes to `mlflow.models.set_model`.

        Raises:
            StartupError: The script failed, or passes no object with a method for rows.
        """
        configuration = import_module("mlflow.models.model_config")
        result = import_module("mlflow.models.model")
        module = ModuleType(SCRIPT)
        module.__file__ = self.path
        sys.modules[SCRIPT] = module
        try:
            # Empty text: `ModelConfig` is not to use the settings of the development.
            configuration._set_model_config(dict(settings) or "")
            exec(compile(self.source, self.path, "exec"), module.__dict__)  # noqa: S102 - trusted
        except Exception as error:
            kind = type(error).__name__
            raise StartupError(f"the script of the model failed: {kind}: {error}") from error
        finally:
            configuration._set_model_config(None)
        model = result.__mlflow_model__
        if model is None:
            raise StartupError("the script of the model does not call mlflow.models.set_model.")
        if not is_python_model(model) and callable(model):
            return import_module(MODULE)._FunctionPythonModel(model)
        return model


def load_script(stream: BinaryIO, _: Collection[str]) -> Script:
    """Return the script in a stream, which `adapt` runs."""
    return Script(stream.read(), stream.name)


def is_python_model(model: Any) -> bool:
    return BASE in [(cls.__module__, cls.__name__) for cls in type(model).__mro__]


def adapt(model: Any, context: Context, directory: Path) -> Any:
    """Return an object of a class of MLflow with the interface of scikit-learn, others unchanged.

    Args:
        model: The object, or a script that creates it.
        context: What it reads besides its file.
        directory: The folder of the bundle.

    Raises:
        StartupError: The script or its `load_context` failed, or it predicts no rows.
    """
    if isinstance(model, Script):
        model = model.run(context.settings)
    elif not is_python_model(model):
        return model
    names = {cls.__name__ for cls in type(model).__mro__ if cls.__module__.startswith("mlflow.")}
    if not is_python_model(model) or names & CHATS:
        raise StartupError(f"the model is a {type(model).__name__}, which does not predict rows.")
    return PythonModel(model, context, directory)


class PythonModel:
    """An object of the author's class, with `predict(rows)` alone."""

    def __init__(self, model: Any, context: Context, directory: Path) -> None:
        self.model = model
        names = signature(model.predict).parameters
        self._options = {"params": None} if "params" in names else {}
        # As MLflow decides: any name of the context counts.
        takes_context = "context" in names or len(set(names) - {"self", "params"}) == 2
        built = _context(context, directory)
        self._context = (built,) if takes_context else ()
        try:
            model.load_context(built)
        except Exception as error:
            kind = type(error).__name__
            raise StartupError(f"load_context of the model failed: {kind}: {error}") from error

    def predict(self, rows: Any) -> Any:
        return self.model.predict(*self._context, rows, **self._options)


def _context(context: Context, directory: Path) -> Any:
    """Return the context of MLflow. Old releases have no settings."""
    cls = import_module(MODULE).PythonModelContext
    folder = directory.resolve() / context.folder
    artifacts = {name: str(folder / path) for name, path in context.artifacts.items()}
    has_settings = "model_config" in signature(cls).parameters
    settings = {"model_config": dict(context.settings) or None} if has_settings else {}
    return cls(artifacts=artifacts, **settings)
