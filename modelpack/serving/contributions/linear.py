"""Linear models: coefficient times the difference to a reference, for each column."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np

from ..data.columns import Rows
from .origins import Column
from .references import column_arrays
from .scope import Scope
from .scores import scores_of
from .steps import Steps, dense
from .sums import Sums, by_input


class Linear:
    """The contributions of a linear model."""

    method = "coefficients"
    is_short = is_probability = False

    def __init__(self, steps: Steps, columns: Sequence[Column], scope: Scope) -> None:
        """Read the coefficients.

        Raises:
            UnavailableError: They do not belong to the columns, or no reference is known.
        """
        self._scores = scores_of(steps.predictor, len(columns))
        self._steps = steps
        self._sources = [column.source for column in columns]
        self._reference = scope.reference(columns)

    @property
    def references(self) -> list[Any]:
        """The reference of each input."""
        return self._reference.values

    def sums(self, rows: Rows) -> Sums:
        """Return the contributions to each score for one row."""
        both = _together(rows, self._reference.rows)
        values, usual = dense(self._steps.transformed(both))
        values, usual = self._scores.columns(values), self._scores.columns(usual)
        parts = self._scores.coefficients * (values - usual)
        base = self._scores.coefficients @ usual + self._scores.intercepts
        return Sums(base, by_input(parts, self._sources, len(self._reference.values)))


def _together(rows: Rows, others: Sequence[np.ndarray]) -> Rows:
    """Return one row followed by another one, in the form of the first one."""
    pairs = [np.concatenate(pair) for pair in zip(column_arrays(rows), others)]
    return np.array(pairs, np.float64).T if isinstance(rows, np.ndarray) else pairs
