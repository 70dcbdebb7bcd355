"""Cells of text formats, parsed by the type of their input."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Callable, Sequence

from ..manifest import Field
from . import results

BOOLEANS = {"true": True, "false": False}
MISSING_TEXTS = frozenset({
    "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
})  # fmt: skip
"""Texts of R and databases that pandas reads as missing values."""
WHOLE = re.compile(r"[+-]?[0-9]{1,19}")


def cell_parser(field: Field) -> Callable[[str], Any]:
    """Return a function that parses a cell. It returns the text if that is not a value."""
    by_type: dict[str, Callable[[str], Any]] = {
        "number": _number,
        "integer": _integer,
        "boolean": _boolean,
        "string": str,
        "datetime": lambda cell: int(cell) if WHOLE.fullmatch(cell) else cell,
        "any": partial(_any, _categories_by_text(field.categories or ())),
    }
    parse = by_type[field.type]
    missing = _missing_texts(field)
    if missing:
        return lambda cell: None if not cell or cell in missing else parse(cell)
    if field.nullable or field.type != "string":
        return lambda cell: parse(cell) if cell else None
    return parse


def _missing_texts(field: Field) -> frozenset[str]:
    """Return the texts that are missing values in a column, without those that are categories."""
    if not field.nullable or field.type == "any":
        return frozenset()
    if field.type == "string":
        return MISSING_TEXTS.difference(field.categories) if field.categories else frozenset()
    return MISSING_TEXTS


def cell_number(cell: str) -> Any:
    """Parse a float, also nan, but not the texts that only Python accepts, such as 1_000."""
    try:
        return float(cell) if cell.isascii() and "_" not in cell else cell
    except ValueError:
        return cell


def cell_text(value: Any) -> str:
    """Return a predicted value as in JSON, but strings without quotes and "" for null."""
    return "" if value is None or value != value else _text(value)  # NaN  # noqa: PLR0124


def _text(value: Any) -> str:
    if isinstance(value, float):
        return repr(value)
    return value if isinstance(value, str) else results.dump(value).decode()


def _number(cell: str) -> Any:
    """Parse a float or a boolean."""
    try:
        if cell.isascii() and "_" not in cell:
            return float(cell)
    except ValueError:
        pass
    return BOOLEANS.get(cell.strip().lower(), cell)


def _boolean(cell: str) -> Any:
    value = BOOLEANS.get(cell.strip().lower())
    return _number(cell) if value is None else value


def _integer(cell: str) -> Any:
    return int(cell) if WHOLE.fullmatch(cell) else _number(cell)


def _any(categories: dict[str, Any], cell: str) -> Any:
    """Return the category with this text, or a number, a boolean or the text."""
    return categories[cell] if cell in categories else _integer(cell)


def _categories_by_text(categories: Sequence[Any]) -> dict[str, Any]:
    """Return the categories by their texts. Categories that are texts take precedence."""
    known = {_text(value): value for value in categories if not isinstance(value, str)}
    return {**known, **{value: value for value in categories if isinstance(value, str)}}
