"""A table aligned with a signature; synthetic rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelpack.errors import UsageError
from modelpack.types import Field, Scalar, Signature

from .row_files import Table
from .values import is_iso_date, to_scalar

MAX_ROWS = 100
MAX_VALUES = 500_000
"""In all rows, whose JSON is then below the service's limit of 16 MiB per request."""

_MAX_TEXT_LENGTH = 60

Row = tuple[Scalar, ...]

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_LOGICAL = {"true": True, "false": False}


def align(table: Table, signature: Signature) -> tuple[Row, ...]:
    """Return the first rows in the order of the signature, without columns that it does not have.

    Raises:
        UsageError: Columns are missing, or the input cannot have a value.
    """
    positions = value_positions(table, signature)
    count = max(1, min(MAX_ROWS, MAX_VALUES // max(1, len(positions))))
    fields = signature.inputs
    return tuple(
        tuple(
            _value(field, row[at] if at is not None else None, number, table)
            for field, at in zip(fields, positions, strict=True)
        )
        for number, row in enumerate(table.rows[:count])
    )


def value_positions(table: Table, signature: Signature) -> list[int | None]:
    """Return the position of each input in a row; None for an optional input that is missing.

    Raises:
        UsageError: Columns are missing.
    """
    width = len(table.rows[0]) if table.rows else len(table.columns or table.facts)
    names = [field.name for field in signature.inputs]
    if table.columns is not None and set(names) & set(table.columns):
        positions = {name: index for index, name in enumerate(table.columns)}
        optional = {f.name for f in signature.inputs if signature.layout == "dicts" and f.nullable}
        missing = [name for name in names if name not in positions and name not in optional]
        if not missing:
            return [positions.get(name) for name in names]
        problem = f"lack {len(missing)} inputs of the model ({join_names(missing)})"
        raise validation_error(table, problem)
    if width == len(names) and not (signature.named and table.columns is not None):
        return list(range(width))
    if signature.named and table.columns is not None:
        problem = f"name none of the model's inputs ({join_names(names)})"
    else:
        problem = f"have {width} values, but the model takes {len(names)}"
    raise validation_error(table, problem + _header_note(table))


def _header_note(table: Table) -> str:
    """Return what a CSV file with a wrong separator was read as."""
    if not table.is_text or not table.columns:
        return ""
    header = _shorten(",".join(table.columns))
    return f": the first line was read as column names separated by commas, {header}"


def _shorten(value: Scalar) -> str:
    """Return a value in ASCII; "..." in its quotation marks marks the end of a longer text."""
    if not isinstance(value, str):
        return repr(value)[:_MAX_TEXT_LENGTH]
    is_long = len(value) > _MAX_TEXT_LENGTH
    return repr(value[:_MAX_TEXT_LENGTH].rstrip() + "..." if is_long else value)


def _value(field: Field, cell: Any, row: int, table: Table) -> Scalar:
    if table.is_text and cell == "":
        return None
    value = _scalar(cell, field, row, table)
    if table.is_text and isinstance(value, str):
        value = _from_text(field, value)
    if value is not None and not _fits(field, value):
        raise validation_error(
            table,
            f"contain {_shorten(value)} in row {row}, column {field.name}, which takes "
            f"{_PLURALS[field.type]}",
        )
    is_integral = field.type == "integer" and isinstance(value, float)
    return int(value) if is_integral else value  # type: ignore[arg-type]


_PLURALS = {
    "number": "numbers", "integer": "integers", "string": "strings", "boolean": "true or false",
    "datetime": "ISO 8601 dates", "any": "any value",
}  # fmt: skip


def _from_text(field: Field, text: str) -> Scalar:
    """Return a cell of a text file as a value of the input. Strings stay strings."""
    if field.type in {"string", "datetime"}:
        return text
    if field.type == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    value = number_or_text(text)
    if isinstance(value, str):
        return _LOGICAL.get(value.lower(), value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fits(field: Field, value: Scalar) -> bool:
    """Return whether the service takes a value. Numbers include true and false."""
    is_number = isinstance(value, int | float)
    if field.type == "integer":
        return is_number and float(value).is_integer()  # type: ignore[arg-type]
    if field.type == "boolean":
        return value in {0, 1} if is_number else False
    if field.type == "datetime":
        is_epoch = isinstance(value, int) and not isinstance(value, bool)
        return is_iso_date(value) if isinstance(value, str) else is_epoch
    return {"number": is_number, "string": isinstance(value, str), "any": True}[field.type]


def _scalar(value: Any, field: Field, row: int, table: Table) -> Scalar:
    try:
        return to_scalar(value)
    except TypeError as error:
        raise validation_error(
            table,
            f"contain {error} in row {row}, column {field.name}, which is not a number, string,"
            " boolean or date",
        ) from error


def number_or_text(value: Scalar) -> Scalar:
    """Return a cell of a text file as an integer, a float, or unchanged."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def join_names(names: Sequence[str]) -> str:
    """Return the first five names, separated by commas."""
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def validation_error(table: Table, problem: str) -> UsageError:
    return UsageError(
        f"The {table.source} {problem}.", hint="`modelpack inspect MODEL` shows the inputs."
    )


ROWS = 8
"""Synthetic rows. Inputs with more categories get more, so that each category is in a row."""
_STEP = 0.6180339887498949  # the golden ratio, whose multiples are evenly spread


def synthetic_rows(signature: Signature) -> tuple[Row, ...]:
    """Return the known real rows, the example, and rows of values within bounds and categories.

    Without enough facts in the model file, only the real rows are returned.
    """
    inputs = signature.inputs
    if not inputs or any(field.example is None and not field.nullable for field in inputs):
        return signature.samples
    count = _count(inputs)
    rows = [
        tuple(_synthetic_value(field, number, column, count) for column, field in enumerate(inputs))
        for number in range(count)
    ]
    return tuple(dict.fromkeys((*signature.samples, *rows)))


def _count(inputs: Sequence[Field]) -> int:
    """Return the number of rows: the example, all categories, and a row of missing values."""
    categories = max(len(field.categories or ()) for field in inputs)
    return max(ROWS, min(categories + 2, MAX_ROWS, MAX_VALUES // len(inputs)))


def _synthetic_value(field: Field, number: int, column: int, count: int) -> Scalar:
    if number == 0:
        return field.example
    if field.nullable and number == count - 1:
        return None
    if field.categories:
        return field.categories[_category(number + column, count - 2, len(field.categories))]
    if field.type == "boolean":
        return (number + column) % 2 == 0
    if field.type in {"number", "integer"} and isinstance(field.example, int | float):
        return _number(field, float(field.example), (number * _STEP + column * _STEP**2) % 1)
    return field.example


def _category(number: int, rows: int, categories: int) -> int:
    """Return the position of the category of a row: in order, or evenly spread over too many."""
    if categories <= rows:
        return number % categories
    return (number % rows) * (categories - 1) // (rows - 1)


def _number(field: Field, example: float, share: float) -> float | int:
    low = field.minimum if field.minimum is not None else example / 2
    high = field.maximum if field.maximum is not None else example * 1.5
    if low == high == 0:
        high = 1.0
    value = float(f"{low + (high - low) * share:.6g}")
    return round(value) if field.type == "integer" else value
