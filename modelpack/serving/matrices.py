"""Arrays as a model gets them from its author: of numpy users, or made of a DataFrame by pandas."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from .columns import Rows
from .frames import numpy_dtype, typed, with_none
from .manifest import Field


class MatrixBuilder:
    """Build arrays (n_rows, n_inputs).

    Without names they are float64 in C order. With names the model was fitted on a DataFrame, and
    scikit-learn makes an array of it: of the dtype that its columns have in common, column by
    column in memory. BLAS adds up numbers in another order for another memory layout or dtype, so
    the last bits of a prediction depend on both.
    """

    def __init__(self, fields: Sequence[Field], named: bool) -> None:
        self._fields = fields
        self._is_named = named
        self._dtypes = list(map(_dtype, fields))
        self._is_plain = all(dtype == np.float64 for dtype in self._dtypes)

    def build(self, rows: Rows) -> np.ndarray:
        """Return a new array of `rows`.

        Models may write to it, as StandardScaler(copy=False) does, and the same rows are often
        predicted by several methods. Compiled code of older releases refuses arrays that are
        read-only, such as those in the body of a request.
        """
        if not isinstance(rows, np.ndarray) and any(c.dtype.kind not in "fib" for c in rows):
            return np.column_stack(list(map(_objects, self._fields, rows)))
        if not self._is_named:
            return _c_ordered(rows)
        if self._is_plain:
            return _by_column(rows)
        columns = rows.T if isinstance(rows, np.ndarray) else rows
        cast = [typed(column, dtype) for column, dtype in zip(columns, self._dtypes)]
        block: np.ndarray = np.array(cast, np.result_type(*cast)).T
        return block


def _objects(field: Field, column: np.ndarray) -> np.ndarray:
    return with_none(field, column) if field.missing_none else column.astype(object)


def _dtype(field: Field) -> np.dtype[Any]:
    known = field.dtype or ("int64" if field.type == "integer" else "float64")
    return numpy_dtype(known) or np.dtype(np.float64)


def _c_ordered(rows: Rows) -> np.ndarray:
    if isinstance(rows, np.ndarray):
        copied: np.ndarray = np.array(rows, order="C")
        return copied
    return np.asarray(np.column_stack(rows), np.float64)


def _by_column(rows: Rows) -> np.ndarray:
    given = rows.T if isinstance(rows, np.ndarray) else rows
    block: np.ndarray = np.array(given, np.float64, order="C").T
    return block


def narrowed(rows: Rows, fields: Sequence[Field]) -> Rows:
    """`rows`, those of `fields` of less than 64 bits rounded to the floats that training had."""
    narrow = {
        place: dtype
        for place, dtype in enumerate(numpy_dtype(field.dtype) for field in fields)
        if dtype is not None and dtype.kind == "f" and dtype.itemsize < 8  # bytes
    }
    if not narrow:
        return rows
    columns = list(rows.T) if isinstance(rows, np.ndarray) else list(rows)
    for place, dtype in narrow.items():
        columns[place] = columns[place].astype(dtype).astype(np.float64)
    return np.array(columns).T if isinstance(rows, np.ndarray) else columns
