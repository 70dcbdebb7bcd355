"""Decoded rows as DataFrames and arrays with the dtypes of the training."""

from __future__ import annotations

from typing import Any, Callable, Collection, Sequence

import numpy as np

from ..manifest import Field
from .columns import BEYOND, Rows

Make = Callable[[np.ndarray], Any]
"""Converts a column of `Rows` to a Series or an array of pandas."""

_TEXTS = ("str", "object")


class FrameBuilder:
    """Build DataFrames with one column for each field.

    pandas infers unknown dtypes. `closed`: categories that training did not have are errors.
    """

    def __init__(self, fields: Sequence[Field], closed: bool = False) -> None:
        import pandas  # noqa: PLC0415 - only models that take a DataFrame need it

        self._pandas = pandas
        self._closed = closed
        self._names = [field.name for field in fields]
        self._makes = [self._maker(field) for field in fields]
        self._is_plain = all(
            field.type == "number" and field.dtype in (None, "float64") for field in fields
        )

    def build(self, rows: Rows) -> Any:
        """Return the DataFrame of `rows`, which models may write to.

        Raises:
            ValueError: A value is not one of the categories, which are `closed`.
        """
        if isinstance(rows, np.ndarray):
            if self._is_plain:  # pandas before 3 keeps the memory layout of an array
                block = np.array(rows, order="F")
                return self._pandas.DataFrame(block, columns=self._names)
            rows = list(np.array(rows.T, order="C"))
        pairs = zip(self._names, self._makes, rows)
        return self._pandas.DataFrame({name: make(column) for name, make, column in pairs})

    def _maker(self, field: Field) -> Make:
        if field.dtype == "category":
            return self._category(field)
        is_duration = (field.dtype or "").startswith("timedelta64")
        if is_duration or field.type == "datetime" or (field.dtype or "").startswith("datetime64"):
            convert = self._durations if is_duration else self._dates
            return lambda column: convert(column, field.dtype)
        if field.missing_none:
            return lambda column: self._pandas.Series(with_none(field, column), dtype=object)
        if field.dtype in _TEXTS or (field.dtype is None and field.type == "string"):
            return self._text(field.dtype)
        dtype = numpy_dtype(field.dtype)
        if dtype is not None:
            return lambda column: self._inferred(typed(column, dtype))
        return self._inferred if field.dtype is None else self._extension(field.dtype)

    def _inferred(self, column: np.ndarray) -> Any:
        """Let pandas infer the dtype of a column of objects."""
        is_object = column.dtype.kind == "O"
        return self._pandas.Series(column.tolist() if is_object else column)

    def _text(self, dtype: str | None) -> Make:
        """Convert texts, which are `object` or, since pandas 3, `str`."""
        kind = object if dtype == "object" else self._pandas.Series(["a"]).dtype
        return lambda column: self._pandas.Series(column, dtype=object).astype(kind)

    def _extension(self, dtype: str) -> Make:
        """Convert to a dtype of pandas or an extension, such as Int64, boolean or string.

        If this release of pandas cannot, it infers the dtype.
        """

        def make(column: np.ndarray) -> Any:
            series = self._inferred(column)
            for cast in (series.astype, lambda kind: self._pandas.array(column.tolist(), kind)):
                try:
                    return cast(dtype)
                except (TypeError, ValueError, ImportError):
                    continue
            return series

        return make

    def _dates(self, column: np.ndarray, dtype: str | None) -> Any:
        dates = self._pandas.to_datetime(self._pandas.Series(column), utc=True)
        zone = _zone(dtype)
        return _converted(dates.dt.tz_convert(zone) if zone else dates.dt.tz_localize(None), dtype)

    def _durations(self, column: np.ndarray, dtype: str | None) -> Any:
        """Convert durations, which are texts of pandas, or milliseconds as it writes to JSON."""
        delta = self._pandas.Timedelta
        durations = [
            delta(value, unit="ms") if isinstance(value, (int, float)) else delta(value)
            for value in column.tolist()
        ]
        return _converted(self._pandas.Series(durations, dtype="timedelta64[ns]"), dtype)

    def _category(self, field: Field) -> Make:
        """Convert to the categories of training in their order, followed by new ones.

        Libraries treat new categories as they do in the author's own DataFrame.
        """
        pandas = self._pandas
        known = pandas.Index(list(field.categories or ()))
        if field.type == "datetime":
            known = pandas.to_datetime(known)  # of ISO 8601

        def make(column: np.ndarray) -> Any:
            values = self._dates(column, None) if field.type == "datetime" else column
            codes, categories = known.get_indexer(values), known
            unknown = np.asarray((codes < 0) & ~pandas.isna(values))
            if unknown.any():
                if self._closed:
                    raise ValueError("not one of the categories")
                more = pandas.Series(values)[unknown].unique()
                more = _whole(more.tolist()) if field.type == "integer" else more
                categories = known.append(pandas.Index(more))
                codes = categories.get_indexer(values)
            return pandas.Categorical.from_codes(codes, categories)

        return make


