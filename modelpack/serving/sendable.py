"""Values of a model that not every media type can represent, as values that all can.

Infinity is no number of JSON, and half of a surrogate pair is no character of UTF-8. A client gets
the same in each media type: a missing value for the first, U+FFFD for the second.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

SURROGATE = re.compile(r"[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def text(value: str) -> str:
    """A text without halves of surrogate pairs."""
    return SURROGATE.sub(REPLACEMENT, value)


def texts(value: Any) -> Any:
    """A document, or an array of objects, with such texts, names of members included."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {texts(name): texts(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [texts(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        changed = np.empty(value.shape, object)
        changed.ravel()[:] = [texts(part) for part in value.ravel().tolist()]
        return changed
    return value


def finite(values: Any) -> Any:
    """An array, or a list of floats, with NaN in place of infinity."""
    if isinstance(values, np.ndarray):
        return _finite(values) if values.dtype.kind == "f" else values
    if math.inf in values or -math.inf in values:
        return [math.nan if _is_infinite(value) else value for value in values]
    return values


def _finite(numbers: np.ndarray) -> np.ndarray:
    infinite = np.isinf(numbers)
    return np.where(infinite, numbers.dtype.type(np.nan), numbers) if infinite.any() else numbers


def _is_infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)
