"""Columns whose training dtype decides whether their model can have a plan."""

from __future__ import annotations

from typing import Any, Sequence

from ...data.frames import numpy_dtype
from ...manifest import Field
from . import boosters, ensembles, histograms, svm, trees
from .compiler import UnplannedError

EXACT = frozenset(
    name
    for family in (boosters, ensembles, histograms, svm, trees)
    for name in family.COMPILERS
    if not name.startswith("AdaBoost")
)
"""Classes that convert all input to the one dtype with which they compute.

AdaBoost is not among them, because its estimators may be of any class.
"""
OBJECTS = (None, "category", "object", "str", "string")
"""Dtypes of columns whose values are objects of Python."""


def require_supported_columns(model: Any, fields: Sequence[Field]) -> None:
    """Check that a plan, which computes with float64 and objects of Python, supports the columns.

    Raises:
        UnplannedError: A column has dates, an extension dtype such as Int64, or short floats, with
            which most classes compute.
    """
    for field in fields:
        if field.type == "datetime" or (field.dtype or "").startswith("datetime"):
            raise UnplannedError("a column has dates")
        dtype = numpy_dtype(field.dtype)
        if dtype is None and field.dtype not in OBJECTS:
            raise UnplannedError(f"a column has the dtype {field.dtype}")
    require_long_floats(model, fields)


def require_long_floats(model: Any, fields: Sequence[Field]) -> None:
    """Check that a plan gets float64 where its estimator computes with the floats that it gets.

    Raises:
        UnplannedError: A column has other floats.
    """
    for field in fields:
        dtype = numpy_dtype(field.dtype)
        is_short = dtype is not None and dtype.kind == "f" and dtype.itemsize != 8
        if is_short and type(model).__name__ not in EXACT:
            raise UnplannedError(f"a column is {field.dtype}, with which its estimator computes")


def has_short_integers(fields: Sequence[Field]) -> bool:
    """Return whether a column has short integers, for which numpy's functions give short floats."""
    dtypes = (numpy_dtype(field.dtype) for field in fields)
    return any(each is not None and each.kind in "iu" and each.itemsize < 4 for each in dtypes)
