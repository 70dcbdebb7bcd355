"""Columns of text files: what their cells stand for, as pandas reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .columns import Column, from_values
from .values import is_iso_date

MAX_COLUMNS = 1000
"""Columns that are looked into; those of wider files are left to the model file."""

_BOOLEANS = {"true", "True", "TRUE", "false", "False", "FALSE"}
_NUMBER = re.compile(r"[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|nan|inf|infinity)", re.I)
_CODE = re.compile(r"[+-]?0\d.*")
"""A postcode or an account number: pandas writes no number with a leading zero."""
_WITH_ZONE = re.compile(r".*[0-9](Z|[+-][0-9]{2}:?[0-9]{2})")


def inferred(name: str, cells: Sequence[str]) -> Column:
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
    """Return the column of texts as one of dates if all of them are dates of ISO 8601."""
    texts = [value for value in values if isinstance(value, str)]
    if column.type != "string" or not all(map(is_iso_date, texts)):
        return column
    return replace(column, type="datetime", dtype=_date_dtype(texts))


def _date_dtype(texts: Sequence[str]) -> str:
    return "datetime64[ns, UTC]" if all(map(_WITH_ZONE.fullmatch, texts)) else "datetime64[ns]"


def _number(cell: str) -> int | float:
    """Raises:
    ValueError: It is no number, or a code of digits.
    """
    if _CODE.fullmatch(cell) or not _NUMBER.fullmatch(cell):
        raise ValueError(cell)
    try:
        return int(cell)
    except ValueError:
        return float(cell)
