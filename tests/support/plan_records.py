"""Records made from fitted estimators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelpack.serving.runtimes.plans.records import make_record


def to_record(value: Any, special: dict[str, Callable[[Any], Any]] | None = None) -> Any:
    """Return `value` with each estimator in it replaced by a record.

    `special`: name of a class -> function that converts its objects.
    """
    kind = type(value)
    if special and kind.__name__ in special:
        return special[kind.__name__](value)
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.copy()
        value.ravel()[:] = [to_record(each, special) for each in value.ravel().tolist()]
    if isinstance(value, (list, tuple)):
        return kind(to_record(each, special) for each in value)
    if isinstance(value, dict):
        return {key: to_record(each, special) for key, each in value.items()}
    if kind.__module__.startswith("sklearn.") and hasattr(value, "__dict__"):
        attributes = {name: to_record(each, special) for name, each in vars(value).items()}
        return make_record(kind.__module__, kind.__name__, attributes)
    return value
