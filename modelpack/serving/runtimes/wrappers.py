"""Wrappers of loaded models: labels, inverses, settings of scikit-learn, guards of boosters.

XGBoost, LightGBM and CatBoost read a text in the place of rows as the name of a file, and predict
its contents. A step before a booster may turn a row into text, so a request could choose the file.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from importlib import import_module
from typing import Any, Callable, Sequence

import numpy as np

ENTRIES = (
    ("xgboost.core", "DMatrix", "__init__"),
    ("lightgbm.basic", "Booster", "predict"),
    ("catboost.core", "Pool", "__init__"),
)
"""Module, class and method of each library through which all data for predictions pass."""

GUARDED = "_modelpack_guarded"
"""Attribute of a method that is guarded."""


def guard() -> None:
    """Make the libraries that are loaded in this process reject text in the place of rows."""
    for module, name, method in ENTRIES:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is None:
            continue  # the model does not need this library
        function = getattr(cls, method)
        if not hasattr(function, GUARDED):
            setattr(cls, method, _guarded(function))


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        data = args[0] if args else kwargs.get("data")
        if _is_text(data):
            raise TypeError(
                "the input of a booster is text, which it would read as the name of a file"
            )
        return function(self, *args, **kwargs)

    setattr(guarded, GUARDED, True)
    return guarded


def _is_text(data: Any) -> bool:
    """Return whether this is text or a path, or an array without rows that may contain one."""
    return isinstance(data, (str, bytes, os.PathLike)) or getattr(data, "shape", None) == ()


class Labelled:
    """A model whose `predict` returns labels. Its other attributes are those of the model."""

    def __init__(self, model: Any, labels: Sequence[Any]) -> None:
        self.model = model
        self.classes_ = np.array(labels)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def predict(self, rows: Any) -> np.ndarray:
        return decode(self.model.predict(rows), self.classes_)


def decode(predictions: Any, labels: np.ndarray) -> np.ndarray:
    """Return the label of each prediction 0, 1, ... Raise IndexError if one has no label."""
    result = np.asarray(predictions)
    codes = result.astype(np.int64)
    if (codes != result).any() or (codes < 0).any():
        raise IndexError("a prediction is not the number of a label")
    decoded: np.ndarray = labels[codes]
    return decoded


class Inverted:
    """A regressor whose predictions pass through the inverse of a transformer of the target.

    Its other attributes are those of the regressor.
    """

    def __init__(self, model: Any, transformer: Any) -> None:
        self.model = model
        self.transformer = transformer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def predict(self, rows: Any) -> np.ndarray:
        values = np.asarray(self.model.predict(rows))
        columns = values.reshape(len(values), -1)
        restored: np.ndarray = self.transformer.inverse_transform(columns)
        return restored.reshape(values.shape)


class Configured:
    """A model whose methods run under `sklearn.config_context(transform_output=...)`.

    Its other attributes are those of the model. scikit-learn stores the setting for each thread, so
    one `set_config` at start does not affect the threads that predict.
    """

    def __init__(self, model: Any, transform_output: str) -> None:
        self.model = model
        self._settings = {"transform_output": transform_output}
        self._context = import_module("sklearn").config_context

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.model, name)
        return self._under_settings(value) if callable(value) else value

    def _under_settings(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            with self._context(**self._settings):
                return method(*args, **options)

        return call
