"""A table aligned with a signature; synthetic rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelpack.errors import UsageError
from modelpack.types import Field, Scalar, Signature

from .row_files import Table
from .values import is_iso_date, to_scalar

MOST_ROWS = 100
MOST_VALUES = 500_000
"""Of all rows together: as JSON they stay below the service's limit of 16 MiB a request."""

Row = tuple[Scalar, ...]

_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_LOGICAL = {"true": True, "false": False}


def align(table: Table, signature: Signature) -> tuple[Row, ...]:
    """The first rows, in the signature's order; columns that the model does not take are left out.

    Raises:
        UsageError: columns are missing, or a value is none that the input can have.
    """
    at = places(table, signature)
    count = max(1, min(MOST_ROWS, MOST_VALUES // max(1, len(at))))
    fields = signature.inputs
    return tuple(
        tuple(
            _value(field, row[place] if place is not None else None, number, table.is_text)
            for field, place in zip(fields, at, strict=True)
        )
        for number, row in enumerate(table.rows[:count])
    )


def places(table: Table, signature: Signature) -> list[int | None]:
    """Return for each input the position of its value in a row; None if it may be missing and is.

    Raises:
        UsageError: Columns are missing.
    """
    width = len(table.rows[0]) if table.rows else len(table.columns or table.facts)
    names = [field.name for field in signature.inputs]
    if table.columns is not None and set(names) & set(table.columns):
        found = {name: index for index, name in enumerate(table.columns)}
        optional = {f.name for f in signature.inputs if signature.layout == "dicts" and f.nullable}
        missing = [name for name in names if name not in found and name not in optional]
        if not missing:
            return [found.get(name) for name in names]
        raise misfit(f"lack {len(missing)} inputs of the model ({_listed(missing)})")
    if width == len(names) and not (signature.named and table.columns is not None):
        return list(range(width))
    if signature.named and table.columns is not None:
        raise misfit(f"name none of the model's inputs ({_listed(names)})")
    raise misfit(f"have {width} values, and the model takes {len(names)}")


def _value(field: Field, cell: Any, row: int, is_text: bool) -> Scalar:
    if is_text and cell == "":
        return None
    value = _plain(cell, field, row)
    if is_text and isinstance(value, str):
        value = _from_text(field, value)
    if value is not None and not _fits(field, value):
        raise misfit(f"hold {ascii(value)[:60]} in row {row}, column {field.name}, which takes "
                      f"{_PLURALS[field.type]}")  # fmt: skip
    is_integral = field.type == "integer" and isinstance(value, float)
    return int(value) if is_integral else value  # type: ignore[arg-type]


_PLURALS = {
    "number": "numbers", "integer": "integers", "string": "texts", "boolean": "true or false",
    "datetime": "dates of ISO 8601", "any": "any value",
}  # fmt: skip


def _from_text(field: Field, text: str) -> Scalar:
    """A cell of a text file as a value of the input: no text of an input of texts is a number."""
    if field.type in {"string", "datetime"}:
        return text
    if field.type == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    value = number_or_text(text)
    if isinstance(value, str):
        return _LOGICAL.get(value.lower(), value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fits(field: Field, value: Scalar) -> bool:
    """Whether the service takes a value: numbers include true and false."""
    is_number = isinstance(value, int | float)
    if field.type == "integer":
        return is_number and float(value).is_integer()  # type: ignore[arg-type]
    if field.type == "boolean":
        return value in {0, 1} if is_number else False
    if field.type == "datetime":
        is_epoch = isinstance(value, int) and not isinstance(value, bool)
        return is_iso_date(value) if isinstance(value, str) else is_epoch
    return {"number": is_number, "string": isinstance(value, str), "any": True}[field.type]


def _plain(value: Any, field: Field, row: int) -> Scalar:
    try:
        return to_scalar(value)
    except TypeError as error:
        where = f"in row {row}, column {field.name}"
        raise misfit(f"hold {error} {where}, which is no number, text, boolean or date") from error


def number_or_text(value: Scalar) -> Scalar:
    """What a cell of a text file stands for."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def misfit(what: str) -> UsageError:
    return UsageError(
        f"The example rows {what}.",
        hint="`modelpack inspect MODEL` shows what a row of the model is.",
    )


ROWS = 8
"""More are made for an input with more categories, so that each of them is in a row."""
_STEP = 0.6180339887498949  # the golden ratio's, whose multiples spread evenly


def synthetic_rows(signature: Signature) -> tuple[Row, ...]:
    """The real rows that are known, the example, then rows of values between each input's bounds
    and of all its categories; none where the file does not tell enough for one.
    """
    inputs = signature.inputs
    if not inputs or any(field.example is None and not field.nullable for field in inputs):
        return signature.samples
    count = _count(inputs)
    made = [
        tuple(_synthetic_value(field, number, place, count) for place, field in enumerate(inputs))
        for number in range(count)
    ]
    return tuple(dict.fromkeys((*signature.samples, *made)))


def _count(inputs: Sequence[Field]) -> int:
    """The first row is the example, and the last one has no categories where they may miss."""
    categories = max(len(field.categories or ()) for field in inputs)
    return max(ROWS, min(categories + 2, MOST_ROWS, MOST_VALUES // len(inputs)))


def _synthetic_value(field: Field, number: int, place: int, count: int) -> Scalar:
    if number == 0:
        return field.example
    if field.nullable and number == count - 1:
        return None
    if field.categories:
        return field.categories[_category(number + place, count - 2, len(field.categories))]
    if field.type == "boolean":
        return (number + place) % 2 == 0
    if field.type in {"number", "integer"} and isinstance(field.example, int | float):
        return _number(field, float(field.example), (number * _STEP + place * _STEP**2) % 1)
    return field.example


def _category(number: int, rows: int, categories: int) -> int:
    """One after the other; of more categories than rows, evenly spread ones with the last."""
    if categories <= rows:
        return number % categories
    return (number % rows) * (categories - 1) // (rows - 1)


def _number(field: Field, example: float, share: float) -> float | int:
    low = field.minimum if field.minimum is not None else example / 2
    high = field.maximum if field.maximum is not None else example * 1.5
    value = float(f"{low + (high - low) * share:.6g}")
    return round(value) if field.type == "integer" else value
