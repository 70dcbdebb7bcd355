"""Rows of JSON as the author of a model has them, in a DataFrame or an array.

Shares no code with the decoder of requests and the runners: the smoke test compares the two.
"""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np

from .manifest import Field

Row = Sequence[Any]


def frame(fields: Sequence[Field], rows: Sequence[Row]) -> Any:
    """Return the DataFrame that pandas makes of `rows`, each column of its training dtype."""
    import pandas as pd  # noqa: PLC0415 - not every image has it

    names = [field.name for field in fields]
    table = pd.DataFrame([list(map(present, row)) for row in rows], columns=names)
    return pd.DataFrame({field.name: _column(field, table[field.name]) for field in fields})


def matrix(fields: Sequence[Field], rows: Sequence[Row]) -> np.ndarray:
    """Return the array that scikit-learn makes of such a DataFrame of numbers: one dtype, and
    column by column in memory.
    """
    columns = [_numbers(field, column) for field, column in zip(fields, zip(*rows))]
    return np.asfortranarray(np.column_stack(columns).astype(np.result_type(*columns)))


def array(fields: Sequence[Field], rows: Sequence[Row], mixed: bool = False) -> np.ndarray:
    """Return the array of a user of numpy, of objects if it is `mixed` or contains texts."""
    values = [[v if f.missing_none else present(v) for f, v in zip(fields, row)] for row in rows]
    kinds = {type(value) for row in values for value in row}
    is_numeric = not mixed and kinds <= {int, float, bool}
    return np.array(values, np.float64 if is_numeric else object)


def codes(fields: Sequence[Field], rows: Sequence[Row]) -> np.ndarray:
    """Return the array that a booster gets of a DataFrame: categories as their positions."""
    return np.array([[_code(f, v) for f, v in zip(fields, row)] for row in rows], np.float64)


def present(value: Any) -> Any:
    """A value, or NaN for a missing one."""
    return math.nan if value is None else value


def _code(field: Field, value: Any) -> float:
    if value is None or value != value:  # NaN  # noqa: PLR0124
        return math.nan
    if not field.categories:
        return float(value)
    known = list(field.categories)
    return float(known.index(value)) if value in known else math.nan


def _numbers(field: Field, values: Sequence[Any]) -> np.ndarray:
    dtype = np.dtype(field.dtype or ("int64" if field.type == "integer" else "float64"))
    is_missing = any(value is None or math.isnan(value) for value in values)
    if is_missing and dtype.kind != "f":
        dtype = np.dtype("float64")
    return np.array(list(map(present, values)), np.float64 if dtype.kind == "f" else None).astype(
        dtype
    )


def _column(field: Field, column: Any) -> Any:
    dtype = field.dtype or ""
    if dtype == "category":
        return _category(field, column)
    is_duration = dtype.startswith("timedelta64")
    if is_duration or field.type == "datetime" or dtype.startswith("datetime64"):
        return _durations(column, dtype) if is_duration else _dates(column, dtype)
    if field.missing_none or (field.type == "string" and dtype in ("", "str")):
        return _objects(field, column) if field.missing_none else _texts(column)
    target = dtype or ("float64" if field.type == "number" else "")
    if not target or (column.isna().any() and _never_missing(target)):
        return column
    try:
        return column.astype(target)
    except (TypeError, ImportError):  # a dtype of another pandas
        return column


def _never_missing(dtype: str) -> bool:
    """Return whether numpy has this dtype, and it has no missing value."""
    return dtype == "bool" or (dtype.startswith(("int", "uint")) and "[" not in dtype)


def _objects(field: Field, column: Any) -> Any:
    import pandas as pd  # noqa: PLC0415

    known = column.astype(object)
    if field.type == "integer":
        known = known.map(int, na_action="ignore").astype(object)
    return pd.Series([None if pd.isna(value) else value for value in known], dtype=object)


def _texts(column: Any) -> Any:
    import pandas as pd  # noqa: PLC0415

    return column.astype(object).astype(pd.Series(["a"]).dtype)


def _category(field: Field, column: Any) -> Any:
    import pandas as pd  # noqa: PLC0415

    known = pd.Index(list(field.categories or ()))
    if field.type == "datetime":
        column, known = _dates(column, ""), pd.to_datetime(known)
    values, known_values = list(column), list(known)
    others = [v for v in dict.fromkeys(values) if not pd.isna(v) and v not in known_values]
    if field.type == "integer":
        others = list(map(int, others))
    every = known.append(pd.Index(others)) if others else known
    return pd.Series(pd.Categorical(values, categories=every))


def _durations(column: Any, dtype: str) -> Any:
    """Convert texts, or milliseconds as `to_json` writes them."""
    import pandas as pd  # noqa: PLC0415

    is_number = column.map(lambda value: isinstance(value, (int, float)))
    found = pd.Series(pd.NaT, index=column.index, dtype="timedelta64[ns]")
    found[is_number] = pd.to_timedelta(column[is_number].astype(float), unit="ms")
    found[~is_number] = pd.to_timedelta(column[~is_number].astype(str))
    return found.astype(dtype)


def _dates(column: Any, dtype: str) -> Any:
    import pandas as pd  # noqa: PLC0415

    moments = [_moment(value) for value in column.astype(object).tolist()]
    dates = pd.to_datetime(pd.Series(moments, dtype=object), utc=True)
    if "," in dtype:
        return dates.astype(dtype)
    dates = dates.dt.tz_convert(None)
    try:
        return dates.astype(dtype) if dtype else dates
    except (TypeError, ValueError):  # pandas before 2 has nanoseconds alone
        return dates


def _moment(value: Any) -> Any:
    """A text of ISO 8601, or milliseconds since 1970 as pandas before 3 writes them."""
    import pandas as pd  # noqa: PLC0415

    if pd.isna(value):
        return pd.NaT
    if isinstance(value, (int, float)):
        return pd.Timestamp(int(value), unit="ms", tz="UTC")
    moment = pd.Timestamp(value)
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
