"""One input as an array; categories as codes."""

from __future__ import annotations

from typing import Any, List, Sequence, Union

import numpy as np

from ..manifest import Field
from . import dates

Rows = Union[np.ndarray, List[np.ndarray]]
"""Decoded rows.

Either float64 (n_rows, n_inputs), or an array (n_rows,) for each input: int64, float64, bool,
datetime64[ns] in UTC, or objects. Missing values are NaN, missing dates NaT. A model that takes
dicts has one array of dicts (n_rows,)."""

NUMBER: set[type] = {int, float}
KINDS: dict[str, set[type]] = {
    "number": NUMBER | {bool},
    "integer": NUMBER | {bool},
    "string": {str},
    "boolean": NUMBER | {bool},
    "datetime": NUMBER | {str},
    "any": {int, float, str, bool},
}
MISSING = type(None)
BEYOND = 2.0**63
INEXACT = 2.0**53
"""The smallest integer that another one becomes when both are floats."""
FAST_TYPES = {
    (type_, nullable): kinds | ({MISSING} if nullable else set())
    for type_, kinds in KINDS.items()
    for nullable in (False, True)
}
"""The types of the values that need no closer look, by type and nullability of a column."""


def flat_column(values: list[Any]) -> list[Any]:
    """Return a column of shape (n_rows, 1), as TensorFlow and MLflow send it, as (n_rows,)."""
    are_lists = all(isinstance(value, list) and len(value) == 1 for value in values)
    return [value[0] for value in values] if are_lists else values


def count(rows: Rows) -> int:
    return len(rows) if isinstance(rows, np.ndarray) else len(rows[0])


def split_rows(rows: Rows) -> list[Rows]:
    """Return each row as rows of length 1."""
    if isinstance(rows, np.ndarray):
        return [rows[index : index + 1] for index in range(len(rows))]
    return [[column[index : index + 1] for column in rows] for index in range(len(rows[0]))]


class FallbackRequiredError(Exception):
    """Rows may be invalid, so each value has to be checked."""


def fast_array(field: Field, values: Sequence[Any]) -> np.ndarray:
    """Return the array of valid values, looking at types and not at each value.

    Raises:
        FallbackRequiredError: A value may have the wrong type, be out of range, or be missing.
    """
    kinds = set(map(type, values))
    if not kinds <= FAST_TYPES[field.type, field.nullable]:
        raise FallbackRequiredError
    if field.type == "any" and _are_mixed(kinds):
        raise FallbackRequiredError  # numbers among other values are not checked here
    if field.type == "boolean" and kinds & NUMBER and not set(values) <= {0, 1, None}:
        raise FallbackRequiredError
    try:
        array = _build(field, values, kinds)
    except (OverflowError, ValueError) as error:
        raise FallbackRequiredError from error
    if array.dtype.kind == "M" and not field.nullable and np.isnat(array).any():
        raise FallbackRequiredError
    if array.dtype.kind == "f" and field.type != "number" and number_type(field) == "integer":
        check_range(array)
        if field.type == "integer":
            check_integral(array)
    return array


def _are_mixed(kinds: set[type]) -> bool:
    return len(kinds - NUMBER - {MISSING}) + bool(kinds & NUMBER) > 1


def build(field: Field, values: Sequence[Any]) -> np.ndarray:
    """Return the array (n_rows,) of valid values.

    It has int64, float64, bool or datetime64[ns] if all values have this type, and objects
    otherwise. Missing values are NaN, missing dates NaT.
    """
    return _build(field, values, set(map(type, values)))


def _build(field: Field, values: Sequence[Any], kinds: set[type]) -> np.ndarray:
    if field.type in ("number", "integer") or (field.type == "any" and kinds <= NUMBER | {MISSING}):
        return _numbers(number_type(field), values, kinds)
    if field.type == "datetime":
        moments = dates.array(values)
        if moments is None:
            raise ValueError("a value is not a date")
        return moments
    if field.type == "boolean" and kinds & NUMBER:
        values = [value if dates.is_missing(value) else bool(value) for value in values]
        kinds = set(map(type, values))
    if field.type == "any" and field.categories and str in kinds:
        values = _match_categories(field.categories, values)
        kinds = set(map(type, values))
        if str not in kinds:
            return _build(field, values, kinds)
    if kinds == {bool}:
        return np.array(values, bool)
    objects = np.empty(len(values), object)
    some_missing = MISSING in kinds
    objects[:] = [np.nan if v is None else v for v in values] if some_missing else values
    return objects


