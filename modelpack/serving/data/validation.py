"""What is wrong with rows, in words."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Callable, Iterator, List, Sequence

import numpy as np
import orjson

from ..manifest import Field
from ..problems import Problem
from . import cells, dates
from .columns import BEYOND, KINDS, NUMBER, Rows

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
MAX_FLOAT = sys.float_info.max


def validation_problem(errors: Sequence[dict[str, Any]]) -> Problem:
    """The answer to rows with these errors: 422, told by the first of them."""
    first = errors[0]
    row = None if first["row"] is None else f"row {first['row']}"
    column = None if first["column"] is None else f'column "{first["column"]}"'
    place = ", ".join(filter(None, [row, column])) or "the rows"
    place = place[0].upper() + place[1:]
    count = f"{MAX_ERRORS} or more" if len(errors) >= MAX_ERRORS else str(len(errors))
    more = f" It is the first of {count} errors." if len(errors) > 1 else ""
    detail = f"{place}: expected {first['expected']}, got {first['got']}.{more}"
    return Problem(422, detail, list(errors))


def table_problem(expected: str, got: str, column: str | None = None) -> Problem:
    """The answer to columns that are not those of the signature: 422."""
    name = None if column is None else shorten(column)
    return validation_problem([{"row": None, **_error(name, expected, got)}])


def width_problem(row: int, expected: int, values: int) -> Problem:
    """The answer to a row of a table that is shorter or longer than the others: 422."""
    return validation_problem([{"row": row, **_error(None, f"{expected} values", f"{values}")}])


def value_error(field: Field, value: Any) -> dict[str, Any]:
    """The {column, expected, got} of a value that does not fit."""
    return _error(field.name, _expected(field), describe_value(value))


def row_errors(
    fields: Sequence[Field], row: Any, refused: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """The {column, expected, got} of each wrong value of one row, which has the names `refused`
    that are no inputs.
    """
    if isinstance(row, dict):
        for name in refused:
            yield _error(shorten(name), "the name of an input", "an unknown one")
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
    """Whether `value`, as JSON gave it, may stand in this column; ... is one that was not sent."""
    kind = type(value)
    if (kind is float and math.isnan(value)) or value is None or value is ...:
        return field.nullable
    if kind is str and field.type == "number" and field.dtype == "object":
        value = cells.cell_number(value)  # a Decimal, as pandas writes it to JSON
        kind = type(value)
    if kind not in KINDS[field.type]:
        return False
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
"""What a value of the right kind must also be."""


def _expected(field: Field) -> str:
    return EXPECTED[field.type] + (" or null" if field.nullable else "")


def _error(column: str | None, expected: str, got: str) -> dict[str, Any]:
    return {"column": column, "expected": expected, "got": got}


def describe_value(value: Any) -> str:
    """What came, as it is told to the sender; ... is what did not."""
    if value is ...:
        return "nothing"
    if isinstance(value, str):
        return f"the string {orjson.dumps(shorten(value)).decode()}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "infinity"
    return NAMES.get(type(value)) or shorten(str(value))


def shorten(text: str) -> str:
    """Text of a client, as far as it is told back."""
    return text if len(text) <= MAX_TEXT_LENGTH else text[: MAX_TEXT_LENGTH - 3] + "..."


# The likeliest is a value that training never met. The signature has the categories, so that one
# call confirms it, and none is needed once the model has refused an unknown category of that
# input. All else is found by halves, and in a row only for a short time: a bad request must not
# cost much more than a good one.
Columns = List[np.ndarray]
ModelCall = Callable[[Columns], Any]
"""Calls the model, which raises what `is_refusal` recognizes."""

MAX_SUSPECTS = 3
PATIENCE_SECONDS = 0.1
"""For the search in a row, after which no further call is begun."""
MAX_FLOAT32 = float(np.finfo(np.float32).max)


def is_rejection(error: Exception) -> bool:
    """Return whether a model raised `error` because of a value that it does not take.

    scikit-learn's estimators raise ValueError, for a category that an encoder has not learnt or a
    number beyond 32 bits in a tree; CatBoost an error of its own, for a fraction as a category.
    """
    return isinstance(error, ValueError) or type(error).__name__ == "CatBoostError"


class RejectionSearch:
    """Of a model with these fields. It remembers of which fields an unknown category was refused.

    `patience`: seconds for the search in a row.
    """

    def __init__(self, fields: Sequence[Field], patience: float = PATIENCE_SECONDS) -> None:
        self._fields = fields
        self._patience = patience
        self._known = [frozenset(field.categories or ()) for field in fields]
        self._closed: set[int] = set()

    def problem(self, ask: ModelCall, rows: Rows, example: Rows | None) -> Problem | None:
        """The answer to rows that the model has refused: 422. None where it takes each row alone.

        `example` is a row that it takes: the values of the refused one are tried in it, unless they
        stand in a dict.
        """
        columns = _columns(rows)
        if example is None or len(columns) != len(self._fields):
            row = _first_row(ask, columns)
            return None if row is None else validation_problem([self._error(columns, row, None)])
        good = _columns(example)
        suspect = self._suspect(ask, columns, good)
        if suspect is not None:
            return validation_problem([self._error(columns, *suspect)])
        row = _first_row(ask, columns)
        if row is None:
            return None
        index = self._first_value(ask, _cut(columns, row, row + 1), good)
        return validation_problem([self._error(columns, row, index)])

    def _error(self, columns: Columns, row: int, index: int | None) -> dict[str, Any]:
        if index is None:
            told = {"column": None, "expected": "values that the model takes", "got": "others"}
        else:
            got = describe_value(columns[index][row : row + 1].tolist()[0])
            name = self._fields[index].name
            told = {"column": name, "expected": "a value that the model takes", "got": got}
        return {"row": row, **told}

    def _suspect(self, ask: ModelCall, columns: Columns, good: Columns) -> tuple[int, int] | None:
        """Row and column of a value that is unlike those of the training and is refused."""
        suspects = sorted(self._suspects(columns))
        for row, index in suspects:
            if index in self._closed:
                return row, index
        for row, index in suspects[:MAX_SUSPECTS]:
            tried = _cut(columns, row, row + 1)
            if _is_rejected(ask, [*good[:index], tried[index], *good[index + 1 :]]):
                if self._known[index]:
                    self._closed.add(index)
                return row, index
        return None

    def _suspects(self, columns: Columns) -> Iterator[tuple[int, int]]:
        """The first unknown category of each column, and the first number beyond 32 bits."""
        for index, (known, column) in enumerate(zip(self._known, columns)):
            if known and column.dtype.kind != "M":
                strange = (not (v in known or v != v) for v in column.tolist())  # noqa: PLR0124
                row = next((row for row, is_strange in enumerate(strange) if is_strange), None)
            elif column.dtype.kind == "f":
                beyond = np.abs(column) > MAX_FLOAT32
                row = int(beyond.argmax()) if beyond.any() else None
            else:
                row = None
            if row is not None:
                yield row, index

    def _first_value(self, ask: ModelCall, row: Columns, good: Columns) -> int | None:
        """The column of the first value that is refused by itself, if one is found in time."""
        deadline = time.monotonic() + self._patience

        def refused(low: int, high: int) -> bool:
            if time.monotonic() > deadline:
                raise TimeoutError
            return _is_rejected(ask, [*good[:low], *row[low:high], *good[high:]])

        try:
            return _first(len(row), refused)
        except TimeoutError:
            return None


def _first_row(ask: ModelCall, columns: Columns) -> int | None:
    """The first row that is refused alone; a single one has been."""
    count = len(columns[0])
    if count == 1:
        return 0
    return _first(count, lambda low, high: _is_rejected(ask, _cut(columns, low, high)))


def _first(count: int, refused: Callable[[int, int], bool]) -> int | None:
    """The first of `count` things that is refused alone, in log2(count) questions about ranges."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if refused(low, middle) else (middle, high)
    return low if refused(low, high) else None


def _is_rejected(ask: ModelCall, columns: Columns) -> bool:
    try:
        ask(columns)
    except Exception as error:
        if is_rejection(error):
            return True
        raise
    return False


def _columns(rows: Rows) -> Columns:
    return list(rows.T) if isinstance(rows, np.ndarray) else rows


def _cut(columns: Columns, low: int, high: int) -> Columns:
    return [column[low:high] for column in columns]
