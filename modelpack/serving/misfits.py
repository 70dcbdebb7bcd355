"""What is wrong with rows that do not fit the signature, in words."""

from __future__ import annotations

import math
import sys
from typing import Any, Callable, Iterator, Sequence

import orjson

from . import cells, dates
from .columns import BEYOND, KINDS, NUMBER
from .manifest import Field
from .problems import Problem

EXPECTED = {
    "number": "a finite number",
    "integer": "an integer",
    "string": "a string",
    "boolean": "true or false",
    "datetime": "a date and time of ISO 8601, or milliseconds since 1970",
    "any": "a finite number, a string, true or false",
}
NAMES = {dict: "an object", list: "a list", type(None): "null"}
MOST = 20
LONGEST = 60
LARGEST = sys.float_info.max


def problem(errors: Sequence[dict[str, Any]]) -> Problem:
    """The answer to rows with these errors: 422, told by the first of them."""
    first = errors[0]
    row = None if first["row"] is None else f"row {first['row']}"
    column = None if first["column"] is None else f'column "{first["column"]}"'
    place = ", ".join(filter(None, [row, column])) or "the rows"
    place = place[0].upper() + place[1:]
    count = f"{MOST} or more" if len(errors) >= MOST else str(len(errors))
    more = f" It is the first of {count} errors." if len(errors) > 1 else ""
    detail = f"{place}: expected {first['expected']}, got {first['got']}.{more}"
    return Problem(422, detail, list(errors))


def of_table(expected: str, got: str, column: str | None = None) -> Problem:
    """The answer to columns that are not those of the signature: 422."""
    name = None if column is None else short(column)
    return problem([{"row": None, **_error(name, expected, got)}])


def of_width(row: int, expected: int, values: int) -> Problem:
    """The answer to a row of a table that is shorter or longer than the others: 422."""
    return problem([{"row": row, **_error(None, f"{expected} values", f"{values}")}])


def of_value(field: Field, value: Any) -> dict[str, Any]:
    """The {column, expected, got} of a value that does not fit."""
    return _error(field.name, _expected(field), got(value))


def of_row(
    fields: Sequence[Field], row: Any, refused: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """The {column, expected, got} of each wrong value of one row, which has the names `refused`
    that are no inputs.
    """
    if isinstance(row, dict):
        for name in refused:
            yield _error(short(name), "the name of an input", "an unknown one")
        values = [row.get(field.name, ...) for field in fields]
    elif isinstance(row, list) or len(fields) == 1:
        values = row if isinstance(row, list) else [row]
    else:
        yield _error(None, "a list of values in order or an object by name", got(row))
        return
    if len(values) != len(fields):
        yield _error(None, f"{len(fields)} values", f"{len(values)}")
        return
    for field, value in zip(fields, values):
        if not fits(field, value):
            yield of_value(field, value)


def fits(field: Field, value: Any) -> bool:
    """Whether `value`, as JSON gave it, may stand in this column; ... is one that was not sent."""
    kind = type(value)
    if (kind is float and math.isnan(value)) or value is None or value is ...:
        return field.nullable
    if kind is str and field.type == "number" and field.dtype == "object":
        value = cells.number(value)  # a Decimal, as pandas writes it to JSON
        kind = type(value)
    if kind not in KINDS[field.type]:
        return False
    return RULES.get(field.type, _is_finite)(value)


def _is_finite(value: Any) -> bool:
    return type(value) not in NUMBER or abs(value) <= LARGEST


def _is_integer(value: Any) -> bool:
    if type(value) is float:
        # The integer before -2^63 is read as the same float.
        return value.is_integer() and -BEYOND < value < BEYOND
    return bool(-(2**63) <= value < 2**63)


RULES: dict[str, Callable[[Any], bool]] = {
    "integer": _is_integer,
    "boolean": lambda value: value in (0, 1),
    "datetime": lambda value: dates.nanoseconds(value) is not None,
}
"""What a value of the right kind must also be."""


def _expected(field: Field) -> str:
    return EXPECTED[field.type] + (" or null" if field.nullable else "")


def _error(column: str | None, expected: str, got: str) -> dict[str, Any]:
    return {"column": column, "expected": expected, "got": got}


def got(value: Any) -> str:
    """What came, as it is told to the sender; ... is what did not."""
    if value is ...:
        return "nothing"
    if isinstance(value, str):
        return f"the string {orjson.dumps(short(value)).decode()}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinity"
    return NAMES.get(type(value)) or short(str(value))


def short(text: str) -> str:
    """Text of a client, as far as it is told back."""
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
