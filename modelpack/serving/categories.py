"""Categories as the numbers that a booster knows them by."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from .columns import Rows
from .manifest import Field


class Numbering:
    """Of the fields that have categories. `unknown`: the number of a value that is none of them."""

    def __init__(self, fields: Sequence[Field], unknown: float | None = None) -> None:
        self._numbers = {
            index: {value: float(number) for number, value in enumerate(field.categories)}
            for index, field in enumerate(fields)
            if field.categories
        }
        self._unknown = unknown

    def matrix(self, rows: Rows) -> np.ndarray:
        """float64 (n_rows, n_inputs); what is missing is NaN.

        Raises:
            ValueError: a value is none of the categories, and there is no number for that.
        """
        if isinstance(rows, np.ndarray) and not self._numbers:
            return rows
        columns = list(rows.T) if isinstance(rows, np.ndarray) else rows
        return np.column_stack(
            [self._numbered(index, column) for index, column in enumerate(columns)]
        ).astype(np.float64, copy=False)

    def _numbered(self, index: int, column: np.ndarray) -> np.ndarray:
        if index not in self._numbers:
            return column
        return np.array([self._number(index, value) for value in column.tolist()], np.float64)

    def _number(self, index: int, value: Any) -> float:
        if value != value:  # NaN  # noqa: PLR0124
            return np.nan
        number = self._numbers[index].get(value, self._unknown)
        if number is None:
            raise ValueError("not one of the categories")
        return number
