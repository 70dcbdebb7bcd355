"""Which value a model refuses, found with few calls of the model.

The likeliest is a value that training never met. The signature has the categories, so that one call
confirms it, and none is needed once the model has refused an unknown category of that input. All
else is found by halves, and in a row only for a short time: a bad request must not cost much more
than a good one.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Iterator, List, Sequence

import numpy as np

from . import misfits
from .columns import Rows
from .manifest import Field
from .problems import Problem

Columns = List[np.ndarray]
Ask = Callable[[Columns], Any]
"""Calls the model, which raises what `is_refusal` recognizes."""

MOST_SUSPECTS = 3
PATIENCE_SECONDS = 0.1
"""For the search in a row, after which no further call is begun."""
LARGEST = float(np.finfo(np.float32).max)


def is_refusal(error: Exception) -> bool:
    """Return whether a model raised `error` because of a value that it does not take.

    scikit-learn's estimators raise ValueError, for a category that an encoder has not learnt or a
    number beyond 32 bits in a tree; CatBoost an error of its own, for a fraction as a category.
    """
    return isinstance(error, ValueError) or type(error).__name__ == "CatBoostError"


class Refusals:
    """Of a model with these fields. It remembers of which fields an unknown category was refused.

    `patience`: seconds for the search in a row.
    """

    def __init__(self, fields: Sequence[Field], patience: float = PATIENCE_SECONDS) -> None:
        self._fields = fields
        self._patience = patience
        self._known = [frozenset(field.categories or ()) for field in fields]
        self._closed: set[int] = set()

    def problem(self, ask: Ask, rows: Rows, example: Rows | None) -> Problem | None:
        """The answer to rows that the model has refused: 422. None where it takes each row alone.

        `example` is a row that it takes: the values of the refused one are tried in it, unless they
        stand in a dict.
        """
        columns = _columns(rows)
        if example is None or len(columns) != len(self._fields):
            row = _first_row(ask, columns)
            return None if row is None else misfits.problem([self._error(columns, row, None)])
        good = _columns(example)
        suspect = self._suspect(ask, columns, good)
        if suspect is not None:
            return misfits.problem([self._error(columns, *suspect)])
        row = _first_row(ask, columns)
        if row is None:
            return None
        index = self._first_value(ask, _cut(columns, row, row + 1), good)
        return misfits.problem([self._error(columns, row, index)])

    def _error(self, columns: Columns, row: int, index: int | None) -> dict[str, Any]:
        if index is None:
            told = {"column": None, "expected": "values that the model takes", "got": "others"}
        else:
            got = misfits.got(columns[index][row : row + 1].tolist()[0])
            name = self._fields[index].name
            told = {"column": name, "expected": "a value that the model takes", "got": got}
        return {"row": row, **told}

    def _suspect(self, ask: Ask, columns: Columns, good: Columns) -> tuple[int, int] | None:
        """Row and column of a value that is unlike those of the training and is refused."""
        suspects = sorted(self._suspects(columns))
        for row, index in suspects:
            if index in self._closed:
                return row, index
        for row, index in suspects[:MOST_SUSPECTS]:
            tried = _cut(columns, row, row + 1)
            if _refuses(ask, [*good[:index], tried[index], *good[index + 1 :]]):
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
                beyond = np.abs(column) > LARGEST
                row = int(beyond.argmax()) if beyond.any() else None
            else:
                row = None
            if row is not None:
                yield row, index

    def _first_value(self, ask: Ask, row: Columns, good: Columns) -> int | None:
        """The column of the first value that is refused by itself, if one is found in time."""
        deadline = time.monotonic() + self._patience

        def refused(low: int, high: int) -> bool:
            if time.monotonic() > deadline:
                raise TimeoutError
            return _refuses(ask, [*good[:low], *row[low:high], *good[high:]])

        try:
            return _first(len(row), refused)
        except TimeoutError:
            return None


def _first_row(ask: Ask, columns: Columns) -> int | None:
    """The first row that is refused alone; a single one has been."""
    count = len(columns[0])
    if count == 1:
        return 0
    return _first(count, lambda low, high: _refuses(ask, _cut(columns, low, high)))


def _first(count: int, refused: Callable[[int, int], bool]) -> int | None:
    """The first of `count` things that is refused alone, in log2(count) questions about ranges."""
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if refused(low, middle) else (middle, high)
    return low if refused(low, high) else None


def _refuses(ask: Ask, columns: Columns) -> bool:
    try:
        ask(columns)
    except Exception as error:
        if is_refusal(error):
            return True
        raise
    return False


def _columns(rows: Rows) -> Columns:
    return list(rows.T) if isinstance(rows, np.ndarray) else rows


def _cut(columns: Columns, low: int, high: int) -> Columns:
    return [column[low:high] for column in columns]
