"""Columnar and matrix input.

A column is an array (n_rows,) of numbers, booleans, dates, texts or objects, or a list of such
values as JSON has them. The same rules hold as for rows of JSON: see `misfits`.
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
"""The kinds of numpy's dtypes whose values are looked at all at once."""


def rows_from_matrix(decoder: Decoder, matrix: np.ndarray) -> Rows:
    """Rows of a matrix (n_rows, n_inputs) of numbers, in the order of the signature. Where it can
    be taken as it is, they are a view of it, which may be read-only.

    Raises:
        Problem: 422 it has another width, or a value that does not fit; 413 too many rows.
    """
    if matrix.ndim != 2:
        raise Problem(422, f"Expected rows and columns, got {matrix.ndim} dimensions.")
    kinds = decoder.array_kinds
    if decoder.numeric and matrix.dtype.kind in kinds and matrix.shape[1] == len(decoder.fields):
        decoder.count(len(matrix))
        numbers = _to_float64(matrix)
        if _are_valid(decoder, numbers):
            return numbers
    return rows_from_columns(decoder, None, list(matrix.T))


def rows_from_columns(
    decoder: Decoder,
    names: Sequence[str] | None,
    columns: Sequence[Column],
    ignored: Extras = None,
) -> Rows:
    """Rows of columns of equal length. `names`: of the columns, in any order; None: they are in the
    order of the signature. Names that are no inputs are added to `ignored`; without it they are
    refused. Columns, too, may come back as read-only views of what came.

    Raises:
        Problem: 422 a column is unknown, missing or there twice, or a value does not fit; 413 too
            many rows.
    """
    length = len(columns[0]) if len(columns) else 0
    decoder.count(length)
    kept = input_positions(decoder, names, len(columns), ignored)
    if kept is not None:
        names, columns = select(names, kept), select(columns, kept)
    if decoder.layout == "dicts":
        return _dicts(decoder, names, columns)
    arranged = _arrange(decoder, names, columns, length)
    if decoder.numeric and all(_is_array(column, decoder.array_kinds) for column in arranged):
        numbers = _to_float64(np.column_stack(arranged))
        if _are_valid(decoder, numbers):
            return numbers
    try:
        arrays = [_array(field, column) for field, column in zip(decoder.fields, arranged)]
    except FallbackRequiredError:
        arrays = _build_strict(decoder, arranged)
    if decoder.numeric and all(array.dtype.kind in "if" for array in arrays):
        return np.column_stack(arrays).astype(np.float64, copy=False)
    return arrays


def input_positions(
    decoder: Decoder, names: Sequence[str] | None, width: int, ignored: Extras = None
) -> list[int] | None:
    """The places of the columns that are inputs of the model; None if all are. `names`, `ignored`:
    as in `of_columns`.

    Raises:
        Problem: 422 a column is unknown, missing or there twice.
    """
    if names is None or decoder.in_order(names):
        return _positions_in_order(decoder, names, width, ignored)
    if width == len(decoder.names) and decoder.known.issuperset(names) and len(set(names)) == width:
        return None  # each input once
    refused = decoder.refused(names, ignored)
    if refused:
        raise validation.table_problem("the name of an input", "an unknown one", refused[0])
    kept = [place for place, name in enumerate(names) if name in decoder.known]
    given: set[str] = set()
    for place in kept:
        if names[place] in given:
            raise validation.table_problem("each column once", "it twice", names[place])
        given.add(names[place])
    for index in decoder.required:
        if decoder.names[index] not in given:
            raise validation.table_problem("this column", "nothing", decoder.names[index])
    return kept if len(kept) < len(names) else None


def _positions_in_order(
    decoder: Decoder, names: Sequence[str] | None, width: int, ignored: Extras
) -> list[int] | None:
    expected = len(decoder.fields)
    if names and names[0] == "" and width == expected + 1 and ignored is not None:
        extra_inputs.add(ignored, names[:1])  # the index, to which pandas gives no name in CSV
        return list(range(1, width))
    if width != expected:
        raise validation.table_problem(f"{expected} columns", str(width))
    return None


def select(values: Any, places: Sequence[int]) -> Any:
    """The values at these places."""
    return [values[place] for place in places]


def _arrange(
    decoder: Decoder, names: Sequence[str] | None, columns: Sequence[Column], length: int
) -> Sequence[Column]:
    """One column a field, in their order; for what may be missing and is not there, nulls."""
    if names is None or decoder.in_order(names):
        return columns
    given = dict(zip(names, columns))
    nothing = [None] * length
    return [given.get(field.name, nothing) for field in decoder.fields]


