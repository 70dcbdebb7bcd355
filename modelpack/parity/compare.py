"""Numeric comparison of two answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

INCOMPARABLE = math.inf


def relative_difference(expected: Any, actual: Any) -> float:
    """Return how far two JSON values are apart.

    Returns:
        0.0 for the same value, to the last bit of a float. For other numbers the difference
        relative to the largest of both and 1. For lists the largest difference of their items.
        Infinity for everything else.
    """
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        if len(expected) != len(actual):
            return INCOMPARABLE
        return max(map(relative_difference, expected, actual), default=0.0)
    if _is_number(expected) and _is_number(actual):
        return _number_difference(expected, actual)
    expected, actual = (None if _is_nan(value) else value for value in (expected, actual))
    return 0.0 if type(expected) is type(actual) and expected == actual else INCOMPARABLE


def first_difference(
    expected: Sequence[Any], actual: Sequence[Any], tolerance: float
) -> int | None:
    """Return the first position at which two answers differ by more than `tolerance`."""
    pairs = enumerate(zip(expected, actual, strict=True))
    return next((i for i, (a, b) in pairs if relative_difference(a, b) > tolerance), None)


def _number_difference(expected: float, actual: float) -> float:
    if expected == actual:
        are_floats = isinstance(expected, float) and isinstance(actual, float)
        same_sign = not are_floats or math.copysign(1, expected) == math.copysign(1, actual)
        return 0.0 if same_sign else math.ulp(0.0)
    difference = abs(expected - actual) / max(abs(expected), abs(actual), 1.0)
    return difference if math.isfinite(difference) else INCOMPARABLE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not _is_nan(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
