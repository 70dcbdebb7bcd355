"""Decode and validate rows that come as columns or as a matrix.

A column is an array (n_rows,) of numbers, booleans, dates, texts or objects, or a list of values as
in JSON. The rules of `validation` apply as for rows of JSON.
"""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..manifest import Field
from ..problems import Problem
from . import dates, extra_inputs, validation
from .columns import (
    BEYOND,
    FallbackRequiredError,
    Rows,
    are_exact,
    are_integral,
    are_small,
    build,
    fast_array,
    number_type,
    to_integers,
)
from .extra_inputs import Extras
from .rows import Decoder

Column = Any

KINDS = {
    "number": "iufb",
    "integer": "iufb",
    "boolean": "iufb",
    "datetime": "M",
    "any": "iufbM",
    "string": "",
}
"""The kinds of numpy's dtypes whose values are checked as arrays, by type of the input."""


def rows_from_matrix(decoder: Decoder, matrix: np.ndarray) -> Rows:
    """Decode a matrix (n_rows, n_inputs) of numbers in the order of the signature.

    The result may be a view of `matrix`, which may be read-only.

    Raises:
        Problem: 422, the matrix has another width, or a wrong value. 413, it has too many rows.
    """
    if matrix.ndim != 2:
        raise Problem(422, f"Expected rows and columns, got {matrix.ndim} dimensions.")
    kinds = decoder.array_kinds
    if decoder.numeric and matrix.dtype.kind in kinds and matrix.shape[1] == len(decoder.fields):
        decoder.check_count(len(matrix))
        numbers = _to_float64(matrix)
        if _are_valid(decoder, numbers):
            return numbers
    return rows_from_columns(decoder, None, list(matrix.T))


def rows_from_columns(
    decoder: Decoder, names: Sequence[str] | None, columns: Sequence[Column], ignored: Extras = None
) -> Rows:
    """Decode columns of equal length. The result may contain read-only views of them.

    `names` are in any order (None: in the order of the signature). `ignored` receives the names of
    extra inputs. If it is None, they are rejected.

    Raises:
        Problem: 422, a column is unknown, missing or repeated, or a value is wrong. 413, there are
            too many rows.
    """
    length = len(columns[0]) if len(columns) else 0
    decoder.check_count(length)
    names = None if names is None else decoder.stored_names(names)
    kept = input_positions(decoder, names, len(columns), ignored)
    if kept is not None:
        names, columns = select(names, kept), select(columns, kept)
    if decoder.layout == "dicts":
        return _dicts(decoder, names, columns)
    arranged = _arrange(decoder, names, columns, length)
    if decoder.numeric and all(_is_numeric_array(each, decoder.array_kinds) for each in arranged):
        numbers = _to_float64(np.column_stack(arranged))
        if _are_valid(decoder, numbers):
            return numbers
    try:
        arrays = list(map(_column_to_array, decoder.fields, arranged))
    except FallbackRequiredError:
        arrays = _build_checked(decoder, arranged)
    if decoder.numeric and all(array.dtype.kind in "if" for array in arrays):
        numbers = np.column_stack(arrays).astype(np.float64, copy=False)
        return numbers if are_exact(numbers[:, decoder.untyped]) else arrays
    return arrays


def input_positions(
    decoder: Decoder, names: Sequence[str] | None, width: int, ignored: Extras = None
) -> list[int] | None:
    """Return the positions of the columns that are inputs, or None if all are.

    Raises:
        Problem: 422, a column is unknown, missing or repeated.
    """
    names = None if names is None else decoder.stored_names(names)
    if names is None or decoder.in_order(names):
        return _positions_in_order(decoder, names, width, ignored)
    if width == len(decoder.names) and decoder.known.issuperset(names) and len(set(names)) == width:
        return None  # each input once
    rejected = decoder.rejected_names(names, ignored)
    if rejected:
        expected = decoder.expected_name(rejected[0])
        raise validation.table_problem(expected, "an unknown one", rejected[0])
    kept = [index for index, name in enumerate(names) if name in decoder.known]
    present: set[str] = set()
    for index in kept:
        if names[index] in present:
            raise validation.table_problem("each column once", "it twice", names[index])
        present.add(names[index])
    absent = [name for name in decoder.table_columns if name not in present]
    if absent:
        raise validation.absence_problem(absent)
    return kept if len(kept) < len(names) else None


def _positions_in_order(
    decoder: Decoder, names: Sequence[str] | None, width: int, ignored: Extras
) -> list[int] | None:
    expected = len(decoder.fields)
    if names and names[0] == "" and width == expected + 1 and ignored is not None:
        extra_inputs.add(ignored, names[:1])  # the index of pandas, which has no name in CSV
        return list(range(1, width))
    if width != expected:
        raise validation.table_problem(f"{expected} columns", str(width))
    return None


def select(values: Any, indexes: Sequence[int]) -> Any:
    return [values[index] for index in indexes]


def _arrange(
    decoder: Decoder, names: Sequence[str] | None, columns: Sequence[Column], length: int
) -> Sequence[Column]:
    """Return a column for each field, in order, with nulls for columns that need not be sent."""
    if names is None or decoder.in_order(names):
        return columns
    by_name = dict(zip(names, columns))
    nulls = [None] * length
    return [by_name.get(field.name, nulls) for field in decoder.fields]


