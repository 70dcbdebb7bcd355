"""Columns of training data: type, dtype, categories and range, also from text and Arrow."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from modelpack.types import FieldType, Scalar

from .values import common_type, is_iso_date, is_missing, to_scalar, type_of_value

SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""The quantiles that are kept."""
MAX_CATEGORIES = 100_000
MAX_CATEGORY_BYTES = 2**21
MAX_SORTED = 1_000_000
"""Values from which quantiles are computed; of more values, evenly spread ones."""
_MAX_NAME = 10_000


@dataclass(frozen=True)
class Column:
    """Facts about a column.

    Attributes:
        type: The type of the values; for the dtype "category", of the categories.
        categories: All categories in the order of their codes; None for other dtypes, or if they
            are too many.
        quantiles: For `SHARES` of the finite values; None if the values are not numbers.
        missing_none: A missing value is None, not NaN.
    """

    name: str
    type: FieldType
    dtype: str | None = None
    categories: tuple[Scalar, ...] | None = None
    ordered: bool = False
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    quantiles: tuple[float, ...] | None = None
    missing_none: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the column for a record."""
        document = vars(self).copy()
        for name in ("categories", "quantiles"):
            document[name] = None if document[name] is None else list(document[name])
        return document


def from_values(name: str, values: Iterable[Any], dtype: str | None = None) -> Column:
    """Return the column of these Python values."""
    values = list(values)
    present = [value for value in values if not is_missing(value)]
    kinds = {kind for value in present if (kind := type_of_value(value))}
    type_ = common_type(kinds) if kinds else "any"
    column = Column(name, type_, dtype, nullable=len(present) < len(values))
    if type_ not in {"number", "integer"}:
        return column
    return with_range(column, sorted(float(value) for value in present))


def with_range(column: Column, ordered: Sequence[float]) -> Column:
    """Return the column with the range of its values, sorted, without infinite ones."""
    finite = [value for value in ordered if math.isfinite(value)]
    if not finite:
        return column
    quantiles = tuple(quantile(finite, share) for share in SHARES)
    known = {**vars(column), "minimum": finite[0], "maximum": finite[-1], "quantiles": quantiles}
    return Column(**known)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile by linear interpolation, as numpy and pandas do by default."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def from_categories(
    name: str, values: Sequence[Any], *, ordered: bool, nullable: bool, dtype: str = "category"
) -> Column:
    """Return a column of the dtype "category" whose categories are `values`, in code order."""
    kinds = {kind for value in values if (kind := type_of_value(value))}
    type_: FieldType = common_type(kinds) if kinds else "any"
    categories = None
    if len(values) <= MAX_CATEGORIES:
        scalars = tuple(map(to_scalar, values))
        if len(json.dumps(scalars)) <= MAX_CATEGORY_BYTES:
            categories = scalars
    return Column(name, type_, dtype, categories, ordered, nullable)


def from_json(document: Any) -> Column:
    """Return the column that `Column.to_json` wrote.

    Raises:
        ValueError: The document is malformed.
    """
    try:
        return _parse(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a field is malformed: {error}") from error


def _parse(document: Mapping[str, Any]) -> Column:
    name, type_, dtype = document["name"], document["type"], document.get("dtype")
    categories, quantiles = document.get("categories"), document.get("quantiles")
    bounds = [document.get("minimum"), document.get("maximum")]
    if not isinstance(name, str) or len(name) > _MAX_NAME or type_ not in get_args(FieldType):
        raise ValueError(f"a field has the name {name!r:.60} and the type {type_!r:.60}")
    if dtype is not None and (not isinstance(dtype, str) or len(dtype) > _MAX_NAME):
        raise ValueError(f"the field {name:.60} has the dtype {dtype!r:.60}")
    if categories is not None and not _are(categories, str | int | float | bool | None):
        raise ValueError(f"the field {name:.60} has malformed categories")
    if quantiles is not None and not (
        _are(quantiles, int | float) and len(quantiles) == len(SHARES)
    ):
        raise ValueError(f"the field {name:.60} has malformed quantiles")
    if not _are(bounds, int | float | None):
        raise ValueError(f"the field {name:.60} has a malformed minimum or maximum")
    low, high = (None if bound is None else float(bound) for bound in bounds)
    return Column(
        name,
        type_,
        dtype,
        None if categories is None else tuple(categories),
        document.get("ordered") is True,
        document.get("nullable") is True,
        low,
        high,
        None if quantiles is None else tuple(map(float, quantiles)),
        document.get("missing_none") is True,
    )


def _are(values: Any, kinds: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, kinds) for value in values)


MAX_COLUMNS = 1000
"""Columns of a file that are inferred; for wider files the model file decides."""

_BOOLEANS = {"true", "True", "TRUE", "false", "False", "FALSE"}
_NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)", re.I)
_CODE = re.compile(r"[+-]?0\d.*")
"""A postcode or an account number: pandas writes numbers without leading zeros."""
_WITH_ZONE = re.compile(r".*[0-9](Z|[+-][0-9]{2}:?[0-9]{2})")


def infer_column(name: str, cells: Sequence[str]) -> Column:
    """Return the column of these cells. An empty cell is a missing value."""
    present = [cell for cell in cells if cell != ""]
    nullable = len(present) < len(cells)
    if not present:
        return Column(name, "any", nullable=nullable)
    if _BOOLEANS.issuperset(present):
        return Column(name, "boolean", None if nullable else "bool", nullable=nullable)
    if all(map(is_iso_date, present)):
        return Column(name, "datetime", _date_dtype(present), nullable=nullable)
    try:
        numbers = [_number(cell) for cell in present]
    except ValueError:
        return Column(name, "string", nullable=nullable)
    column = from_values(name, numbers)
    dtype = "float64" if column.type == "number" else None  # integers: as each request has them
    return replace(column, dtype=dtype, nullable=nullable)


def with_dates(column: Column, values: Sequence[object]) -> Column:
    """Return a column of strings as dates if all of them are ISO 8601 dates."""
    texts = [value for value in values if isinstance(value, str)]
    if column.type != "string" or not all(map(is_iso_date, texts)):
        return column
    return replace(column, type="datetime", dtype=_date_dtype(texts))


def _date_dtype(texts: Sequence[str]) -> str:
    return "datetime64[ns, UTC]" if all(map(_WITH_ZONE.fullmatch, texts)) else "datetime64[ns]"


def _number(cell: str) -> int | float:
    """Parse a number. Raise ValueError for other cells, and for codes of digits."""
    if _CODE.fullmatch(cell) or not _NUMBER.fullmatch(cell):
        raise ValueError(cell)
    try:
        return int(cell)
    except ValueError:
        return float(cell)


_BITS = (8, 16, 32, 64)
DTYPES = {
    "bool": ("bool", "boolean"), "double": ("float64", "Float64"), "float": ("float32", "Float32"),
    "halffloat": ("float16", "Float32"), "string": ("str", "str"), "large_string": ("str", "str"),
    "string_view": ("str", "str"),
    **{f"int{bits}": (f"int{bits}", f"Int{bits}") for bits in _BITS},
    **{f"uint{bits}": (f"uint{bits}", f"UInt{bits}") for bits in _BITS},
}  # fmt: skip
"""Type of Arrow -> dtype of pandas without and with missing values."""
_TIMESTAMP = re.compile(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]")
_KEPT = re.compile(r"U?Int[0-9]+|Float[0-9]+|boolean|string|str|float(16|32|64)|bool|u?int[0-9]+")
"""Dtypes in the metadata of pandas that are used unchanged."""


def pandas_dtype(name: str, *, missing: bool) -> str:
    """Return the dtype of pandas for a type of Arrow."""
    if name in DTYPES:
        return DTYPES[name][missing]
    if match := _TIMESTAMP.fullmatch(name):
        return f"datetime64[{match[1]}{', ' + match[2] if match[2] else ''}]"
    return "object"


def from_arrow(name: str, column: Any, values: Sequence[Any], noted: str | None) -> Column:
    """Return a column of an Arrow table. `noted`: its dtype in the metadata of pandas."""
    missing = column.null_count > 0
    type_name = str(column.type)
    if type_name.startswith("dictionary"):
        chunk = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
        chunk = getattr(chunk, "unify_dictionaries", lambda: chunk)()
        categories = chunk.dictionary.to_pylist()
        ordered = bool(column.type.ordered)
        return from_categories(name, categories, ordered=ordered, nullable=missing)
    dtype = pandas_dtype(type_name, missing=missing)
    if missing and not re.fullmatch(r"U?Int[0-9]+|Float[0-9]+|boolean|string", noted or ""):
        dtype = _numpy_dtype(dtype)
    elif noted and _KEPT.fullmatch(noted):
        dtype = noted
    result = from_values(name, values, dtype)
    is_number = result.type in {"number", "integer"}
    if is_number and dtype.lower().startswith("float"):
        return replace(result, type="number")
    if dtype.startswith("datetime64"):
        return replace(result, type="datetime")
    return result


def _numpy_dtype(dtype: str) -> str:
    """Return the default dtype of pandas for such values if some are missing."""
    if re.fullmatch(r"U?Int[0-9]+|Float64", dtype):
        return "float64"
    return {"Float32": "float32", "boolean": "object"}.get(dtype, dtype)
