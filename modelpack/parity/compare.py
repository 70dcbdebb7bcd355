"""Numeric comparison of two answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .precision import Printed, numbers

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
    """Return the first position at which two answers are not equal within `tolerance`."""
    pairs = enumerate(zip(expected, actual, strict=True))
    return next((i for i, (a, b) in pairs if not is_equal(a, b, tolerance)), None)


def is_equal(expected: Any, actual: Any, tolerance: float) -> bool:
    """Return whether two JSON values are equal within `tolerance`, or as they were printed."""
    if isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        pairs = zip(expected, actual, strict=False)
        return len(expected) == len(actual) and all(is_equal(a, b, tolerance) for a, b in pairs)
    if isinstance(expected, Printed) and _is_number(actual) and expected.accepts(actual):
        return True
    return relative_difference(expected, actual) <= tolerance


def differ_by_rounding(expected: Any, actual: Any) -> bool:
    """Return whether all numbers of two values differ only by digits that were not printed."""
    pairs = list(zip(numbers(expected), numbers(actual), strict=False))
    return bool(pairs) and all(isinstance(a, Printed) and a.rounds(b) for a, b in pairs)


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
