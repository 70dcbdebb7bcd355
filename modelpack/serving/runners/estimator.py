"""The estimator itself, called as its author would call it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..columns import Rows
from ..manifest import Field, Manifest


class EstimatorRunner:
    """Of any scikit-learn-like estimator."""

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self.model = model
        self.classes = getattr(model, "classes_", manifest.classes)
        """The labels, in the order of the probabilities."""
        self.fields = manifest.inputs
        self.names = [field.name for field in manifest.inputs]
        self.arrange = {
            "array": _array,
            "frame": self._frame,
            "text": _text,
            "dicts": self._dicts,
        }[manifest.layout]

    @staticmethod
    def takes(model: Any, manifest: Manifest) -> bool:
        return hasattr(model, manifest.method)

    def can(self, method: str) -> bool:
        """Whether the model has `method` as it was fitted."""
        return hasattr(self.model, method)

    def call(self, method: str, rows: Rows) -> Any:
        """What the model's `method` gives for `rows`: an array, sparse matrix, DataFrame, or a list
        of arrays, of n_rows each. Whatever the model raises passes through.
        """
        return getattr(self.model, method)(self.arrange(rows))

    def _frame(self, rows: Rows) -> Any:
        import pandas as pd  # noqa: PLC0415 - only models that were fitted on a frame have it

        if isinstance(rows, np.ndarray):
            return pd.DataFrame(rows, columns=self.names)
        columns = (pd.Series(column, dtype=column.dtype) for column in rows)
        return pd.DataFrame(dict(zip(self.names, columns)))

    def _dicts(self, rows: Rows) -> list[dict[str, Any]]:
        """Of what is there: to a DictVectorizer, what is missing has no name."""
        columns = rows.T if isinstance(rows, np.ndarray) else rows
        values = zip(*map(_listed, self.fields, columns))
        return [{name: v for name, v in zip(self.names, row) if _is_there(v)} for row in values]


def _array(rows: Rows) -> np.ndarray:
    if isinstance(rows, np.ndarray):
        return rows
    if all(column.dtype.kind in "fib" for column in rows):
        return np.column_stack(rows).astype(np.float64, copy=False)
    return np.column_stack([column.astype(object) for column in rows])


def _listed(field: Field, column: np.ndarray) -> list[Any]:
    """The values of a column as Python's own; those of an integer with gaps were floats."""
    values: list[Any] = column.tolist()
    if field.type == "integer" and column.dtype.kind == "f":
        return [int(v) if _is_there(v) else v for v in values]
    return values


def _is_there(value: Any) -> bool:
    return not (isinstance(value, float) and math.isnan(value))


def _text(rows: Rows) -> list[str]:
    texts: list[str] = rows[0].tolist()
    return texts
