"""The values of one input, as an array."""

from __future__ import annotations

from typing import Any, List, Sequence, Union

import numpy as np

from .manifest import Field

Rows = Union[np.ndarray, List[np.ndarray]]
"""Either float64 (n_rows, n_inputs), or one array (n_rows,) an input: int64, float64, bool, or
objects. A missing value is NaN. For a model that takes dicts: one array of them, (n_rows,)."""

NUMBER: set[type] = {int, float}
KINDS: dict[str, set[type]] = {
    "number": NUMBER,
    "integer": NUMBER,
    "string": {str},
    "boolean": {bool},
    "any": {int, float, str, bool},
}
MISSING = type(None)
BEYOND = 2.0**63


def count(rows: Rows) -> int:
    """How many there are."""
    return len(rows) if isinstance(rows, np.ndarray) else len(rows[0])


class DoubtError(Exception):
    """The rows are not plainly right."""


def plain(field: Field, values: Sequence[Any]) -> np.ndarray:
    """The array of values that are plainly right.

    Raises:
        DoubtError: a value may be of the wrong type, out of range, or missing where it must not be.
    """
    kinds = set(map(type, values))
    if not kinds - ({MISSING} if field.nullable else set()) <= KINDS[field.type]:
        raise DoubtError
    if len(kinds - NUMBER - {MISSING}) + bool(kinds & NUMBER) > 1:
        raise DoubtError  # a mixture, whose numbers have not been looked at
    try:
        array = build(field, values)
    except OverflowError as error:
        raise DoubtError from error
    if array.dtype.kind == "f":
        check_range(array)
        if field.type == "integer":
            check_integral(array)
    return array


def build(field: Field, values: Sequence[Any]) -> np.ndarray:
    """The array (n_rows,) of right values: int64, float64 or bool where no value stands against
    it, objects otherwise; NaN for what is missing.
    """
    kinds = set(map(type, values))
    if field.type in ("number", "integer") or (field.type == "any" and kinds <= NUMBER | {MISSING}):
        if kinds == {int} and field.type != "number":
            return np.array(values, np.int64)
        numbers = np.array(values, np.float64)
        return _whole(numbers) if field.type == "integer" else numbers
    if kinds == {bool}:
        return np.array(values, bool)
    objects = np.empty(len(values), object)
    objects[:] = [np.nan if value is None else value for value in values]
    return objects


def _whole(numbers: np.ndarray) -> np.ndarray:
    whole = (np.mod(numbers, 1) == 0) & (np.abs(numbers) < BEYOND)  # not so for NaN
    return numbers.astype(np.int64) if whole.all() else numbers


def check_range(numbers: np.ndarray) -> None:
    """Doubt numbers that a 64-bit integer does not hold: they may have been written as one."""
    if (np.abs(numbers) >= BEYOND).any():
        raise DoubtError


def check_integral(numbers: np.ndarray) -> None:
    if (np.mod(numbers, 1) > 0).any():
        raise DoubtError
