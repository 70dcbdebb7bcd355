"""Boosters get rows, never the name of a file.

XGBoost, LightGBM and CatBoost open the file that a text in the place of rows names, and answer with
its contents. A step before a booster may turn a row into text, so a request could choose the file.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import Any, Callable

ENTRIES = (
    ("xgboost.core", "DMatrix", "__init__"),
    ("lightgbm.basic", "Booster", "predict"),
    ("catboost.core", "Pool", "__init__"),
)
"""Module, class and method of each library through which all data for predictions pass."""

GUARDED = "_modelpack_guarded"
"""Attribute of a method that is guarded."""


def guard() -> None:
    """Make the libraries that are loaded refuse text in the place of rows, in this process."""
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
            raise TypeError("a booster was given text, which it would take for the name of a file")
        return function(self, *args, **kwargs)

    setattr(guarded, GUARDED, True)
    return guarded


def _is_text(data: Any) -> bool:
    """Return whether this is text or a path, or an array without rows that may contain one."""
    return isinstance(data, (str, bytes, os.PathLike)) or getattr(data, "shape", None) == ()