def with_none(field: Field, column: np.ndarray) -> np.ndarray:
    """Return a column of objects with None for missing values."""
    values = column.tolist()
    values = _whole(values) if field.type == "integer" else values
    objects = np.empty(len(column), object)
    objects[:] = [None if value != value else value for value in values]  # NaN  # noqa: PLR0124
    return objects


def typed(column: np.ndarray, dtype: Any) -> np.ndarray:
    """Return `column` in `dtype`, as pandas represents it.

    A column of integers or booleans keeps its dtype if a value does not fit, such as a missing
    one. Booleans with missing values are floats, as boosters do not accept objects.
    """
    if column.dtype == dtype:
        return column
    if dtype.kind == "f":
        return column.astype(dtype)
    if column.dtype.kind == "O":
        kinds = set(map(type, column.tolist()))
        if kinds <= ({bool} if dtype.kind == "b" else {int, bool}):
            return column.astype(dtype)
        return column.astype(np.float64) if kinds == {bool, float} else column
    return column.astype(dtype) if _fits(column, dtype) else column


def _fits(column: np.ndarray, dtype: Any) -> bool:
    if dtype.kind == "b":
        return bool(((column == 0) | (column == 1)).all())
    if column.dtype.kind == "b":
        return True
    bounds = np.iinfo(dtype)
    with np.errstate(invalid="ignore"):
        is_within = (column >= bounds.min) & (column <= bounds.max) & (np.abs(column) < BEYOND)
        return bool((is_within & (np.floor(column) == column)).all())


def numpy_dtype(name: str | None) -> Any:
    """Return the dtype of numpy's numbers or booleans with this name, or None."""
    try:
        dtype = np.dtype(name) if name else None
    except TypeError:
        return None
    is_numpy = dtype is not None and dtype.kind in "fiub" and dtype.name == name
    return dtype if is_numpy else None  # numpy before 1.20 accepts "Int64", too


def _whole(values: list[Any]) -> list[Any]:
    """Return floats without fraction as integers. A missing value turned them into floats."""
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]


def _zone(dtype: str | None) -> str | None:
    """Return the time zone in "datetime64[ns, UTC]"."""
    _, comma, zone = (dtype or "").rstrip("]").partition(",")
    return zone.strip() if comma else None


def _converted(dates: Any, dtype: str | None) -> Any:
    try:
        return dates.astype(dtype) if dtype else dates
    except (TypeError, ValueError):  # pandas before 2 supports only nanoseconds
        return dates


class MatrixBuilder:
    """Build arrays (n_rows, n_inputs).

    Without names they are float64 in C order. A model with names was fitted on a DataFrame, which
    scikit-learn converts to an array in Fortran order with the common dtype of the columns. The
    last bits of a prediction depend on both, as BLAS sums in another order.
    """

    def __init__(
        self, fields: Sequence[Field], named: bool, categorical: Collection[int] = ()
    ) -> None:
        """`categorical`: positions of inputs that CatBoost takes only in an array of objects."""
        self._fields = fields
        self._is_named = named
        self._categorical = frozenset(categorical)
        self._dtypes = list(map(_dtype, fields))
        self._is_plain = all(dtype == np.float64 for dtype in self._dtypes)

    def build(self, rows: Rows) -> np.ndarray:
        """Return a new array of `rows`.

        Models may write to it, as StandardScaler(copy=False) does, and several methods may get the
        same rows. Compiled code of older releases rejects read-only arrays, such as those in the
        body of a request.
        """
        if self._categorical:
            return self._with_categories(rows.T if isinstance(rows, np.ndarray) else rows)
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

    def _with_categories(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        objects = [_objects(field, column) for field, column in zip(self._fields, columns)]
        for index in self._categorical:
            if columns[index].dtype.kind == "f":
                objects[index] = np.array(_whole(columns[index].tolist()), object)
        return np.column_stack(objects)


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
    columns = rows.T if isinstance(rows, np.ndarray) else rows
    block: np.ndarray = np.array(columns, np.float64, order="C").T
    return block


def narrowed(rows: Rows, fields: Sequence[Field]) -> Rows:
    """Return `rows` rounded to the floats of training, if these have less than 64 bits."""
    narrow = {
        index: dtype
        for index, dtype in enumerate(numpy_dtype(field.dtype) for field in fields)
        if dtype is not None and dtype.kind == "f" and dtype.itemsize < 8  # bytes
    }
    if not narrow:
        return rows
    columns = list(rows.T) if isinstance(rows, np.ndarray) else list(rows)
    for index, dtype in narrow.items():
        columns[index] = columns[index].astype(dtype).astype(np.float64)
    return np.array(columns).T if isinstance(rows, np.ndarray) else columns
