"""Columns of training data: type, dtype, categories, and the range that their values cover."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from modelpack.types import FieldType, Scalar

from .values import is_missing, kind_of, to_scalar, type_of

SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Those of the quantiles that are kept."""
MAX_CATEGORIES = 100_000
MAX_CATEGORY_BYTES = 2**21
MAX_SORTED = 1_000_000
"""Values of which quantiles are computed; of more, evenly spread ones."""
_MAX_NAME = 10_000


@dataclass(frozen=True)
class Column:
    """What is known of a column.

    Attributes:
        type: With the dtype "category", that of the categories.
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
        """Return the column as it stands in a record."""
        document = vars(self).copy()
        for name in ("categories", "quantiles"):
            document[name] = None if document[name] is None else list(document[name])
        return document


def from_values(name: str, values: Iterable[Any], dtype: str | None = None) -> Column:
    """Return what Python values tell of their column."""
    values = list(values)
    present = [value for value in values if not is_missing(value)]
    kinds = {kind for value in present if (kind := kind_of(value))}
    type_ = type_of(kinds) if kinds else "any"
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
    """Return a column of the dtype "category". `values`: its categories in the order of codes."""
    kinds = {kind for value in values if (kind := kind_of(value))}
    type_: FieldType = type_of(kinds) if kinds else "any"
    categories = None
    if len(values) <= MAX_CATEGORIES:
        scalars = tuple(map(to_scalar, values))
        if len(json.dumps(scalars)) <= MAX_CATEGORY_BYTES:
            categories = scalars
    return Column(name, type_, dtype, categories, ordered, nullable)


def from_json(document: Any) -> Column:
    """Return the column that `Column.to_json` wrote; keys that may be missing have defaults.

    Raises:
        ValueError: It has another form.
    """
    try:
        return _checked(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a field is malformed: {error}") from error


def _checked(document: Mapping[str, Any]) -> Column:
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
