"""Training data given to `modelpack.record`: its first rows and its columns.

pandas and polars are not imported: their frames are recognised by their attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from modelpack.errors import UsageError

from . import columns as parity_columns
from .columns import MAX_SORTED, SHARES, Column, from_categories, from_values
from .values import is_infinite, is_missing

MAX_COLUMNS = 1000
"""Wider data is not described."""

Layout = Literal["frame", "array", "text", "dicts"]

_ARROW = re.compile(r"(.+)\[pyarrow\]")
_POLARS_DTYPES = {
    "Boolean": ("bool", "boolean"), "Float64": ("float64", "float64"), "String": ("str", "str"),
    "Float32": ("float32", "float32"), "Utf8": ("str", "str"),
    **{f"{sign}Int{bits}": (f"{sign.lower()}int{bits}", f"{sign}Int{bits}")
       for sign in ("", "U") for bits in (8, 16, 32, 64)},
}  # fmt: skip


def row_layout(rows: Any) -> Layout:
    """Return the layout in which the model takes these rows."""
    if hasattr(rows, "columns"):
        return "frame"
    first = next(iter(rows), None) if isinstance(rows, list | tuple) else None
    if isinstance(first, dict):
        return "dicts"
    if isinstance(first, str):
        return "text"
    if len(getattr(rows, "shape", ())) == 1 and str(getattr(rows, "dtype", "")) not in _NUMERIC:
        return "text"
    return "array"


_NUMERIC = {f"{name}{bits}" for name in ("int", "uint", "float") for bits in (8, 16, 32, 64)}


def count(rows: Any) -> int:
    """Return the number of rows; a sparse matrix has no `len`.

    Raises:
        UsageError: The object contains no rows.
    """
    if not hasattr(rows, "shape") and not isinstance(rows, list | tuple):
        raise UsageError(
            f"An object of the class {type(rows).__name__} contains no rows.",
            hint="Give a DataFrame, an array, or a list of rows: record(model, X, path),"
            " service.predict(X).",
        )
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)


def take(rows: Any, positions: Sequence[int]) -> Any:
    """Return some rows in the memory layout of the service: a new frame, or C-ordered float64."""
    if hasattr(rows, "iloc"):
        return _new_frame(rows.iloc[list(positions)])
    if isinstance(rows, list | tuple):
        return [rows[position] for position in positions]
    taken = rows[list(positions)]
    if isinstance(taken, np.ndarray) and taken.dtype.kind in "biuf":
        return np.ascontiguousarray(taken, np.float64)
    return taken


def _new_frame(rows: Any) -> Any:
    """Return the frame built from its columns.

    A frame built from an array keeps the memory order of that array, even if it is copied, and BLAS
    then sums in another order.
    """
    if not hasattr(rows, "columns"):  # one column
        return rows.copy()
    frame = type(rows)(dict(enumerate(_series(rows))))
    frame.columns = rows.columns
    return frame


def single(rows: Any, index: int) -> Any:
    """Return one row, in the same form as several."""
    if hasattr(rows, "iloc"):
        return rows.iloc[index : index + 1].copy()  # a view has gaps, which change the last bits
    return rows[index : index + 1]


def finite_positions(rows: Any, most: int) -> list[int]:
    """Return the positions of the first rows without an infinity, which JSON does not have."""
    window = range(min(count(rows), 10 * most))
    values = instances(take(rows, window)) if most else []
    finite = [at for at, row in zip(window, values, strict=True) if not _has_infinity(row)]
    return finite[:most]


def names(rows: Any) -> list[str] | None:
    """Return the names of the columns; None for rows without."""
    return [str(name) for name in rows.columns] if hasattr(rows, "columns") else None


def instances(rows: Any) -> list[Any]:
    """Return the rows as lists of Python values, as texts, or as dicts."""
    if hasattr(rows, "columns"):
        columns = [
            each.tolist() if hasattr(each, "tolist") else list(each) for each in _series(rows)
        ]
        return [list(row) for row in zip(*columns, strict=True)]
    if isinstance(rows, list | tuple):
        return list(rows)
    dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
    if dense.dtype.kind in "mM":  # `tolist` gives integers for nanoseconds
        return [list(row) if dense.ndim > 1 else row for row in dense]
    listed: list[Any] = dense.tolist()
    return listed


def columns(rows: Any) -> list[Column]:
    """Return the columns of all rows; none for texts and very wide data."""
    layout = row_layout(rows)
    if layout == "dicts":
        keys = dict.fromkeys(str(key) for row in rows for key in row)
        if len(keys) > MAX_COLUMNS:
            return []
        return [_describe(from_values, key, [row.get(key) for row in rows]) for key in keys]
    if layout == "text" or (width := _width(rows)) > MAX_COLUMNS:
        return []
    if layout == "frame":
        pairs = zip(names(rows) or (), _series(rows), strict=True)
        return [_describe(_from_series, name, series) for name, series in pairs]
    return [_describe(_from_array, f"x{i}", part) for i, part in enumerate(_parts(rows, width))]


def _describe(convert: Callable[[str, Any], Column], name: str, values: Any) -> Column:
    """Return a column; without facts if it cannot be described, as its rows are still valid."""
    try:
        return convert(name, values)
    except (TypeError, ValueError, OverflowError):
        return Column(name, "any")


def _width(rows: Any) -> int:
    shape: tuple[int, ...] = np.shape(rows) if isinstance(rows, list | tuple) else rows.shape
    return int(shape[1]) if len(shape) > 1 else 1


def _series(rows: Any) -> Iterator[Any]:
    for position, name in enumerate(rows.columns):
        yield rows.iloc[:, position] if hasattr(rows, "iloc") else rows[name]


def _parts(rows: Any, width: int) -> Iterator[Any]:
    if hasattr(rows, "tocsc"):
        matrix = rows.tocsc()
        for position in range(width):
            yield matrix[:, [position]].toarray().ravel()
        return
    array = np.asarray(rows)
    for position in range(width):
        yield array[:, position] if array.ndim > 1 else array


def _has_infinity(row: Any) -> bool:
    values = row.values() if isinstance(row, dict) else row if isinstance(row, list) else [row]
    return any(map(is_infinite, values))


def _from_series(name: str, series: Any) -> Column:
    if not hasattr(series, "iloc"):
        return _from_polars(name, series)
    dtype = str(series.dtype)
    missing = bool(series.isna().any())
    if dtype == "category":
        categories = series.cat.categories.tolist()
        is_ordered = bool(series.cat.ordered)
        return from_categories(name, categories, ordered=is_ordered, nullable=missing)
    if dtype.startswith("Sparse["):
        dtype = dtype[len("Sparse[") :].partition(",")[0].rstrip("]")
    if match := _ARROW.fullmatch(dtype):
        dtype = parity_columns.pandas_dtype(match[1], missing=missing)
    return _from_dtype(name, dtype, missing, series)


def _from_dtype(name: str, dtype: str, missing: bool, values: Any) -> Column:
    lower = dtype.lower()
    if lower in {"bool", "boolean"}:
        return Column(name, "boolean", dtype, nullable=missing)
    if lower in _NUMERIC or lower == "float16":
        type_: Literal["number", "integer"] = "number" if "float" in lower else "integer"
        return _with_range(Column(name, type_, dtype, nullable=missing), _floats(values))
    if dtype.startswith("datetime64"):
        return Column(name, "datetime", dtype, nullable=missing)
    if lower in {"str", "string"}:
        return Column(name, "string", dtype, nullable=missing)
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    first = next(filter(is_missing, listed), ...)
    return replace(
        from_values(name, listed, dtype), nullable=missing, missing_none=missing and first is None
    )


def _floats(values: Any) -> np.ndarray:
    try:
        return np.asarray(values.to_numpy(dtype="float64", na_value=np.nan))
    except (AttributeError, TypeError):
        return np.asarray(values, dtype=np.float64)


def _from_array(name: str, values: np.ndarray) -> Column:
    """Return a column of an array. The dtype of the array is not that of a single column."""
    if values.dtype.kind == "b":
        return Column(name, "boolean")
    if values.dtype.kind in "iuf":
        numbers = values.astype(np.float64)
        column = Column(name, "number", nullable=bool(np.isnan(numbers).any()))
        return _with_range(column, numbers)
    if values.dtype.kind in "mM":
        kind: Literal["datetime", "any"] = "datetime" if values.dtype.kind == "M" else "any"
        return Column(name, kind, nullable=bool(np.isnat(values).any()))
    return from_values(name, values.tolist())


def _from_polars(name: str, series: Any) -> Column:
    dtype = str(series.dtype)
    missing = bool(series.is_null().any())
    if dtype.startswith(("Categorical", "Enum")):
        categories = series.cat.get_categories().to_list()
        return from_categories(name, categories, ordered=False, nullable=missing)
    if dtype.startswith("Datetime"):
        zone = re.search(r"time_zone='([^']+)'", dtype)
        unit = re.search(r"time_unit='(\w+)'", dtype)
        known = f"datetime64[{unit[1] if unit else 'us'}{', ' + zone[1] if zone else ''}]"
        return Column(name, "datetime", known, nullable=missing)
    if dtype in _POLARS_DTYPES:
        return _from_dtype(name, _POLARS_DTYPES[dtype][missing], missing, _PolarsValues(series))
    return from_values(name, series.to_list(), "object")


class _PolarsValues:
    """A series of polars with the methods of pandas that are used here."""

    def __init__(self, series: Any) -> None:
        self._series = series

    def to_numpy(self, *, dtype: str, na_value: float) -> np.ndarray:
        values = [na_value if is_missing(value) else value for value in self._series.to_list()]
        return np.asarray(values, dtype)

    def tolist(self) -> list[Any]:
        listed: list[Any] = self._series.to_list()
        return listed


def _with_range(column: Column, numbers: np.ndarray) -> Column:
    """Do the same as `columns.with_range` for many numbers, with quantiles of a sample."""
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return column
    spread = finite[:: -(-finite.size // MAX_SORTED)]
    low, high = float(finite.min()), float(finite.max())
    inner = [float(value) for value in np.quantile(spread, SHARES)[1:-1]]
    return replace(column, minimum=low, maximum=high, quantiles=(low, *inner, high))