def number_type(field: Field) -> str:
    """Return the type of the numbers in a column, "integer" if its categories are integers.

    pandas writes 3.0 for 3 if another value of the column is missing.
    """
    if field.type == "any" and field.categories:
        ends = {type(field.categories[0]), type(field.categories[-1])}
        return "integer" if ends == {int} else "any"
    return field.type


def _numbers(type_: str, values: Sequence[Any], kinds: set[type]) -> np.ndarray:
    if type_ != "number" and kinds and kinds <= {int, bool}:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            if type_ == "integer":
                raise
    numbers = np.array(values, np.float64)
    return to_integers(numbers) if type_ == "integer" else numbers


def _match_categories(categories: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Return the values, with categories in place of their texts."""
    texts = {value for value in categories if isinstance(value, str)}
    known = {str(value): value for value in categories if not isinstance(value, str)}
    known.update({str(value).lower(): value for value in categories if isinstance(value, bool)})
    return [
        known.get(value, value) if isinstance(value, str) and value not in texts else value
        for value in values
    ]


def to_integers(numbers: np.ndarray) -> np.ndarray:
    """Return float64 (n_rows,) as int64 if all values are integers."""
    is_integer = (np.floor(numbers) == numbers) & (np.abs(numbers) < BEYOND)  # False for NaN
    return numbers.astype(np.int64) if is_integer.all() else numbers


def check_range(numbers: np.ndarray) -> None:
    """Raise FallbackRequiredError unless numbers fit in 64-bit integers."""
    if not are_small(numbers) and (np.abs(numbers) >= BEYOND).any():
        raise FallbackRequiredError


def are_exact(numbers: np.ndarray) -> bool:
    """Return whether no other integers become the same floats: categories would be confused."""
    return not (np.abs(numbers) >= INEXACT).any()  # False for NaN


def check_integral(numbers: np.ndarray) -> None:
    """Raise FallbackRequiredError if a number has a fraction."""
    if not are_integral(numbers):
        raise FallbackRequiredError


def are_small(numbers: np.ndarray) -> bool:
    """Return whether floats are finite and fit in 64 bits. It may be False if they do.

    One pass without memory is enough: no number is larger than the root of the sum of squares.
    """
    flat = numbers.ravel("K")
    return bool(np.vdot(flat, flat) < BEYOND**2)


def are_integral(numbers: np.ndarray) -> bool:
    """Return whether no float has a fraction. NaN has none."""
    return not (np.floor(numbers) < numbers).any()


class CategoryCodes:
    """The codes of categories. `unknown`: the code of other values."""

    def __init__(self, fields: Sequence[Field], unknown: float | None = None) -> None:
        self._codes = {
            index: {value: float(code) for code, value in enumerate(field.categories)}
            for index, field in enumerate(fields)
            if field.categories
        }
        self._unknown = unknown

    def matrix(self, rows: Rows) -> np.ndarray:
        """Return rows as float64 (n_rows, n_inputs), with NaN for missing values.

        Raises:
            ValueError: A value is not a category, and `unknown` is None.
        """
        if isinstance(rows, np.ndarray) and not self._codes:
            return rows
        columns = list(rows.T) if isinstance(rows, np.ndarray) else rows
        return np.column_stack(
            [self._column(index, column) for index, column in enumerate(columns)]
        ).astype(np.float64, copy=False)

    def _column(self, index: int, column: np.ndarray) -> np.ndarray:
        if index not in self._codes:
            return column
        return np.array([self._code(index, value) for value in column.tolist()], np.float64)

    def _code(self, index: int, value: Any) -> float:
        if value != value:  # NaN  # noqa: PLR0124
            return np.nan
        code = self._codes[index].get(value, self._unknown)
        if code is None:
            raise ValueError("not one of the categories")
        return code
