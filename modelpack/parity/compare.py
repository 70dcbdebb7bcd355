"""Numeric comparison of two answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

INCOMPARABLE = math.inf


def relative_difference(expected: Any, got: Any) -> float:
    """0.0 where two values of JSON are the same, to the last bit of a float; else, of numbers, the
    difference relative to the largest of both and 1, and of all else infinity. Of lists, the
    largest.
    """
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        if len(expected) != len(got):
            return INCOMPARABLE
        return max(map(relative_difference, expected, got), default=0.0)
    if _is_number(expected) and _is_number(got):
        return _of_numbers(expected, got)
    expected, got = (None if _is_nan(value) else value for value in (expected, got))
    return 0.0 if type(expected) is type(got) and expected == got else INCOMPARABLE


def first_difference(expected: Sequence[Any], got: Sequence[Any], tolerance: float) -> int | None:
    """The first position at which two answers differ by more than `tolerance`."""
    pairs = enumerate(zip(expected, got, strict=True))
    return next((i for i, (a, b) in pairs if relative_difference(a, b) > tolerance), None)


def _of_numbers(expected: float, got: float) -> float:
    if expected == got:
        floats = isinstance(expected, float) and isinstance(got, float)
        same_sign = not floats or math.copysign(1, expected) == math.copysign(1, got)
        return 0.0 if same_sign else math.ulp(0.0)
    if _is_nan(expected) and _is_nan(got):
        return 0.0
    apart = abs(expected - got) / max(abs(expected), abs(got), 1.0)
    return apart if math.isfinite(apart) else INCOMPARABLE


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not _is_nan(value)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
