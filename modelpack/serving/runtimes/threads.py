"""Set a model to predict in one thread and one process.

Threads cost more than they save on the few rows of a request, and the workers use all CPUs anyway.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Iterable, Iterator

import numpy as np

COUNTS = ("n_jobs", "_n_threads")
"""Attributes of estimators: workers of joblib, and threads that KMeans had in training."""

OPTIONS = ("_params", "kw_args", "kwargs")
"""Suffixes of attributes that contain keyword arguments of functions."""

PLAIN = {bool, bytes, complex, float, int, str, type(None)}


def use_one_thread(model: Any) -> None:
    """Set the numbers of threads, workers and processes to 1 in every estimator inside `model`."""
    for part, attributes in _objects(model):
        if hasattr(part, "get_params"):
            for name in COUNTS:
                if name in attributes:
                    setattr(part, name, 1)
        for name, value in attributes.items():
            if type(value) is dict and "n_jobs" in value and str(name).endswith(OPTIONS):
                value["n_jobs"] = 1
        if type(part).__module__ == "category_encoders.hashing":
            _use_one_process(part)


def _use_one_process(encoder: Any) -> None:
    """Let a HashingEncoder transform rows in this process.

    category_encoders 2.6 starts processes of `multiprocessing.Manager` even if `max_process` is 1.
    """
    encoder.max_process = 1
    if hasattr(encoder, "require_data"):
        encoder._transform = _Transform(encoder)


class _Transform:
    """Replacement of `HashingEncoder._transform` that needs no queue between processes."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder

    def __call__(self, rows: Any) -> Any:
        encoder = self._encoder
        return encoder.hashing_trick(
            rows, hashing_method=encoder.hash_method, N=encoder.n_components, cols=encoder.cols
        )


def _objects(model: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield all objects inside `model` with their attributes, each once."""
    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, ModuleType):
            continue
        seen.add(id(part))
        waiting.extend(each for each in _items(part) if type(each) not in PLAIN)
        attributes = getattr(part, "__dict__", None)
        if type(attributes) is dict:  # a class has a view of a dict
            waiting.extend(each for each in attributes.values() if type(each) not in PLAIN)
            yield part, attributes


def _items(value: Any) -> Iterable[Any]:
    """Return the items of a list, tuple, dict or array of objects."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, np.ndarray):
        items: Iterable[Any] = value.ravel().tolist() if value.dtype == object else ()
        return items
    return value if isinstance(value, (list, tuple)) else ()
