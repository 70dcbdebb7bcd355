"""Rows as the author's model gets them: DataFrames and arrays with the training dtypes."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np

from ..manifest import Field
from .columns import BEYOND, Rows

Make = Callable[[np.ndarray], Any]
"""From the values of a column, as `Rows` holds them, to a Series or an array of pandas."""

_TEXTS = ("str", "object")


class FrameBuilder:
    """Build DataFrames with one column for each field.

    A column whose dtype is unknown gets the one that pandas infers from its values. `closed`: the
    model must not get a category that training never met.
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
            ValueError: a value is not one of the categories, which are `closed`.
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
        """A column of objects gets the dtype that pandas infers for a list of them."""
        is_object = column.dtype.kind == "O"
        return self._pandas.Series(column.tolist() if is_object else column)

    def _text(self, dtype: str | None) -> Make:
        """Texts are `object` before pandas 3, which also knows `str`."""
        kind = object if dtype == "object" else self._pandas.Series(["a"]).dtype
        return lambda column: self._pandas.Series(column, dtype=object).astype(kind)

    def _extension(self, dtype: str) -> Make:
        """A dtype of pandas or of one of its extensions, such as Int64, boolean or string. A column
        that cannot have it gets the inferred one, as in a pandas that lacks the dtype.
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
        """Texts as pandas writes and reads them, or milliseconds as it writes to JSON."""
        delta = self._pandas.Timedelta
        found = [
            delta(value, unit="ms") if isinstance(value, (int, float)) else delta(value)
            for value in column.tolist()
        ]
        return _converted(self._pandas.Series(found, dtype="timedelta64[ns]"), dtype)

    def _category(self, field: Field) -> Make:
        """All categories of training in their order, and after them those that training never met:
        a library treats them as it does in its author's DataFrame.
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
    """The values of a column of objects whose missing ones are None."""
    values = column.tolist()
    values = _whole(values) if field.type == "integer" else values
    objects = np.empty(len(column), object)
    objects[:] = [None if value != value else value for value in values]  # NaN  # noqa: PLR0124
    return objects


def typed(column: np.ndarray, dtype: Any) -> np.ndarray:
    """The values of `column` in `dtype` as pandas holds them: a column of integers or booleans with
    a value that `dtype` cannot hold, such as a missing one, keeps its own dtype. Booleans of which
    some are missing are floats, as those that are all missing: no booster takes objects.
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
    """The dtype of numbers or booleans of numpy that has this name; None if it is another."""
    try:
        dtype = np.dtype(name) if name else None
    except TypeError:
        return None
    is_numpy = dtype is not None and dtype.kind in "fiub" and dtype.name == name
    return dtype if is_numpy else None  # numpy before 1.20 takes "Int64", too


def _whole(values: list[Any]) -> list[Any]:
    """Numbers without fractions as integers: a column with a missing value made floats of them."""
    return [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]


def _zone(dtype: str | None) -> str | None:
    """The time zone in "datetime64[ns, UTC]"."""
    _, comma, zone = (dtype or "").rstrip("]").partition(",")
    return zone.strip() if comma else None


def _converted(dates: Any, dtype: str | None) -> Any:
    try:
        return dates.astype(dtype) if dtype else dates
    except (TypeError, ValueError):  # pandas before 2 knows nanoseconds alone
        return dates


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