def _dicts(decoder: Decoder, names: Sequence[str] | None, columns: Sequence[Column]) -> Rows:
    """Rows by name, of no more than what is there: such a model may have 50,000 inputs."""
    if names is None or decoder.in_order(names):
        names = decoder.names
    return decoder.explain([dict(zip(names, row)) for row in zip(*map(_to_list, columns))])


def _is_array(column: Column, kinds: str) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind in kinds


def _are_valid(decoder: Decoder, numbers: np.ndarray) -> bool:
    """Whether float64 (n_rows, n_inputs) is plainly right."""
    with np.errstate(invalid="ignore"):
        if not (are_small(numbers) or _are_in_range(decoder, numbers)):
            return False
        return not decoder.integers or are_integral(numbers[:, decoder.integers])


def _are_in_range(decoder: Decoder, numbers: np.ndarray) -> bool:
    if np.isinf(numbers).any() or np.isnan(numbers[:, decoder.required]).any():
        return False
    return not (np.abs(numbers[:, decoder.integers]) >= BEYOND).any()


def _array(field: Field, column: Column) -> np.ndarray:
    """The column as the model takes it; FallbackRequiredError if it is not plainly right."""
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
    """Right numbers and booleans as int64 or float64; booleans of any type as they are."""
    if column.dtype.kind == "b" and field.type == "any":
        return column
    if field.type == "number" or column.dtype.kind == "f":
        numbers = _to_float64(column)
        return to_integers(numbers) if number_type(field) == "integer" else numbers
    fits = column.dtype.kind == "b" or (column < BEYOND).all()
    return column.astype(np.int64, copy=False) if fits else _to_float64(column)


def _booleans(column: np.ndarray) -> np.ndarray:
    """Zeros, ones and NaN as booleans; among objects where one is missing."""
    missing = np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), bool)
    if not missing.any():
        return column.astype(bool, copy=False)
    objects = column.astype(bool).astype(object)
    objects[missing] = np.nan
    return objects


def _to_float64(numbers: np.ndarray) -> np.ndarray:
    """As float64 that lies as the machine wants it: a copy only where they do not already. A NaN
    may be a signalling one, of which numpy would warn.
    """
    with np.errstate(invalid="ignore"):
        wide = np.asarray(numbers, np.float64)
    return wide if wide.flags.aligned else wide.copy()


def _wrong_values(field: Field, column: np.ndarray) -> np.ndarray:
    """Which values of an array of numbers, booleans or dates do not fit, a mask (n_rows,)."""
    if column.dtype.kind == "M":
        missing = np.isnat(column) if not field.nullable else False
        return np.asarray(dates.beyond(column) | missing)
    if field.type == "boolean" and column.dtype.kind != "f":
        return np.asarray(~np.isin(column, (0, 1)))
    if column.dtype.kind in "iub":
        beyond = column.astype(np.float64) >= BEYOND
        return np.asarray(beyond & (field.type == "integer"))
    column = _to_float64(column)  # of 16 bits, it compares with no large number
    missing = np.isnan(column)
    wrong = np.isinf(column) | (missing if not field.nullable else False)
    if field.type == "boolean":
        wrong |= ~missing & ~np.isin(column, (0, 1))
    if field.type == "integer":
        with np.errstate(invalid="ignore"):
            wrong |= ~missing & ((np.floor(column) != column) | (np.abs(column) >= BEYOND))
    return np.asarray(wrong)


def _build_strict(decoder: Decoder, columns: Sequence[Column]) -> list[np.ndarray]:
    """The same, value by value.

    Raises:
        Problem: 422 names the row and column of what is wrong.
    """
    listed = [_to_list(column) for column in columns]
    errors = [
        {"row": row, **validation.value_error(field, value)}
        for field, values in zip(decoder.fields, listed)
        for row, value in enumerate(values)
        if not validation.fits(field, value)
    ]
    if errors:
        errors.sort(key=lambda error: error["row"])
        raise validation.validation_problem(errors[: validation.MAX_ERRORS])
    return [build(field, values) for field, values in zip(decoder.fields, listed)]


def _to_list(column: Column) -> list[Any]:
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return dates.texts(column)
    listed: list[Any] = column.tolist() if isinstance(column, np.ndarray) else list(column)
    return listed
