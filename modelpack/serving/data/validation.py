"""Errors of rows, and the search for values that the model rejects."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Callable, Iterable, Iterator, List, Sequence

import numpy as np
import orjson

from ..manifest import Field
from ..problems import Problem
from . import cells, dates
from .columns import BEYOND, KINDS, NUMBER, Rows, number_type

EXPECTED = {
    "number": "a finite number",
    "integer": "an integer",
    "string": "a string",
    "boolean": "true or false",
    "datetime": "a date and time of ISO 8601, or milliseconds since 1970",
    "any": "a finite number, a string, true or false",
}
NAMES = {dict: "an object", list: "a list", type(None): "null"}
MAX_ERRORS = 20
MAX_TEXT_LENGTH = 60
MAX_LISTED = 10
MAX_NAMES = 5
"""Names of inputs in each of the errors of a row."""
MAX_FLOAT = sys.float_info.max


def validation_problem(errors: Sequence[dict[str, Any]]) -> Problem:
    """Return the problem 422 of rows with errors. The detail describes the first one."""
    first = errors[0]
    row = None if first["row"] is None else f"row {first['row']}"
    column = None if first["column"] is None else f'column "{first["column"]}"'
    place = ", ".join(filter(None, [row, column])) or "the rows"
    place = place[0].upper() + place[1:]
    count = f"{MAX_ERRORS} or more" if len(errors) >= MAX_ERRORS else str(len(errors))
    more = f" This is the first of {count} errors." if len(errors) > 1 else ""
    detail = f"{place}: expected {first['expected']}, got {first['got']}.{more}"
    return Problem(422, detail, list(errors))


def table_problem(expected: str, got: str, column: str | None = None) -> Problem:
    """Return the problem 422 of columns that do not match the signature."""
    name = None if column is None else shorten(column)
    return validation_problem([{"row": None, **_error(name, expected, got)}])


def absence_problem(columns: Sequence[str]) -> Problem:
    """Return the problem 422 of a table that lacks columns."""
    errors = [_error(shorten(name), "this column", "nothing") for name in columns[:MAX_ERRORS]]
    return validation_problem([{"row": None, **error} for error in errors])


def width_problem(row: int, expected: int, values: int) -> Problem:
    """Return the problem 422 of a row in a table that has another length than the others."""
    return validation_problem([{"row": row, **_error(None, f"{expected} values", f"{values}")}])


def value_error(field: Field, value: Any) -> dict[str, Any]:
    """Return {column, expected, got} of a wrong value."""
    expected = EXPECTED[field.type] + (" or null" if field.nullable else "")
    return _error(field.name, expected, describe_value(value))


def name_error(name: str, expected: str) -> dict[str, Any]:
    """Return {column, expected, got} of the name of no input."""
    return _error(shorten(name), expected, "an unknown one")


def row_errors(
    fields: Sequence[Field], row: Any, name_errors: Iterable[dict[str, Any]] = ()
) -> Iterator[dict[str, Any]]:
    """Yield {column, expected, got} of each wrong name and value of a row."""
    if isinstance(row, dict):
        yield from name_errors
        values = [row.get(field.name, ...) for field in fields]
    elif isinstance(row, list) or len(fields) == 1:
        values = row if isinstance(row, list) else [row]
    else:
        yield _error(None, "a list of values in order or an object by name", describe_value(row))
        return
    if len(values) != len(fields):
        yield _error(None, f"{len(fields)} values", f"{len(values)}")
        return
    for field, value in zip(fields, values):
        if not fits(field, value):
            yield value_error(field, value)


def fits(field: Field, value: Any) -> bool:
    """Return whether a JSON value is valid in this column. `...` is a value that was not sent."""
    kind = type(value)
    if (kind is float and math.isnan(value)) or value is None or value is ...:
        return field.nullable
    if kind is str and field.type == "number" and field.dtype == "object":
        value = cells.cell_number(value)  # pandas writes a Decimal as text
        kind = type(value)
    if kind not in KINDS[field.type]:
        return False
    if field.type == "any" and kind in NUMBER and number_type(field) == "integer":
        return bool(-BEYOND <= value < BEYOND)  # the column becomes 64-bit integers
    return RULES.get(field.type, _is_finite)(value)


def _is_finite(value: Any) -> bool:
    return type(value) not in NUMBER or abs(value) <= MAX_FLOAT


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
"""Further conditions for a value of the right type."""


def expected_names(names: Sequence[str]) -> str:
    """Return what an error expects in place of an unknown name, with some of the names."""
    shown = [orjson.dumps(shorten(name)).decode() for name in names[:MAX_NAMES]]
    more = ["..."] if len(names) > MAX_NAMES else []
    what = "the input" if len(names) == 1 else f"one of the {len(names)} inputs"
    return f"the name of {what} ({', '.join(shown + more)})"


def _error(column: str | None, expected: str, got: str) -> dict[str, Any]:
    return {"column": column, "expected": expected, "got": got}


def describe_value(value: Any) -> str:
    """Describe a value of the client in an error. `...` is a value that was not sent."""
    if value is ...:
        return "nothing"
    if isinstance(value, str):
        return f"the string {orjson.dumps(shorten(value)).decode()}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinity"
    return NAMES.get(type(value)) or shorten(str(value))


def _listed(values: Sequence[Any]) -> str:
    """Return the known values of a column for an error."""
    texts = [orjson.dumps(shorten(v)).decode() if isinstance(v, str) else str(v) for v in values]
    more = len(texts) - MAX_LISTED
    return ", ".join(texts[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")


def shorten(text: str) -> str:
    """Shorten text of the client for an error."""
    return text if len(text) <= MAX_TEXT_LENGTH else text[: MAX_TEXT_LENGTH - 3] + "..."


# The most likely cause is an unknown category. The signature has the categories, so one call
# confirms it, and none is needed after the model has rejected an unknown category of this input.
# Other causes are found by bisection. The time for the search within a row is limited: an invalid
# request must not cost much more than a valid one.
Columns = List[np.ndarray]
ModelCall = Callable[[Columns], Any]
"""Calls the model, which raises what `is_rejection` recognizes."""

MAX_SUSPECTS = 3
PATIENCE_SECONDS = 0.1
"""Time after which the search within a row starts no further call."""
MAX_FLOAT32 = float(np.finfo(np.float32).max)


def is_rejection(error: Exception) -> bool:
    """Return whether a model raised `error` because it rejects a value.

    scikit-learn raises ValueError for an unknown category in an encoder or a number beyond 32 bits
    in a tree. CatBoost raises CatBoostError for a fraction as a category.
    """
    return isinstance(error, ValueError) or type(error).__name__ == "CatBoostError"


class RejectionSearch:
    """Search for values that the model rejects. `patience`: seconds for the search in a row."""

    def __init__(self, fields: Sequence[Field], patience: float = PATIENCE_SECONDS) -> None:
        self._fields = fields
        self._patience = patience
        self._known = [frozenset(field.categories or ()) for field in fields]
        self._closed: set[int] = set()

    def problem(self, call: ModelCall, rows: Rows, example: Rows | None) -> Problem | None:
        """Return the problem 422 of rows that the model rejects.

        It is None if the model accepts each row on its own. The values of a rejected row are tried
        in `example`, which the model accepts, unless rows are dicts.
        """
        columns = _columns(rows)
        if example is None or len(columns) != len(self._fields):
            row = _first_row(call, columns)
            return None if row is None else validation_problem([self._error(columns, row, None)])
        good = _columns(example)
        suspect = self._suspect(call, columns, good)
        if suspect is not None:
            return validation_problem([self._error(columns, *suspect)])
        row = _first_row(call, columns)
        if row is None:
            return None
        index = self._first_value(call, _cut(columns, row, row + 1), good)
        return validation_problem([self._error(columns, row, index)])

    def _error(self, columns: Columns, row: int, index: int | None) -> dict[str, Any]:
        if index is None:
            error = _error(None, "values that the model takes", "others")
        else:
            value = columns[index][row : row + 1].tolist()[0]
            expected = "a value that the model takes"
            if self._known[index] and value not in self._known[index]:
                expected += f" ({_listed(self._fields[index].categories or ())})"
            error = _error(self._fields[index].name, expected, describe_value(value))
        return {"row": row, **error}

    def _suspect(self, call: ModelCall, columns: Columns, good: Columns) -> tuple[int, int] | None:
        """Return row and column of a rejected value that is unlike those of the training."""
        suspects = sorted(self._suspects(columns))
        for row, index in suspects:
            if index in self._closed:
                return row, index
        for row, index in suspects[:MAX_SUSPECTS]:
            tried = _cut(columns, row, row + 1)
            if _is_rejected(call, [*good[:index], tried[index], *good[index + 1 :]]):
                if self._known[index]:
                    self._closed.add(index)
                return row, index
        return None

    def _suspects(self, columns: Columns) -> Iterator[tuple[int, int]]:
        """Yield the first unknown category, or number beyond 32 bits, of each column."""
        for index, (known, column) in enumerate(zip(self._known, columns)):
            if known and column.dtype.kind != "M":
                unknown = (not (v in known or v != v) for v in column.tolist())  # noqa: PLR0124
                row = next((row for row, is_unknown in enumerate(unknown) if is_unknown), None)
            elif column.dtype.kind == "f":
                beyond = np.abs(column) > MAX_FLOAT32
                row = int(beyond.argmax()) if beyond.any() else None
            else:
                row = None
            if row is not None:
                yield row, index

    def _first_value(self, call: ModelCall, row: Columns, good: Columns) -> int | None:
        """Return the column of the first rejected value, or None if it is not found in time."""
        deadline = time.monotonic() + self._patience

        def is_rejected(low: int, high: int) -> bool:
            if time.monotonic() > deadline:
                raise TimeoutError
            return _is_rejected(call, [*good[:low], *row[low:high], *good[high:]])

        try:
            return _first(len(row), is_rejected)
        except TimeoutError:
            return None


def _first_row(call: ModelCall, columns: Columns) -> int | None:
    """Return the first row that is rejected on its own. A single row has been rejected."""
    count = len(columns[0])
    if count == 1:
        return 0
    return _first(count, lambda low, high: _is_rejected(call, _cut(columns, low, high)))


def _first(count: int, is_rejected: Callable[[int, int], bool]) -> int | None:
    """Return the first of `count` items that is rejected on its own, by bisection."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_rejected(low, middle) else (middle, high)
    return low if is_rejected(low, high) else None


def _is_rejected(call: ModelCall, columns: Columns) -> bool:
    try:
        call(columns)
    except Exception as error:
        if is_rejection(error):
            return True
        raise
    return False


def _columns(rows: Rows) -> Columns:
    return list(rows.T) if isinstance(rows, np.ndarray) else rows


def _cut(columns: Columns, low: int, high: int) -> Columns:
    return [column[low:high] for column in columns]
