"""Which value a model refuses, found by asking it again for parts of what came."""

from __future__ import annotations

from typing import Any, Callable, List, Sequence

import numpy as np

from . import misfits
from .columns import Rows
from .manifest import Field
from .problems import Problem

Columns = List[np.ndarray]
Ask = Callable[[Columns], Any]
"""Calls the model. It refuses rows by ValueError, as scikit-learn's estimators do: a category that
an encoder has not learnt, a number beyond 32 bits in a tree."""


def problem(ask: Ask, rows: Rows, fields: Sequence[Field], example: Rows | None) -> Problem | None:
    """The answer to rows that the model has refused: 422. None where it takes each row alone.

    `example` is a row that it takes: the values of the refused one are tried in it, unless they
    stand in a dict.
    """
    columns = _columns(rows)
    row = _first(len(columns[0]), lambda low, high: _refuses(ask, _cut(columns, low, high)))
    if row is None:
        return None
    error = {"column": None, "expected": "values that the model takes", "got": "others"}
    if example is not None and len(columns) == len(fields):
        error.update(_value(ask, _cut(columns, row, row + 1), fields, _columns(example)))
    return misfits.problem([{"row": row, **error}])


def _value(ask: Ask, row: Columns, fields: Sequence[Field], good: Columns) -> dict[str, str]:
    """The {column, expected, got} of the first value that is refused by itself, if one is."""
    index = _first(
        len(row), lambda low, high: _refuses(ask, [*good[:low], *row[low:high], *good[high:]])
    )
    if index is None:
        return {}
    got = misfits.got(row[index].tolist()[0])
    return {"column": fields[index].name, "expected": "a value that the model takes", "got": got}


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
    except ValueError:
        return True
    return False


def _columns(rows: Rows) -> Columns:
    return list(rows.T) if isinstance(rows, np.ndarray) else rows


def _cut(columns: Columns, low: int, high: int) -> Columns:
    return [column[low:high] for column in columns]
