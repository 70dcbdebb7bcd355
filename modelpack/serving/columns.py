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
PLAIN = {
    (type_, nullable): kinds | ({MISSING} if nullable else set())
    for type_, kinds in KINDS.items()
    for nullable in (False, True)
}
"""The types of the values of a column that are plainly right."""


def count(rows: Rows) -> int:
    """How many there are."""
    return len(rows) if isinstance(rows, np.ndarray) else len(rows[0])


def apart(rows: Rows) -> list[Rows]:
    """Each row by itself."""
    if isinstance(rows, np.ndarray):
        return [rows[index : index + 1] for index in range(len(rows))]
    return [[column[index : index + 1] for column in rows] for index in range(len(rows[0]))]


class DoubtError(Exception):
    """The rows are not plainly right."""


def plain(field: Field, values: Sequence[Any]) -> np.ndarray:
    """The array of values that are plainly right.

    Raises:
        DoubtError: a value may be of the wrong type, out of range, or missing where it must not be.
    """
    kinds = set(map(type, values))
    if not kinds <= PLAIN[field.type, field.nullable]:
        raise DoubtError
    if len(kinds) > 1 and len(kinds - NUMBER - {MISSING}) + bool(kinds & NUMBER) > 1:
        raise DoubtError  # a mixture, whose numbers have not been looked at
    try:
        array = _built(field, values, kinds)
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
    return _built(field, values, set(map(type, values)))


def _built(field: Field, values: Sequence[Any], kinds: set[type]) -> np.ndarray:
    if field.type in ("number", "integer") or (field.type == "any" and kinds <= NUMBER | {MISSING}):
        if kinds == {int} and field.type != "number":
            return np.array(values, np.int64)
        numbers = np.array(values, np.float64)
        return whole(numbers) if field.type == "integer" else numbers
    if kinds == {bool}:
        return np.array(values, bool)
    objects = np.empty(len(values), object)
    some_missing = MISSING in kinds
    objects[:] = [np.nan if v is None else v for v in values] if some_missing else values
    return objects


def whole(numbers: np.ndarray) -> np.ndarray:
    """float64 (n_rows,) as int64, where all values can be."""
    is_whole = (np.floor(numbers) == numbers) & (np.abs(numbers) < BEYOND)  # not so for NaN
    return numbers.astype(np.int64) if is_whole.all() else numbers


def check_range(numbers: np.ndarray) -> None:
    """Doubt numbers that a 64-bit integer does not hold: they may have been written as one."""
    if not are_small(numbers) and (np.abs(numbers) >= BEYOND).any():
        raise DoubtError


def check_integral(numbers: np.ndarray) -> None:
    if not are_integral(numbers):
        raise DoubtError


def are_small(numbers: np.ndarray) -> bool:
    """Whether there is no NaN nor infinity among floats, nor, for sure, any too large for 64 bits.

    It takes one pass and no memory: no number is larger than the root of the sum of squares.
    """
    flat = numbers.ravel("K")
    return bool(np.vdot(flat, flat) < BEYOND**2)


def are_integral(numbers: np.ndarray) -> bool:
    """Whether no float has a fraction; NaN has none."""
    return not (np.floor(numbers) < numbers).any()
