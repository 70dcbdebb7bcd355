"""Training data given to `modelpack.record`: its first rows and its columns.

Nothing is imported for that: frames of pandas and polars are known by what they have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from . import columns as parity_columns
from .columns import MAX_SORTED, SHARES, Column, from_categories, from_values
from .values import is_infinite, is_missing

MAX_COLUMNS = 1000
"""Columns that are described; those of wider data are not."""

Kind = Literal["frame", "array", "text", "dicts"]

_ARROW = re.compile(r"(.+)\[pyarrow\]")
_POLARS_DTYPES = {
    "Boolean": ("bool", "boolean"), "Float64": ("float64", "float64"), "String": ("str", "str"),
    "Float32": ("float32", "float32"), "Utf8": ("str", "str"),
    **{f"{sign}Int{bits}": (f"{sign.lower()}int{bits}", f"{sign}Int{bits}")
       for sign in ("", "U") for bits in (8, 16, 32, 64)},
}  # fmt: skip


def kind_of_rows(rows: Any) -> Kind:
    """Return what the model takes these rows as."""
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
    """Return the number of rows; `len` of a sparse matrix is an error."""
    return int(rows.shape[0]) if hasattr(rows, "shape") else len(rows)


def take(rows: Any, places: Sequence[int]) -> Any:
    """Return some rows in the memory layout that the service gives them: of frames that of a new
    frame, of numbers a C-ordered array of float64.
    """
    if hasattr(rows, "iloc"):
        return _new_frame(rows.iloc[list(places)])
    if isinstance(rows, list | tuple):
        return [rows[place] for place in places]
    taken = rows[list(places)]
    if isinstance(taken, np.ndarray) and taken.dtype.kind in "biuf":
        return np.ascontiguousarray(taken, np.float64)
    return taken


def _new_frame(rows: Any) -> Any:
    """The same frame made of its columns: a frame that was made of an array keeps the order of that
    in memory, also when it is copied, and BLAS adds up in another order for it.
    """
    if not hasattr(rows, "columns"):  # one column
        return rows.copy()
    frame = type(rows)(dict(enumerate(_series(rows))))
    frame.columns = rows.columns
    return frame


def single(rows: Any, place: int) -> Any:
    """Return one row, in the same form as several."""
    if hasattr(rows, "iloc"):
        return rows.iloc[place : place + 1].copy()  # a view has gaps, which tell in the last bits
    return rows[place : place + 1]


def finite_places(rows: Any, wanted: int) -> list[int]:
    """Return the positions of the first rows without an infinity, which JSON cannot hold."""
    window = range(min(count(rows), 10 * wanted))
    values = instances(take(rows, window)) if wanted else []
    found = [place for place, row in zip(window, values, strict=True) if not _has_infinity(row)]
    return found[:wanted]


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
    """Return what all rows tell of each column; nothing for texts and very wide data."""
    kind = kind_of_rows(rows)
    if kind == "dicts":
        keys = dict.fromkeys(str(key) for row in rows for key in row)
        if len(keys) > MAX_COLUMNS:
            return []
        return [_described(from_values, key, [row.get(key) for row in rows]) for key in keys]
    if kind == "text" or (width := _width(rows)) > MAX_COLUMNS:
        return []
    if kind == "frame":
        pairs = zip(names(rows) or (), _series(rows), strict=True)
        return [_described(_of_series, name, series) for name, series in pairs]
    return [_described(_of_array, f"x{i}", part) for i, part in enumerate(_parts(rows, width))]


def _described(describe: Callable[[str, Any], Column], name: str, values: Any) -> Column:
    """A column that cannot be described is still one: its rows may be sent all the same."""
    try:
        return describe(name, values)
    except (TypeError, ValueError, OverflowError):
        return Column(name, "any")


def _width(rows: Any) -> int:
    shape: tuple[int, ...] = np.shape(rows) if isinstance(rows, list | tuple) else rows.shape
    return int(shape[1]) if len(shape) > 1 else 1


def _series(rows: Any) -> Iterator[Any]:
    for place, name in enumerate(rows.columns):
        yield rows.iloc[:, place] if hasattr(rows, "iloc") else rows[name]


def _parts(rows: Any, width: int) -> Iterator[Any]:
    if hasattr(rows, "tocsc"):
        matrix = rows.tocsc()
        for place in range(width):
            yield matrix[:, [place]].toarray().ravel()
        return
    array = np.asarray(rows)
    for place in range(width):
        yield array[:, place] if array.ndim > 1 else array


def _has_infinity(row: Any) -> bool:
    values = row.values() if isinstance(row, dict) else row if isinstance(row, list) else [row]
    return any(map(is_infinite, values))


def _of_series(name: str, series: Any) -> Column:
    """A column of pandas or polars."""
    if not hasattr(series, "iloc"):
        return _of_polars(name, series)
    dtype = str(series.dtype)
    missing = bool(series.isna().any())
    if dtype == "category":
        categories = series.cat.categories.tolist()
        is_ordered = bool(series.cat.ordered)
        return from_categories(name, categories, ordered=is_ordered, nullable=missing)
    if dtype.startswith("Sparse["):
        dtype = dtype[len("Sparse[") :].partition(",")[0].rstrip("]")
    if match := _ARROW.fullmatch(dtype):
        dtype = parity_columns.dtype_of(match[1], missing=missing)
    return _of_dtype(name, dtype, missing, series)


def _of_dtype(name: str, dtype: str, missing: bool, values: Any) -> Column:
    """A column by the name of its dtype, in pandas' words."""
    plain = dtype.lower()
    if plain in {"bool", "boolean"}:
        return Column(name, "boolean", dtype, nullable=missing)
    if plain in _NUMERIC or plain == "float16":
        type_: Literal["number", "integer"] = "number" if "float" in plain else "integer"
        return _with_range(Column(name, type_, dtype, nullable=missing), _floats(values))
    if dtype.startswith("datetime64"):
        return Column(name, "datetime", dtype, nullable=missing)
    if plain in {"str", "string"}:
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


def _of_array(name: str, values: np.ndarray) -> Column:
    """A column of an array, whose dtype is that of all columns and tells nothing of this one."""
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


def _of_polars(name: str, series: Any) -> Column:
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
        return _of_dtype(name, _POLARS_DTYPES[dtype][missing], missing, _PolarsValues(series))
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
    """The same as `columns.with_range` for many numbers: quantiles are those of a part."""
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return column
    spread = finite[:: -(-finite.size // MAX_SORTED)]
    low, high = float(finite.min()), float(finite.max())
    inner = [float(value) for value in np.quantile(spread, SHARES)[1:-1]]
    return replace(column, minimum=low, maximum=high, quantiles=(low, *inner, high))