def _dicts(decoder: Decoder, names: Sequence[str] | None, columns: Sequence[Column]) -> Rows:
    """Decode dicts of the columns that are present: a model may have 50,000 inputs."""
    if names is None or decoder.in_order(names):
        names = decoder.names
    return decoder.explain([dict(zip(names, row)) for row in zip(*map(_to_list, columns))])


def _is_numeric_array(column: Column, kinds: str) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind in kinds


def _are_valid(decoder: Decoder, numbers: np.ndarray) -> bool:
    """Return whether a matrix is valid. It may be False if it is."""
    with np.errstate(invalid="ignore"):
        if not (are_small(numbers) or _are_in_range(decoder, numbers)):
            return False
        if decoder.untyped and not are_exact(numbers[:, decoder.untyped]):
            return False
        return not decoder.integers or are_integral(numbers[:, decoder.integers])


def _are_in_range(decoder: Decoder, numbers: np.ndarray) -> bool:
    if np.isinf(numbers).any() or np.isnan(numbers[:, decoder.required]).any():
        return False
    return not (np.abs(numbers[:, decoder.integers]) >= BEYOND).any()


def _column_to_array(field: Field, column: Column) -> np.ndarray:
    """Return the array of a valid column. Raise FallbackRequiredError if a value may be wrong."""
    kind = column.dtype.kind if isinstance(column, np.ndarray) else ""
    if kind == "M" and kind not in KINDS[field.type]:
        raise validation.table_problem(validation.EXPECTED[field.type], "dates", field.name)
    if not kind or kind not in KINDS[field.type]:
        return fast_array(field, _to_list(column))
    if _wrong_values(field, column).any():
        raise FallbackRequiredError
    if kind == "M":
        return dates.wide(column)
    return _booleans(column) if field.type == "boolean" else _numbers(field, column)


def _numbers(field: Field, column: np.ndarray) -> np.ndarray:
    """Return valid numbers as int64 or float64; booleans of any type stay booleans."""
    if column.dtype.kind == "b" and field.type == "any":
        return column
    if field.type == "number" or column.dtype.kind == "f":
        numbers = _to_float64(column)
        return to_integers(numbers) if number_type(field) == "integer" else numbers
    fits = column.dtype.kind == "b" or (column < BEYOND).all()
    return column.astype(np.int64, copy=False) if fits else _to_float64(column)


def _booleans(column: np.ndarray) -> np.ndarray:
    """Return zeros, ones and NaN as booleans, or as objects if one is missing."""
    missing = np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)
    if not missing.any():
        return column.astype(bool, copy=False)
    objects = column.astype(bool).astype(object)
    objects[missing] = np.nan
    return objects


def _to_float64(numbers: np.ndarray) -> np.ndarray:
    """Return numbers as aligned float64, copied only if needed.

    numpy would warn about signalling NaNs.
    """
    with np.errstate(invalid="ignore"):
        wide = np.asarray(numbers, np.float64)
    return wide if wide.flags.aligned else wide.copy()


def _wrong_values(field: Field, column: np.ndarray) -> np.ndarray:
    """Return a mask (n_rows,) of the wrong values in an array of numbers, booleans or dates."""
    if column.dtype.kind == "M":
        missing = np.isnat(column) if not field.nullable else False
        return np.asarray(dates.beyond(column) | missing)
    if field.type == "boolean" and column.dtype.kind != "f":
        return np.asarray(~np.isin(column, (0, 1)))
    if column.dtype.kind in "iub":
        beyond = column.astype(np.float64) >= BEYOND
        return np.asarray(beyond & (field.type == "integer"))
    column = _to_float64(column)  # floats of 16 bits cannot be compared with large numbers
    missing = np.isnan(column)
    wrong = np.isinf(column) | (missing if not field.nullable else False)
    if field.type == "boolean":
        wrong |= ~missing & ~np.isin(column, (0, 1))
    if field.type == "integer":
        with np.errstate(invalid="ignore"):
            wrong |= ~missing & ((np.floor(column) != column) | (np.abs(column) >= BEYOND))
    return np.asarray(wrong)


def _build_checked(decoder: Decoder, columns: Sequence[Column]) -> list[np.ndarray]:
    """Return the arrays of columns, checked value by value.

    Raises:
        Problem: 422, with the rows and columns of wrong values.
    """
    lists = [_to_list(column) for column in columns]
    errors = [
        {"row": row, **validation.value_error(field, value)}
        for field, values in zip(decoder.fields, lists)
        for row, value in enumerate(values)
        if not validation.fits(field, value)
    ]
    if errors:
        errors.sort(key=lambda error: error["row"])
        raise validation.validation_problem(errors[: validation.MAX_ERRORS])
    return [build(field, values) for field, values in zip(decoder.fields, lists)]


def _to_list(column: Column) -> list[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return dates.texts(column)
    values: list[Any] = column.tolist() if isinstance(column, np.ndarray) else list(column)
    return values
